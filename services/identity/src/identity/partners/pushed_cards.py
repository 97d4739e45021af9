"""Cards that a partner pushes one by one: effective at the next tap."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.database import Db
from common.fields import Body, Line
from common.ids import uuid7
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from identity.partners.listed import ListedCard, PushedCard, fault
from identity.people.cards import Kind, Uid, tell
from identity.tables import Card, Partner

router = APIRouter(prefix="/v1/partner/cards", tags=["partner"])

reads = scoped("partner-cards:read")
writes = scoped("partner-cards:write")

# What the partner says of a card; the rest is the operator's.
SAID: Final = tuple(PushedCard.model_fields)


class NotAPartner(Problem):
    status = 403
    title = "Only a partner's key may do this"


class PartnerNotActive(Problem):
    status = 403
    title = "The operator has switched this partner off"


class CardNotYours(Problem):
    status = 409
    title = "A card with this uid belongs to somebody else"


class CardHeld(Problem):
    status = 409
    title = "The operator blocked this card, and only the operator unblocks it"


class PushedCardRefused(Problem):
    status = 422
    title = "No card can be like this"


class PartnerCardOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    uid: str
    kind: Kind
    label: str
    active: bool
    blocked_reason: str | None
    held: bool = Field(description="blocked by the operator, whatever is pushed")
    valid_from: AnyMoment | None
    valid_until: AnyMoment | None
    group_id: str | None
    pushed_at: AnyMoment | None = Field(
        description="null: never pushed, but accepted by the endpoint"
    )
    version: int


class BlockIn(Body):
    reason: Line | None = None


async def of(db: AsyncSession, caller: Principal) -> Partner:
    """The partner that calls. Raises NotAPartner, PartnerNotActive."""
    row = await db.get(Partner, caller.partner_id) if caller.partner_id else None
    if row is None:
        raise NotAPartner("sign in with a partner's API key")
    if not row.active:
        raise PartnerNotActive("ask the operator")
    return row


async def _caller(db: Db, caller: Caller) -> Partner:
    return await of(db, caller)


Mine = Annotated[Partner, Depends(_caller)]


@router.get("", summary="List one's cards", dependencies=[reads])
async def list_partner_cards(
    db: Db,
    partner: Mine,
    uid: Uid | None = None,
    active: bool | None = None,
    kind: Kind | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PartnerCardOut]:
    wanted = {Card.uid: uid, Card.active: active, Card.kind: kind}
    conditions = paging.given(wanted)
    query = select(Card).where(*_of(partner), *conditions)
    found, following = await rows(db, query, Card.id, limit=limit, cursor=cursor)
    return Page(items=[PartnerCardOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{uid}", summary="Read one of one's cards", dependencies=[reads])
async def read_partner_card(uid: Uid, db: Db, partner: Mine, response: Response) -> PartnerCardOut:
    row = await db.scalar(select(Card).where(*_of(partner), Card.uid == uid))
    if row is None:
        raise NotFound(f"you have no card {uid}")
    return PartnerCardOut.model_validate(single.tagged(response, row))


@router.put("/{uid}", summary="Say what a card is", dependencies=[writes])
async def push_card(
    uid: Uid, body: PushedCard, db: Db, partner: Mine, response: Response
) -> PartnerCardOut:
    """Made (201) or changed; the same again changes nothing."""
    card = ListedCard.of(uid, body)
    if (found := fault(card)) is not None:
        raise PushedCardRefused(found[1], member=found[0])
    row, is_new = await _pushed(db, partner, card)
    if is_new:
        response.status_code = 201
    return PartnerCardOut.model_validate(single.tagged(response, row))


@router.post("/{uid}/block", summary="Block a card at once", dependencies=[writes])
async def block_card(
    uid: Uid, db: Db, partner: Mine, response: Response, body: BlockIn | None = None
) -> PartnerCardOut:
    """No station accepts it 2 s later. A session that runs goes on."""
    row = await _locked(db, partner, uid)
    reason = body.reason if body else None
    values = {"active": False, "blocked_reason": reason}
    if not row.active and (row.held or reason is None):
        values = {}
    row = await _said(db, row, values)
    return PartnerCardOut.model_validate(single.tagged(response, row))


@router.post("/{uid}/unblock", summary="Unblock a card at once", dependencies=[writes])
async def unblock_card(uid: Uid, db: Db, partner: Mine, response: Response) -> PartnerCardOut:
    row = await _locked(db, partner, uid)
    if row.held:
        raise CardHeld("ask the operator")
    row = await _said(db, row, {"active": True, "blocked_reason": None})
    return PartnerCardOut.model_validate(single.tagged(response, row))


def _of(partner: Partner) -> tuple[Any, ...]:
    return Card.operator_id == partner.operator_id, Card.partner_id == partner.id


async def _pushed(db: AsyncSession, partner: Partner, card: ListedCard) -> tuple[Card, bool]:
    """The card as it is now, and whether it is new. Raises CardNotYours."""
    made = insert(Card).values(
        id=uuid7(),
        version=1,
        operator_id=partner.operator_id,
        partner_id=partner.id,
        pushed_at=now(),
        **card.model_dump(),
    )
    once = made.on_conflict_do_nothing(index_elements=[Card.operator_id, Card.uid])
    row = await db.scalar(once.returning(Card))
    if row is not None:
        await tell(db, row)
        return row, True
    row = await _locked(db, partner, card.uid)
    wanted = {name: getattr(card, name) for name in SAID}
    if row.held:
        wanted |= {"active": False, "blocked_reason": row.blocked_reason}
    return await _said(db, row, wanted), False


async def _locked(db: AsyncSession, partner: Partner, uid: str) -> Card:
    """Raises NotFound, CardNotYours."""
    query = select(Card).where(Card.operator_id == partner.operator_id, Card.uid == uid)
    row = await db.scalar(query.with_for_update())
    if row is None:
        raise NotFound(f"you have no card {uid}")
    if row.partner_id != partner.id:
        raise CardNotYours(f"{uid} is not taken over")
    return row


async def _said(db: AsyncSession, row: Card, values: dict[str, Any]) -> Card:
    """The card as it is then; told only if it is not as it was."""
    changes = {name: value for name, value in values.items() if getattr(row, name) != value}
    told = bool(changes) or row.pushed_at is None
    # When it was said last counts also if nothing is new: an older list does not undo it.
    said = update(Card).where(Card.id == row.id)
    said = said.values(**changes, pushed_at=now(), version=Card.version + int(told))
    changed: Card | None = await db.scalar(
        said.returning(Card), execution_options={"populate_existing": True}
    )
    assert changed is not None
    if told:
        await tell(db, changed)
    return changed
