"""Webhooks: addresses that are told of sessions and records, signed, and again until they listen.

Staff keep the operator's own; a partner's key sees and keeps that partner's. What is told is queued
in the transaction that it tells of; common.webhook_delivery brings it.
"""

from contextlib import AbstractContextManager
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.outside import RecordOutside, SessionOutside
from common import paging, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.database import Db
from common.fields import Body, Patch
from common.ids import uuid7
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem
from common.refusals import refusing
from common.versions import Expected
from common.webhooks import Url, check_url, new_secret

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

reads = scoped("webhooks:read")
writes = scoped("webhooks:write")

WEBHOOKS_MAX: Final = 20

Kind = Literal["session.started", "session.ended", "record.closed"]
Kinds = Annotated[list[Kind], Field(min_length=1, max_length=3)]


class UnknownPartner(Problem):
    status = 422
    title = "The operator has no such partner"


class WebhookUrlTaken(Problem):
    status = 409
    title = "There is a webhook with this address already"


class TooManyWebhooks(Problem):
    status = 409
    title = "There are too many webhooks"


class WebhooksOfEveryLocation(Problem):
    status = 403
    title = "Webhooks are kept by staff who see every location"


class NotGivenUp(Problem):
    status = 409
    title = "This delivery was not given up"


class WebhookIn(Body):
    url: Url
    kinds: Kinds
    partner_id: UUID | None = Field(
        default=None,
        description="told of this partner's sessions only; null: of all, or with a partner's key "
        "of that partner's",
    )
    active: bool = True


class WebhookPatch(Patch):
    url: Url | None = None
    kinds: Kinds | None = None
    active: bool | None = None


class WebhookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    partner_id: UUID | None
    url: str
    kinds: list[Kind]
    active: bool
    failures: int = Field(description="in a row; from five on it is left alone for a while")
    paused_until: AnyMoment | None
    version: int


class NewWebhook(WebhookOut):
    secret: str = Field(description="shown this once; signs what is sent")


class DeliveryOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: Kind
    made_at: AnyMoment
    tries: int
    delivered_at: AnyMoment | None
    given_up_at: AnyMoment | None
    next_try_at: AnyMoment
    last_status: int | None = Field(description="of HTTP")
    last_error: str | None
    body: str


