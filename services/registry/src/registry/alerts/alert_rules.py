"""Alert rules: what people want to be told of, at which stations, how, and how often.

Staff who may see some locations only see and make rules of these and of their stations. One of the
whole operator or of a group may be about others, so it is for staff who see every location.
"""

from contextlib import AbstractContextManager
from datetime import time
from typing import Annotated, Any, ClassVar, Final, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, single
from common.auth import Caller, scoped
from common.clock import AnyMoment, now
from common.contacts import Email
from common.database import Db
from common.events import AlertKind, AlertSeverity
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page
from common.places import PlaceIn, PlaceKind
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from common.webhooks import Url, check_url, new_secret
from registry.alerts.alerting import wrong_limits
from registry.tables import AlertRule, Location, Station, StationGroup, Webhook

router = APIRouter(prefix="/v1/alert-rules", tags=["alerts"])

reads = scoped("alerts:read")
writes = scoped("alerts:write")

RULES_MAX: Final = 200
DAY_S: Final = 86_400
MONTH_S: Final = 31 * DAY_S
COLUMNS: Final = frozenset(AlertRule.__table__.columns.keys())


class AlertRuleNameTaken(Problem):
    status = 409
    title = "There is an alert rule with this name already"


class TooManyAlertRules(Problem):
    status = 409
    title = "There are too many alert rules"


class UnknownPlace(Problem):
    status = 422
    title = "The operator has no such location, station or station group"


class WrongLimits(Problem):
    status = 422
    title = "These are not the limits of this kind of alert rule"


class HalfQuiet(Problem):
    status = 422
    title = "Quiet hours have a beginning and an end"


class NoWebhook(Problem):
    status = 409
    title = "The alert rule has no webhook"


AfterS = Annotated[
    int | None,
    Field(ge=0, le=MONTH_S, description="offline, faulted: for so many seconds without a break"),
]
ErrorCodes = Annotated[
    list[Line] | None,
    Field(
        min_length=1,
        max_length=50,
        description="faulted: with one of these error or vendor error codes only; null: with any",
    ),
]
Days = Annotated[int | None, Field(ge=1, le=366, description="unused: an EVSE for so many days")]
Failures = Annotated[
    int | None,
    Field(ge=1, le=1000, description="failing: so many failed sessions and faults"),
]
Hours = Annotated[int | None, Field(ge=1, le=168, description="failing: within so many hours")]
ClearAfterS = Annotated[
    int,
    Field(
        ge=0,
        le=DAY_S,
        description="so many seconds after it is over the alert is resolved; what comes back "
        "before that is the same alert",
    ),
]
Emails = Annotated[list[Email], Field(max_length=10)]
PerHour = Annotated[
    int, Field(ge=1, le=60, description="notices at most; what is more goes into the next one")
]
RemindS = Annotated[
    int | None,
    Field(ge=60, le=MONTH_S, description="told again as long as nobody acknowledges; null: once"),
]
Quiet = Annotated[
    time | None,
    Field(description="by the operator's clock; only what is critical is told meanwhile"),
]
Webhooked = Annotated[Url | None, Field(description="told as well, signed with a secret")]


class AlertRuleIn(Body):
    name: Line
    kind: AlertKind
    place: PlaceIn
    severity: AlertSeverity = "warning"
    after_s: AfterS = None
    error_codes: ErrorCodes = None
    days: Days = None
    failures: Failures = None
    hours: Hours = None
    clear_after_s: ClearAfterS = 300
    emails: Emails = Field(default_factory=list)
    webhook_url: Webhooked = None
    notices_per_hour: PerHour = 6
    remind_after_s: RemindS = None
    quiet_from: Quiet = None
    quiet_until: Quiet = None
    enabled: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if wrong := wrong_limits(self.kind, self.model_dump()):
            raise ValueError(wrong)
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("quiet hours have a beginning and an end")
        return self


