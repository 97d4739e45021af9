"""What stations show whoever has no contract, as billing tells it."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import DisplayPricesChanged

# In the order of the key, so that two events cannot wait for each other in a circle.
KEEP: Final = text(
    """
    insert into display_price as was (station_id, operator_id, version, shown)
    select id, :operator, :version, cast(:shown as jsonb)
    from unnest(cast(:ids as text[])) as told (id) order by id
    on conflict (station_id) do update set operator_id = excluded.operator_id,
        version = excluded.version, shown = excluded.shown
    where was.operator_id <> excluded.operator_id or was.version < excluded.version
    """
)


async def keep_display_prices(db: AsyncSession, event: DisplayPricesChanged) -> None:
    values = {
        "operator": event.operator_id,
        "version": event.version,
        "shown": event.price.model_dump_json() if event.price else None,
        "ids": sorted(set(event.station_ids)),
    }
    await db.execute(KEEP, values)
