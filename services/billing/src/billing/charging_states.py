"""Whether the car of a session took power, kept as it was told: what parking time is reckoned from.

Known for a session or not, in any order: a state has the moment from which on it holds, and until
the first one nothing is known.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.tables import ChargingState
from common import events
from common.events import ChargingStateReport, ChargingStatesReported

COLUMN_TYPES: Final = {
    "operator_id": "uuid", "session_id": "uuid", "station_id": "text", "evse_id": "integer",
    "at": "timestamptz", "received_at": "timestamptz", "state": "text",
}  # fmt: skip
# Arrays, for a statement takes 32,767 values and a batch has any number of reports.
KEEP: Final = text(
    f"insert into charging_state ({', '.join(COLUMN_TYPES)}) select * from unnest("  # noqa: S608
    + ", ".join(f"cast(:{name} as {kind}[])" for name, kind in COLUMN_TYPES.items())
    + ") on conflict (session_id, at) do update "
    "set state = excluded.state, received_at = excluded.received_at "
    "where charging_state.received_at < excluded.received_at"
)


async def keep_states(db: AsyncSession, event: ChargingStatesReported) -> None:
    """One statement whatever the size of the batch; of any operators' stations."""
    newest: dict[tuple[UUID, datetime], ChargingStateReport] = {}
    for one in sorted(event.reports, key=lambda report: report.received_at):
        newest[one.session_id, one.at] = one
    # In one order everywhere, so that replicas with overlapping batches cannot deadlock.
    kept = [newest[key] for key in sorted(newest)]
    columns = {name: [getattr(one, name) for one in kept] for name in COLUMN_TYPES}
    if kept:
        await db.execute(KEEP, columns)


async def states_of(
    db: AsyncSession, session_ids: Iterable[UUID]
) -> dict[UUID, list[tuple[datetime, events.ChargingState]]]:
    """Of each of these sessions its states, each from its moment on, oldest first; maybe none.

    The first may be from before the session began: a car that was full when it did.
    """
    found: dict[UUID, list[tuple[datetime, events.ChargingState]]] = {}
    found.update({session_id: [] for session_id in session_ids})
    query = select(ChargingState).where(ChargingState.session_id.in_(found))
    for row in await db.scalars(query.order_by(ChargingState.session_id, ChargingState.at)):
        found[row.session_id].append((row.at, row.state))
    return found