class AlertRulePatch(Patch):
    """A rule keeps its kind. A new webhook_url keeps the secret there is."""

    may_be_null: ClassVar[frozenset[str]] = frozenset(
        {"error_codes", "webhook_url", "remind_after_s", "quiet_from", "quiet_until"}
    )

    name: Line | None = None
    place: PlaceIn | None = None
    severity: AlertSeverity | None = None
    after_s: AfterS = None
    error_codes: ErrorCodes = None
    days: Days = None
    failures: Failures = None
    hours: Hours = None
    clear_after_s: ClearAfterS | None = None
    emails: Emails | None = None
    webhook_url: Webhooked = None
    notices_per_hour: PerHour | None = None
    remind_after_s: RemindS = None
    quiet_from: Quiet = None
    quiet_until: Quiet = None
    enabled: bool | None = None


class PlaceOut(BaseModel):
    kind: PlaceKind
    id: str | None


class AlertRuleOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    version: int
    name: str
    kind: AlertKind
    place: PlaceOut
    severity: AlertSeverity
    after_s: int | None
    error_codes: list[str] | None
    days: int | None
    failures: int | None
    hours: int | None
    clear_after_s: int
    emails: list[str]
    webhook_url: str | None
    webhook_failures: int = Field(description="in a row; from five on it is left alone for a while")
    webhook_paused_until: AnyMoment | None
    notices_per_hour: int
    remind_after_s: int | None
    quiet_from: time | None
    quiet_until: time | None
    enabled: bool


class AlertRuleWritten(AlertRuleOut):
    webhook_secret: str | None = Field(
        default=None, description="of a new webhook, shown this once; signs what is sent"
    )


