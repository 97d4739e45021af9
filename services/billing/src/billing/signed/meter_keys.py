"""The public keys of meters, as registry told them, with when each began to count."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.tables import MeterKey, Verification
from common.events import StationChanged

# Of a station that changes otherwise nothing is kept. An older version that comes later may leave a
# row that says what the one before says, which does no harm.
KEEP: Final = text(
    "insert into meter_key (station_id, evse_id, version, operator_id, since_at, public_key) "
    "select :station_id, n.evse_id, :version, :operator_id, :since_at, n.public_key "
    "from unnest(cast(:evse_ids as integer[]), cast(:public_keys as text[])) "
    "as n (evse_id, public_key) where n.public_key is distinct from ("
    "select k.public_key from meter_key k where k.station_id = :station_id "
    "and k.evse_id = n.evse_id and k.version < :version order by k.version desc limit 1) "
    "on conflict do nothing returning evse_id, public_key"
)


async def keep_keys(db: AsyncSession, event: StationChanged) -> None:
    """Sessions that waited for a key are looked at again."""
    values = {
        "station_id": event.station_id,
        "version": event.version,
        "operator_id": event.operator_id,
        "since_at": event.occurred_at,
        "evse_ids": [evse.evse_id for evse in event.evses],
        "public_keys": [evse.public_key for evse in event.evses],
    }
    new = (await db.execute(KEEP, values)).all()
    if evse_ids := [row.evse_id for row in new if row.public_key is not None]:
        again = update(Verification).values(verdict=None, why=[])
        await db.execute(
            again.where(
                Verification.station_id == event.station_id,
                Verification.evse_id.in_(evse_ids),
                Verification.verdict == "no_key",
            )
        )


async def key_at(
    db: AsyncSession, operator_id: UUID, station_id: str, evse_id: int, at: datetime
) -> str | None:
    """The key that counted at a moment; else the first one since, for a key may be entered late."""
    key = MeterKey
    query = (
        select(key.public_key)
        .where(key.operator_id == operator_id, key.station_id == station_id, key.evse_id == evse_id)
        # Those that counted already the newest first, then the others the oldest first.
        .order_by(
            key.since_at > at,
            func.abs(func.extract("epoch", key.since_at - at)),
            key.version.desc(),
        )
        .limit(1)
    )
    found: str | None = await db.scalar(query)
    return found
