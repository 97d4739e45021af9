"""What went wrong at stations: sessions and faults, each once, for as long as a rule may ask.

Events come in any order and twice, so a failure's key is what it is of: the session, or the
connector and the minute in which it became faulted. That bounds what a station may fill, too.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common import clock
from common.database import PLATFORM, Connections
from common.events import Incident, IncidentOpened, SessionEnded, StatusReport

KEPT: Final = timedelta(days=8)  # a rule looks back for a week at most
# What is wrong with the station, and not with the card, the clock or the network.
OF_THE_STATION: Final = frozenset(
    {"register_backwards", "implausible_energy", "meter_reading_missing"}
)
# What billing charges nothing for, as a faulty contact or a car that never charged (its rating).
ENERGY_MIN_WH: Final = 50
LENGTH_MIN: Final = timedelta(seconds=60)
# OCPP 2.0.1 and 2.1, ReasonEnumType: car or driver had all that was wanted, or a limit that was
# theirs was reached. Not StoppedByEV: so ends what a car does not understand of a charger, too.
HAD_ENOUGH: Final = frozenset(
    {
        "CostLimitReached",
        "EnergyLimitReached",
        "LocalOutOfCredit",
        "MasterPass",
        "SOCLimitReached",
        "TimeLimitReached",
    }
)

# Of stations that registry does not know nothing is kept.
_NOTE: Final = text(
    "insert into station_failure (operator_id, station_id, what, at) "
    "select operator_id, id, :what, :at from station "
    "where operator_id = :operator and id = :station on conflict do nothing"
)
# As they stand after the reports: what was older news than what was known is in none of them.
_NOTE_FAULTS: Final = text(
    "insert into station_failure (operator_id, station_id, what, at) "
    "select operator_id, station_id, 'fault ' || evse_id || '/' || connector_id || ' ' || "
    "to_char(since_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI'), received_at "
    "from connector_live where status = 'faulted' and (operator_id, station_id, evse_id, "
    "connector_id) in (select * from unnest(cast(:operators as uuid[]), "
    "cast(:stations as text[]), cast(:evses as integer[]), cast(:connectors as integer[]))) "
    "order by operator_id, station_id, evse_id, connector_id on conflict do nothing"
)
_PRUNE: Final = text("delete from station_failure where at < :oldest")


async def note_end(db: AsyncSession, event: SessionEnded) -> None:
    """A session that was next to none, though its card was good, or whose energy is not right."""
    nothing = event.token_status == "Accepted" and _next_to_none(event)  # noqa: S105 - no secret
    if nothing or any(_of_the_station(incident) for incident in event.incidents):
        await _note(db, event.operator_id, event.station_id, event.session_id, event.ended_at)


def _next_to_none(event: SessionEnded) -> bool:
    """Too little or too short to be charged for, and not because that was enough."""
    if event.energy_wh is None:
        return True
    if event.stop_reason in HAD_ENOUGH:
        return False
    # One that ends before it begins tells of a clock only.
    short = timedelta(0) <= event.ended_at - event.started_at < LENGTH_MIN
    return event.energy_wh < ENERGY_MIN_WH or short


async def note_incident(db: AsyncSession, event: IncidentOpened) -> None:
    if _of_the_station(event.incident):
        await _note(db, event.operator_id, event.station_id, event.session_id, event.occurred_at)


async def note_faults(db: AsyncSession, reports: Sequence[StatusReport]) -> None:
    """Once the reports are stored."""
    faulted = {
        (one.operator_id, one.station_id, one.evse_id, one.connector_id)
        for one in reports
        if one.status == "faulted"
    }
    if faulted:
        names = ("operators", "stations", "evses", "connectors")
        columns = map(list, zip(*sorted(faulted), strict=True))
        await db.execute(_NOTE_FAULTS, dict(zip(names, columns, strict=True)))


def _of_the_station(incident: Incident) -> bool:
    return incident.kind in OF_THE_STATION


async def _note(
    db: AsyncSession, operator_id: UUID | None, station_id: str, session_id: UUID, at: datetime
) -> None:
    values = {"operator": operator_id, "station": station_id, "what": f"session {session_id}"}
    # A charger's clock may be ahead; what is to come would count for longer.
    await db.execute(_NOTE, values | {"at": min(at, clock.now())})


async def prune_once(connections: Connections) -> None:
    async with connections.begin(PLATFORM) as db:
        await db.execute(_PRUNE, {"oldest": clock.now() - KEPT})
