"""People are told of alerts in notices: one a rule, of all that came to light meanwhile.

A notice goes by mail and to the rule's webhook, in the transaction that marks its alerts as told.
What a rule may not tell yet (alerting.may_tell) waits and goes into the next one; what is over
before it was told is never told.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import clock
from common import mail as mails_of
from common.clock import AnyMoment
from common.database import PLATFORM, Connections
from common.events import AlertKind, AlertSeverity
from common.ids import uuid7
from common.mail import PLATFORM_NAME, Voice
from registry.alerts import alert_texts
from registry.alerts.alert_texts import Line, Notice, Part
from registry.alerts.alerting import Manner, may_tell, within_hour
from registry.operators import DEFAULT_LANGUAGE, DEFAULT_TIME_ZONE
from registry.tables import Mail

AT_ONCE_MAX: Final = 10_000  # alerts in a notice, of each sort
WEBHOOK_MAX: Final = 500  # told one by one to a webhook, of each sort

# Which alerts of a rule r are to be told, and how.
RAISED: Final = "a.resolved_at is null and a.told_at is null and a.acknowledged_at is null"
RESOLVED: Final = "a.resolved_at is not null and a.told_at is not null and a.end_told_at is null"
REMINDED: Final = (
    "a.resolved_at is null and a.acknowledged_at is null "
    "and a.told_at <= cast(:now as timestamptz) - make_interval(secs => r.remind_after_s)"
)

_WAITING: Final = text(
    f"""
    select r.id, waiting.since_at, r.severity, r.notices_per_hour, r.quiet_from, r.quiet_until,
        r.told, coalesce(o.time_zone, '{DEFAULT_TIME_ZONE}') as time_zone
    from alert_rule r left join operator o on o.operator_id = r.operator_id
    cross join lateral (
        select min(at) as since_at from (
            select min(a.raised_at) as at from alert a where a.rule_id = r.id and {RAISED}
            union all
            select min(a.resolved_at) from alert a where a.rule_id = r.id and {RESOLVED}
            union all
            select min(a.told_at + make_interval(secs => r.remind_after_s)) from alert a
            where r.remind_after_s is not null and a.rule_id = r.id and {REMINDED}
        ) each
    ) waiting
    where r.enabled and waiting.since_at is not null and (
        cardinality(r.emails) > 0 or exists (select from webhook w where w.rule_id = r.id)
    )
    order by waiting.since_at
    """  # noqa: S608 - of constants
)
_LOCK: Final = text(
    "select r.*, o.name as operator_name, coalesce(o.language, :language) as language, "
    "coalesce(o.time_zone, :zone) as time_zone, w.id as webhook_id "
    "from alert_rule r left join operator o on o.operator_id = r.operator_id "
    "left join webhook w on w.rule_id = r.id "
    "where r.id = :rule and r.told = cast(:told as timestamptz[]) "
    "for update of r skip locked"
)


def _take(which: str, column: str) -> Any:
    return text(
        f"with chosen as (select a.id from alert a join alert_rule r on r.id = a.rule_id "  # noqa: S608
        f"where r.id = :rule and {which} order by a.id limit :most), "
        f"marked as (update alert a set {column} = :now from chosen where a.id = chosen.id "
        "returning a.*) "
        "select m.*, s.name as station_name, l.name as location from marked m "
        "join station s on s.id = m.station_id left join location l on l.id = s.location_id "
        "order by m.id"
    )


# What is new first: what is marked as told then is no longer to be reminded of.
_TAKE: Final = {
    "raised": _take(RAISED, "told_at"),
    "reminded": _take(REMINDED, "told_at"),
    "resolved": _take(RESOLVED, "end_told_at"),
}
_TOLD: Final = text("update alert_rule set told = cast(:told as timestamptz[]) where id = :rule")
_QUEUE: Final = text(
    "insert into webhook_delivery (id, operator_id, webhook_id, kind, body, made_at, wanted_at, "
    "next_try_at, tries) values (:id, :operator, :webhook, 'alerts', :body, :now, :now, :now, 0)"
)


class ToldAlert(BaseModel):
    id: UUID
    kind: AlertKind
    station_id: str
    station_name: str
    location: str | None
    evse_id: int
    detail: str | None
    since_at: AnyMoment
    raised_at: AnyMoment
    resolved_at: AnyMoment | None


class Told(BaseModel):
    """What a rule's webhook is sent."""

    id: UUID = Field(description="the same if it comes twice")
    type: str = "alerts"
    at: AnyMoment
    operator_id: UUID
    rule_id: UUID
    rule_name: str
    severity: AlertSeverity
    raised: list[ToldAlert]
    reminded: list[ToldAlert]
    resolved: list[ToldAlert]
    more: int = Field(description="alerts that this would be too long with; read them by REST")