@router.get("", summary="List the alert rules", dependencies=[reads])
async def list_rules(
    db: Db,
    kind: AlertKind | None = None,
    enabled: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[AlertRuleOut]:
    query = select(AlertRule)
    if kind is not None:
        query = query.where(AlertRule.kind == kind)
    if enabled is not None:
        query = query.where(AlertRule.enabled == enabled)
    found, after = await paging.rows(db, query, AlertRule.id, limit=limit, cursor=cursor)
    hooks = select(Webhook).where(Webhook.rule_id.in_([row.id for row in found]))
    by_rule = {hook.rule_id: hook for hook in await db.scalars(hooks)}
    items = [AlertRuleOut(**_shown(row, by_rule.get(row.id))) for row in found]
    return Page(items=items, next_cursor=after)


@router.get("/{rule_id}", summary="Read an alert rule", dependencies=[reads])
async def read_rule(rule_id: UUID, db: Db, response: Response) -> AlertRuleOut:
    row = single.tagged(response, await single.get(db, AlertRule, rule_id))
    return AlertRuleOut(**_shown(row, await _webhook(db, rule_id)))


@router.post("", status_code=201, summary="Make an alert rule", dependencies=[writes])
async def make_rule(
    body: AlertRuleIn, db: Db, caller: Caller, request: Request, response: Response
) -> AlertRuleWritten:
    operator_id = caller.tenant()
    _check_ways(request, body)
    await _check_place(db, operator_id, body.place)
    mine = select(func.count()).where(AlertRule.operator_id == operator_id)
    if (await db.scalar(mine) or 0) >= RULES_MAX:
        raise TooManyAlertRules(f"at most {RULES_MAX}")
    row = AlertRule(operator_id=operator_id, made_at=now(), told=[], **_columns(body.model_dump()))
    db.add(row)
    with _refusing(body.name):
        await db.flush()
    secret = await _set_webhook(db, request, row, body.webhook_url)
    return await _written(db, row, response, secret)


@router.patch("/{rule_id}", summary="Change an alert rule", dependencies=[writes])
async def change_rule(
    rule_id: UUID,
    body: AlertRulePatch,
    expected: Expected,
    db: Db,
    request: Request,
    response: Response,
) -> AlertRuleWritten:
    """Alerts that it would no longer raise are resolved."""
    old = await single.get(db, AlertRule, rule_id)
    _check_ways(request, body)
    if body.place is not None:
        await _check_place(db, old.operator_id, body.place)
    changes = _columns(body.changes())
    then = {name: getattr(old, name) for name in COLUMNS} | changes
    if wrong := wrong_limits(then["kind"], then):
        raise WrongLimits(wrong)
    if (then["quiet_from"] is None) != (then["quiet_until"] is None):
        raise HalfQuiet("send both, or null for both")
    with _refusing(body.name):
        row = await single.change(db, AlertRule, rule_id, expected, changes)
    secret = None
    if "webhook_url" in body.model_fields_set:
        secret = await _set_webhook(db, request, row, body.webhook_url)
    return await _written(db, row, response, secret)


@router.post(
    "/{rule_id}/secret", summary="Make an alert rule's webhook a new secret", dependencies=[writes]
)
async def renew_secret(
    rule_id: UUID, db: Db, request: Request, response: Response
) -> AlertRuleWritten:
    """The old one is of no use from this moment on."""
    row = await single.get(db, AlertRule, rule_id)
    hook = await _webhook(db, rule_id)
    if hook is None:
        raise NoWebhook("give it a webhook_url first")
    secret, hook.secret = new_secret(request)
    hook.version += 1
    await db.flush()
    return await _written(db, row, response, secret)


@router.delete("/{rule_id}", status_code=204, summary="Delete an alert rule", dependencies=[writes])
async def delete_rule(rule_id: UUID, db: Db) -> None:
    """Its alerts stay, resolved."""
    await single.get(db, AlertRule, rule_id)
    await db.execute(delete(AlertRule).where(AlertRule.id == rule_id))


def _columns(body: dict[str, Any]) -> dict[str, Any]:
    """The table's, of what was sent."""
    values = {name: value for name, value in body.items() if name not in {"place", "webhook_url"}}
    if "place" in body:
        values |= {f"place_{name}": value for name, value in body["place"].items()}
    if "emails" in body:
        values["emails"] = sorted(set(body["emails"]))
    return values


def _shown(row: AlertRule, hook: Webhook | None) -> dict[str, Any]:
    of_row = AlertRuleOut.model_fields.keys() & COLUMNS
    return {name: getattr(row, name) for name in of_row} | {
        "place": PlaceOut.model_validate({"kind": row.place_kind, "id": row.place_id}),
        "webhook_url": hook and hook.url,
        "webhook_failures": hook.failures if hook else 0,
        "webhook_paused_until": hook and hook.paused_until,
    }


async def _written(
    db: AsyncSession, row: AlertRule, response: Response, secret: str | None
) -> AlertRuleWritten:
    single.tagged(response, row)
    if secret is not None:
        response.headers["Cache-Control"] = "no-store"
    return AlertRuleWritten(**_shown(row, await _webhook(db, row.id)), webhook_secret=secret)


async def _webhook(db: AsyncSession, rule_id: UUID) -> Webhook | None:
    return await db.scalar(select(Webhook).where(Webhook.rule_id == rule_id))


async def _set_webhook(
    db: AsyncSession, request: Request, row: AlertRule, url: str | None
) -> str | None:
    """The secret of one that is new."""
    hook = await _webhook(db, row.id)
    if url is None:
        await db.execute(delete(Webhook).where(Webhook.rule_id == row.id))
        return None
    if hook is not None:
        # Whoever changes it has mended something, so it is tried at once.
        hook.url, hook.failures, hook.paused_until = url, 0, None
        await db.flush()
        return None
    secret, kept = new_secret(request)
    new = Webhook(
        operator_id=row.operator_id, rule_id=row.id, url=url, secret=kept, active=True, failures=0
    )
    db.add(new)
    await db.flush()
    return secret


def _check_ways(request: Request, body: AlertRuleIn | AlertRulePatch) -> None:
    """Raises MailNotConfigured or WebhookUrlRefused."""
    if body.emails:
        request.app.state.parts.settings.require("smtp_url", "mail_from")
    if body.webhook_url is not None:
        check_url(request, body.webhook_url)


async def _check_place(db: AsyncSession, operator_id: UUID, place: PlaceIn) -> None:
    """Raises UnknownPlace."""
    if place.kind == "everywhere":
        return
    table: Any = {"location": Location, "station": Station, "station_group": StationGroup}[
        place.kind
    ]
    row_id = place.id if place.kind == "station" else UUID(place.id)
    row = await db.get(table, row_id)
    if row is None or row.operator_id != operator_id:
        raise UnknownPlace(f"no {place.kind.replace('_', ' ')} has the id {place.id}")


def _refusing(name: str | None) -> AbstractContextManager[None]:
    taken = AlertRuleNameTaken(f"there is a rule {name!r}")
    return refusing({"uq_alert_rule_operator_id_name": taken})
