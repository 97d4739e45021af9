"""Signed readings as they came, and a verdict on them once their session has ended.

Readings and the end of a session come in any order. Whichever comes second has the verdict made in
its own transaction, so that a session whose readings prove nothing goes to review before anybody
is billed; two that did not see each other are found by a loop.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import and_, case, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from billing import tables
from billing.incidents import open_incidents
from billing.signed import judging, meter_keys
from billing.signed.judging import Kept
from billing.tables import SignedReading, Verification
from common.clock import now
from common.database import PLATFORM, Connections
from common.events import Incident, SignedReadingsReported

LOOK_S: Final = 30.0  # rarely anything: a key that was registered late, events that crossed
AT_ONCE: Final = 50
READ_MAX: Final = 5_000  # of a session; judging looks into a few of them
DETAIL_MAX: Final = 1_000  # characters

COLUMN_TYPES: Final = {
    "place": "integer", "sampled_at": "timestamptz", "context": "text", "measurand": "text",
    "data": "text", "signing_method": "text", "encoding_method": "text", "public_key": "text",
}  # fmt: skip
# Arrays, for a statement takes 32,767 values and a message may have thousands of readings.
KEEP: Final = text(
    f"insert into signed_reading (operator_id, session_id, station_id, evse_id, message_id, "  # noqa: S608
    f"received_at, {', '.join(COLUMN_TYPES)}) "
    "select :operator_id, :session_id, :station_id, :evse_id, :message_id, :received_at, n.* "
    "from unnest("
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in COLUMN_TYPES.items())
    + f") as n ({', '.join(COLUMN_TYPES)}) on conflict (message_id, place) do nothing returning id"
)
_NEW: Final = insert(Verification)
OPEN: Final = _NEW.on_conflict_do_update(
    index_elements=["session_id"], set_={"verdict": None, "why": []}
)
JUDGED: Final = _NEW.on_conflict_do_update(
    index_elements=["session_id"],
    set_={
        name: _NEW.excluded[name]
        for name in ("verdict", "why", "energy_wh", "public_key", "checked_at")
    },
)
UNJUDGED: Final = (
    select(tables.Session)
    .join(Verification, Verification.session_id == tables.Session.id)
    .where(Verification.verdict.is_(None), tables.Session.state == "ended")
    .order_by(Verification.session_id)
    .limit(AT_ONCE)
    .with_for_update(of=Verification, skip_locked=True)
)


async def keep_signed(db: AsyncSession, event: SignedReadingsReported) -> None:
    of_message = event.model_dump(
        include={"operator_id", "session_id", "station_id", "evse_id", "message_id", "received_at"}
    )
    rows = [
        {"place": place, **one.model_dump()}
        for place, one in enumerate(event.readings, start=event.first)
    ]
    columns = {name: [row[name] for row in rows] for name in COLUMN_TYPES}
    new = (await db.execute(KEEP, of_message | columns)).all()
    if not new:
        return
    of_session = {
        name: of_message[name] for name in ("operator_id", "session_id", "station_id", "evse_id")
    }
    await db.execute(OPEN, of_session | {"why": []})
    session = await db.get(tables.Session, event.session_id, populate_existing=True)
    if session is not None and session.state == "ended":
        await check(db, session)


async def check(db: AsyncSession, session: tables.Session) -> None:
    """Make the verdict on an ended session; one whose readings prove nothing goes to review."""
    rows = await _readings(db, session.id)
    if not rows:
        return
    key = await meter_keys.key_at(
        db, session.operator_id, session.station_id, session.evse_id, session.started_at
    )
    judged = judging.judge(
        [Kept(row.data, row.context) for row in rows],
        key,
        session.energy_wh,
        of_others=await _of_others(db, session.id),
    )
    values = {
        "session_id": session.id,
        "operator_id": session.operator_id,
        "station_id": session.station_id,
        "evse_id": session.evse_id,
        "verdict": judged.verdict,
        "why": list(judged.why),
        "energy_wh": judged.energy_wh,
        "public_key": key,
        "checked_at": now(),
    }
    await db.execute(JUDGED, values)
    if judged.verdict == "failed":
        detail = "; ".join(judged.why)[:DETAIL_MAX]
        incident = Incident(kind="signature_invalid", detail=detail)
        await open_incidents(db, session.operator_id, session.id, [incident], now())


async def _readings(db: AsyncSession, session_id: UUID) -> Sequence[Any]:
    """In the order of their times; of too many those that are marked as begin and end first."""
    one = SignedReading
    marked = case((one.context.in_((judging.BEGIN, judging.END)), 0), else_=1)
    query = (
        select(one.data, one.context, one.sampled_at, one.id)
        .where(one.session_id == session_id)
        .order_by(marked, one.sampled_at, one.id)
        .limit(READ_MAX)
    )
    rows = (await db.execute(query)).all()
    return sorted(rows, key=lambda row: (row.sampled_at, row.id))


async def _of_others(db: AsyncSession, session_id: UUID) -> set[str]:
    """Those that the station also told of another session."""
    mine, other = aliased(SignedReading), aliased(SignedReading)
    same = and_(
        other.station_id == mine.station_id,
        func.md5(other.data) == func.md5(mine.data),
        other.session_id != mine.session_id,
    )
    query = select(mine.data).join(other, same).where(mine.session_id == session_id)
    return set((await db.scalars(query)).all())


async def sweep(connections: Connections) -> None:
    while True:
        while await check_open(connections) == AT_ONCE:
            pass
        await asyncio.sleep(LOOK_S)


async def check_open(connections: Connections) -> int:
    """Make the verdicts that are missing; return how many there were."""
    async with connections.begin(PLATFORM) as db:
        sessions = (await db.scalars(UNJUDGED)).all()
        for session in sessions:
            await check(db, session)
    return len(sessions)