@router.get("", summary="List the webhooks", dependencies=[reads])
async def list_webhooks(
    db: Db, caller: Caller, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[WebhookOut]:
    query = select(tables.Webhook).where(*_mine(caller))
    found, after = await paging.rows(db, query, tables.Webhook.id, limit=limit, cursor=cursor)
    return Page(items=[WebhookOut.model_validate(row) for row in found], next_cursor=after)


@router.get("/{webhook_id}", summary="Read a webhook", dependencies=[reads])
async def read_webhook(webhook_id: UUID, db: Db, caller: Caller, response: Response) -> WebhookOut:
    return _out(response, await _get(db, caller, webhook_id))


@router.post("", status_code=201, summary="Make a webhook", dependencies=[writes])
async def make_webhook(
    body: WebhookIn, db: Db, caller: Caller, request: Request, response: Response
) -> NewWebhook:
    operator_id = caller.tenant()
    partner_id = caller.partner_id or body.partner_id
    check_url(request, body.url)
    if partner_id is not None:
        partner = await db.get(tables.Partner, partner_id)
        if partner is None or partner.operator_id != operator_id:
            raise UnknownPartner(f"no partner has the id {partner_id}")
    there = await db.scalars(select(tables.Webhook.id).where(*_mine(caller)).limit(WEBHOOKS_MAX))
    if len(there.all()) >= WEBHOOKS_MAX:
        raise TooManyWebhooks(f"at most {WEBHOOKS_MAX}")
    secret, kept = new_secret(request)
    row = tables.Webhook(
        operator_id=operator_id,
        partner_id=partner_id,
        url=body.url,
        kinds=sorted(set(body.kinds)),
        active=body.active,
        secret=kept,
    )
    db.add(row)
    with _refusing(body.url):
        await db.flush()
    response.headers["Cache-Control"] = "no-store"
    return NewWebhook(**_out(response, row).model_dump(), secret=secret)


@router.patch("/{webhook_id}", summary="Change a webhook", dependencies=[writes])
async def change_webhook(
    webhook_id: UUID,
    body: WebhookPatch,
    expected: Expected,
    db: Db,
    caller: Caller,
    request: Request,
    response: Response,
) -> WebhookOut:
    """What was given up meanwhile is not sent by itself; send it again one by one."""
    await _get(db, caller, webhook_id)
    changes = body.changes()
    if body.url is not None:
        check_url(request, body.url)
    if body.kinds is not None:
        changes["kinds"] = sorted(set(body.kinds))
    # Whoever changes it has mended something, so it is tried at once.
    changes |= {"failures": 0, "paused_until": None}
    with _refusing(body.url):
        row = await single.change(db, tables.Webhook, webhook_id, expected, changes)
    return _out(response, row)


@router.post("/{webhook_id}/secret", summary="Make a webhook a new secret", dependencies=[writes])
async def renew_secret(
    webhook_id: UUID, db: Db, caller: Caller, request: Request, response: Response
) -> NewWebhook:
    """The old one is of no use from this moment on."""
    row = await _get(db, caller, webhook_id)
    secret, row.secret = new_secret(request)
    row.version += 1
    await db.flush()
    response.headers["Cache-Control"] = "no-store"
    return NewWebhook(**_out(response, row).model_dump(), secret=secret)


@router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook", dependencies=[writes])
async def delete_webhook(webhook_id: UUID, db: Db, caller: Caller) -> None:
    """With what it was to be told yet."""
    await _get(db, caller, webhook_id)
    await db.execute(delete(tables.Webhook).where(tables.Webhook.id == webhook_id))


@router.get(
    "/{webhook_id}/deliveries",
    summary="List what was sent and what is to be, the newest first",
    dependencies=[reads],
)
async def list_deliveries(
    webhook_id: UUID,
    db: Db,
    caller: Caller,
    state: Literal["waiting", "delivered", "given_up"] | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[DeliveryOut]:
    await _get(db, caller, webhook_id)
    delivery = tables.WebhookDelivery
    query = select(delivery).where(delivery.webhook_id == webhook_id)
    if state == "waiting":
        query = query.where(delivery.delivered_at.is_(None), delivery.given_up_at.is_(None))
    elif state is not None:
        column = delivery.delivered_at if state == "delivered" else delivery.given_up_at
        query = query.where(column.is_not(None))
    found, after = await paging.rows(
        db, query, delivery.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[DeliveryOut.model_validate(row) for row in found], next_cursor=after)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/again",
    status_code=202,
    summary="Send again what was given up",
    dependencies=[writes],
)
async def send_again(webhook_id: UUID, delivery_id: UUID, db: Db, caller: Caller) -> DeliveryOut:
    await _get(db, caller, webhook_id)
    row = await db.get(tables.WebhookDelivery, (delivery_id, webhook_id))
    if row is None:
        raise NotFound("there is no such delivery")
    if row.given_up_at is None:
        raise NotGivenUp("it was delivered" if row.delivered_at else "it is under way")
    row.given_up_at, row.tries, row.next_try_at, row.wanted_at = None, 0, now(), now()
    await db.flush()
    return DeliveryOut.model_validate(row)


# One statement: where nobody wants to be told it writes nothing.
QUEUE: Final = text(
    """
    insert into webhook_delivery (
        id, operator_id, webhook_id, kind, body, made_at, wanted_at, next_try_at, tries
    )
    select :id, w.operator_id, w.id, :kind, :body, :at, :at, :at, 0
    from webhook w
    where w.operator_id = :operator and w.active and cast(:kind as text) = any(w.kinds)
        and (w.partner_id is null or w.partner_id = :partner and exists (
            select from partner p where p.partner_id = w.partner_id and p.active
        ))
    """
)


async def queue(
    db: AsyncSession, operator_id: UUID, kind: Kind, told: SessionOutside | RecordOutside
) -> None:
    event_id, at = uuid7(), now()
    body = Told(id=event_id, type=kind, at=at, operator_id=operator_id, data=told)
    values = {
        "id": event_id,
        "kind": kind,
        "body": body.model_dump_json(),
        "at": at,
        "operator": operator_id,
        "partner": told.partner_id,
    }
    await db.execute(QUEUE, values)


class Told(BaseModel):
    """What a webhook is sent."""

    id: UUID = Field(description="the same if it comes twice")
    type: Kind
    at: AnyMoment
    operator_id: UUID
    data: SessionOutside | RecordOutside


def _mine(caller: Principal) -> list[Any]:
    """Raises WebhooksOfEveryLocation: a webhook tells of all of them."""
    if caller.locations is not None:
        raise WebhooksOfEveryLocation("ask an admin")
    table = tables.Webhook
    conditions = [table.operator_id == caller.operator_id] if caller.operator_id else []
    if caller.partner_id is not None:
        conditions.append(table.partner_id == caller.partner_id)
    return conditions


async def _get(db: AsyncSession, caller: Principal, webhook_id: UUID) -> tables.Webhook:
    query = select(tables.Webhook).where(tables.Webhook.id == webhook_id, *_mine(caller))
    row = await db.scalar(query)
    if row is None:
        raise NotFound("there is no such webhook")
    return row


def _out(response: Response, row: tables.Webhook) -> WebhookOut:
    return WebhookOut.model_validate(single.tagged(response, row))


def _refusing(url: str | None) -> AbstractContextManager[None]:
    return refusing({"uq_webhook_address": WebhookUrlTaken(f"change the one of {url}")})
