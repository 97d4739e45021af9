"""Alerts are raised and resolved in rounds: one a kind of rule, by whichever replica comes first.

A round compares in one statement what holds (alert_conditions) with the alerts that there are, and
takes only what differs, CHANGES_MAX at once. The row of alert_round is locked for as long, so
replicas take turns; that no alert is raised twice is the table's own business.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from prometheus_client import Counter
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import clock, outbox
from common.database import PLATFORM, Connections
from common.events import AlertKind, AlertRaised, AlertResolved, AlertState
from common.ids import uuid7
from registry.alerts import alert_notices
from registry.alerts.alert_conditions import HOLDS
from registry.alerts.alerting import Turn, turn
from registry.live.liveness import BEAT_AGE_MAX, alive_after
from registry.tables import Alert

log = logging.getLogger(__name__)

CHANGES_MAX: Final = 10_000
# Rounds of the quick kinds to one of these: nobody waits for the minute of what took days.
EVERY: Final[dict[AlertKind, int]] = {"offline": 1, "faulted": 1, "failing": 4, "unused": 20}
# How long a registry that was away may take until it has heard of beats that it missed.
DEAF: Final = timedelta(minutes=2)
KEPT: Final = timedelta(days=400)

RAISED = Counter("csms_alerts_raised_total", "Alerts raised", ["kind"])

_MY_TURN: Final = text(
    "select 1 from alert_round where kind = :kind and ran_at <= :before for update skip locked"
)
_BEGIN: Final = text(
    "insert into alert_round (kind, ran_at) values (:kind, '-infinity') on conflict do nothing"
)
_RAN: Final = text("update alert_round set ran_at = :now where kind = :kind")
_LAST_BEAT: Final = text("select max(last_beat_at) from gateway_replica")


def _differences(kind: AlertKind) -> Any:
    """What holds and is no alert, and alerts for which it holds otherwise than they say."""
    return text(
        f"with holds as materialized ({HOLDS[kind]}), "  # noqa: S608 - of constants
        f"known as (select * from alert where kind = '{kind}' and resolved_at is null) "
        "select a.id, a.cleared_at, a.operator_id as operator, h.rule_id is not null as holds, "
        "h.*, r.name as rule_name, r.severity, "
        "case when r.enabled then r.clear_after_s end as clear_after_s "
        "from holds h full join known a on a.rule_id = h.rule_id "
        "and a.station_id = h.station_id and a.evse_id = h.evse_id "
        "left join alert_rule r on r.id = coalesce(h.rule_id, a.rule_id) "
        "where a.id is null or h.rule_id is not null and a.cleared_at is not null "
        "or h.rule_id is null and (a.cleared_at is null or r.id is null or not r.enabled "
        "or a.cleared_at <= cast(:now as timestamptz) - make_interval(secs => r.clear_after_s)) "
        "limit :most"
    )


_DIFFERENCES: Final = {kind: _differences(kind) for kind in HOLDS}

_RAISE: Final = text(
    "insert into alert (id, version, operator_id, rule_id, rule_name, kind, severity, station_id, "
    "evse_id, detail, since_at, raised_at) "
    "select id, 1, operator_id, rule_id, rule_name, :kind, severity, station_id, evse_id, "
    "detail, since_at, :now from unnest(cast(:ids as uuid[]), cast(:operator_ids as uuid[]), "
    "cast(:rule_ids as uuid[]), cast(:rule_names as text[]), cast(:severities as text[]), "
    "cast(:station_ids as text[]), cast(:evse_ids as integer[]), cast(:details as text[]), "
    "cast(:since_ats as timestamptz[])) as new (id, operator_id, rule_id, rule_name, severity, "
    "station_id, evse_id, detail, since_at) on conflict do nothing returning *"
)
_CHANGE: Final[dict[Turn, Any]] = {
    "clear": text("update alert set cleared_at = :now where id = any(cast(:ids as uuid[]))"),
    "return": text("update alert set cleared_at = null where id = any(cast(:ids as uuid[]))"),
    "resolve": text(
        "update alert set resolved_at = :now, cleared_at = coalesce(cleared_at, :now), "
        "version = version + 1 where id = any(cast(:ids as uuid[])) and resolved_at is null "
        "returning *"
    ),
}
_PRUNE: Final = text("delete from alert where resolved_at < :oldest")


class Rounds:
    def __init__(
        self, connections: Connections, *, every_s: float, bundle_s: float, mails: bool
    ) -> None:
        """bundle_s: what comes to light meanwhile is told together."""
        self._connections = connections
        self._every_s = every_s
        self._bundle_s = bundle_s
        self._mails = mails
        self._began_at = clock.now()

    async def run(self) -> None:
        """For ever."""
        async with self._connections.begin(PLATFORM) as db:
            for kind in HOLDS:
                await db.execute(_BEGIN, {"kind": kind})
        while True:
            for kind, every in EVERY.items():
                # Little less than the time, or a round that came a moment early would be left out.
                before = clock.now() - timedelta(seconds=self._every_s * (every - 0.5))
                await self.look(kind, before)
            await alert_notices.tell(self._connections, self._bundle_s, mails=self._mails)
            await asyncio.sleep(self._every_s)

    async def look(self, kind: AlertKind, before: datetime) -> int:
        """A whole round of a kind, if none was after that moment; how many alerts changed."""
        changed = 0
        while True:
            async with self._connections.begin(PLATFORM) as db:
                mine = await db.scalar(_MY_TURN, {"kind": kind, "before": before})
                if not mine or (kind == "offline" and await self._deaf(db)):
                    return changed
                some = await _compare(db, kind, clock.now())
                changed += some
                if some < CHANGES_MAX:
                    await db.execute(_RAN, {"kind": kind, "now": clock.now()})
                    return changed

    async def _deaf(self, db: AsyncSession) -> bool:
        """Just begun, and no gateway heard of: then it is we who know nothing."""
        now = clock.now()
        beat_at = await db.scalar(_LAST_BEAT)
        stale = beat_at is None or beat_at <= now - BEAT_AGE_MAX
        return stale and now - self._began_at < DEAF


async def _compare(db: AsyncSession, kind: AlertKind, now: datetime) -> int:
    values: dict[str, Any] = {"now": now, "most": CHANGES_MAX}
    if kind == "offline":
        values["alive_after"] = alive_after(now)
    found = (await db.execute(_DIFFERENCES[kind], values)).all()
    by_turn: dict[Turn | None, list[Row[Any]]] = {}
    for row in found:
        what = turn(
            known=row.id is not None,
            holds=row.holds,
            cleared_at=row.cleared_at,
            clear_after_s=row.clear_after_s,
            now=now,
        )
        by_turn.setdefault(what, []).append(row)
    await _raise(db, kind, by_turn.pop("raise", []), now)
    for what, rows in by_turn.items():
        if what is not None:
            await _change(db, what, [row.id for row in rows], now)
    return len(found)


async def _raise(
    db: AsyncSession, kind: AlertKind, rows: Sequence[Row[Any]], now: datetime
) -> None:
    if not rows:
        return
    values = {
        "kind": kind,
        "now": now,
        "ids": [uuid7() for _ in rows],
        "operator_ids": [row.operator_id for row in rows],
        "rule_ids": [row.rule_id for row in rows],
        "rule_names": [row.rule_name for row in rows],
        "severities": [row.severity for row in rows],
        "station_ids": [row.station_id for row in rows],
        "evse_ids": [row.evse_id for row in rows],
        "details": [row.detail or None for row in rows],
        "since_ats": [row.since_at for row in rows],
    }
    raised = (await db.execute(_RAISE, values)).mappings().all()
    await outbox.emit(db, *(AlertRaised(**told(row)) for row in raised))
    RAISED.labels(kind).inc(len(raised))


async def _change(db: AsyncSession, what: Turn, ids: Sequence[Any], now: datetime) -> None:
    values: dict[str, Any] = {"ids": list(ids)}
    if what != "return":
        values["now"] = now
    result = await db.execute(_CHANGE[what], values)
    if what == "resolve":
        rows = result.mappings().all()
        await outbox.emit(db, *(AlertResolved(**told(row)) for row in rows))


_TOLD: Final = AlertState.model_fields.keys() - {"id", "occurred_at", "alert_id"}


def told(row: Any) -> dict[str, Any]:
    """What events tell of an alert."""
    return {name: row[name] for name in _TOLD} | {"alert_id": row["id"]}


def told_of(row: Alert) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _TOLD} | {"alert_id": row.id}


async def prune_once(connections: Connections) -> None:
    """What was resolved over a year ago."""
    async with connections.begin(PLATFORM) as db:
        await db.execute(_PRUNE, {"oldest": clock.now() - KEPT})
