"""What billing needs of a station: where it stands."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.events import StationChanged

_NEW = insert(tables.Station)
KEEP = _NEW.on_conflict_do_update(
    index_elements=["station_id"],
    set_={name: _NEW.excluded[name] for name in ("operator_id", "version", "location_id")},
    where=tables.Station.version < _NEW.excluded.version,
)


async def keep_station(db: AsyncSession, event: StationChanged) -> None:
    values = event.model_dump(include={"station_id", "operator_id", "version", "location_id"})
    await db.execute(KEEP, values)