async def tell(connections: Connections, bundle_s: float, *, mails: bool) -> int:
    """How many notices went out. mails: this installation sends mail."""
    now = clock.now()
    async with connections.begin(PLATFORM) as db:
        waiting = (await db.execute(_WAITING, {"now": now})).mappings().all()
    count = 0
    for row in waiting:
        names = ("severity", "notices_per_hour", "quiet_from", "quiet_until", "time_zone")
        manner = Manner(bundle_s=bundle_s, **{name: row[name] for name in names})
        if may_tell(manner, row["since_at"], row["told"], now):
            async with connections.begin(PLATFORM) as db:
                count += await _tell_one(db, row, now, mails=mails)
    return count


async def _tell_one(db: AsyncSession, waiting: RowMapping, now: datetime, *, mails: bool) -> bool:
    values = {
        "rule": waiting["id"],
        "told": waiting["told"],
        "language": DEFAULT_LANGUAGE,
        "zone": DEFAULT_TIME_ZONE,
    }
    rule = (await db.execute(_LOCK, values)).mappings().one_or_none()
    if rule is None:  # another replica tells it, or just has
        return False
    taken = {}
    for sort, statement in _TAKE.items():
        parameters = {"rule": rule["id"], "most": AT_ONCE_MAX}
        taken[sort] = (await db.execute(statement, parameters | {"now": now})).mappings().all()
    if not any(taken.values()):
        return False
    if mails:
        _mail(db, rule, taken)
    if rule["webhook_id"] is not None:
        await _queue(db, rule, taken, now)
    told = [*within_hour(rule["told"], now), now]
    await db.execute(_TOLD, {"rule": rule["id"], "told": told})
    return True


def _mail(db: AsyncSession, rule: RowMapping, taken: dict[str, Sequence[RowMapping]]) -> None:
    parts = {
        sort: Part([_line(row) for row in rows[: alert_texts.LISTED_MAX]], len(rows))
        for sort, rows in taken.items()
    }
    notice = Notice(rule["name"], rule["severity"], **parts)
    voice = Voice(rule["operator_name"] or PLATFORM_NAME, rule["language"])
    subject, words = alert_texts.mail(voice, rule["time_zone"], notice)
    for address in rule["emails"]:
        values = mails_of.columns(address, subject, words, language=voice.language)
        db.add(Mail(operator_id=rule["operator_id"], **values))


def _line(row: RowMapping) -> Line:
    return Line(**{name: row[name] for name in Line.__dataclass_fields__})


async def _queue(
    db: AsyncSession, rule: RowMapping, taken: dict[str, Sequence[RowMapping]], now: datetime
) -> None:
    listed = {
        sort: [ToldAlert.model_validate(dict(row)) for row in rows[:WEBHOOK_MAX]]
        for sort, rows in taken.items()
    }
    told = Told(
        id=uuid7(),
        at=now,
        operator_id=rule["operator_id"],
        rule_id=rule["id"],
        rule_name=rule["name"],
        severity=rule["severity"],
        raised=listed["raised"],
        reminded=listed["reminded"],
        resolved=listed["resolved"],
        more=sum(max(len(rows) - WEBHOOK_MAX, 0) for rows in taken.values()),
    )
    values = {
        "id": told.id,
        "operator": rule["operator_id"],
        "webhook": rule["webhook_id"],
        "body": told.model_dump_json(),
        "now": now,
    }
    await db.execute(_QUEUE, values)
