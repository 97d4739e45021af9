"""What billing needs of stations and locations: where each stands, what its EVSEs deliver at
most, the keys of their meters, and by whose clock.
"""

from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.signed.meter_keys import keep_keys
from common.events import LocationChanged, StationChanged

_NEW = insert(tables.Station)
KEEP = _NEW.on_conflict_do_update(
    index_elements=["station_id"],
    set_={
        name: _NEW.excluded[name] for name in ("operator_id", "version", "location_id", "power_w")
    },
    where=tables.Station.version < _NEW.excluded.version,
)


async def keep_station(db: AsyncSession, event: StationChanged) -> None:
    values = event.model_dump(include={"station_id", "operator_id", "version", "location_id"})
    power_w = {str(evse.evse_id): evse.max_power_w for evse in event.evses}
    await db.execute(KEEP, values | {"power_w": power_w})
    await keep_keys(db, event)


_NEW_LOCATION = insert(tables.Location)
KEEP_LOCATION = _NEW_LOCATION.on_conflict_do_update(
    index_elements=["location_id"],
    set_={name: _NEW_LOCATION.excluded[name] for name in ("operator_id", "version", "time_zone")},
    where=tables.Location.version < _NEW_LOCATION.excluded.version,
)


async def keep_location(db: AsyncSession, event: LocationChanged) -> None:
    """Raises ZoneInfoNotFoundError: better the zone before than one that nobody can use."""
    ZoneInfo(event.time_zone)
    values = event.model_dump(include={"location_id", "operator_id", "version", "time_zone"})
    await db.execute(KEEP_LOCATION, values)
