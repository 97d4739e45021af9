"""What billing needs of a partner: that there is one, and whether it is active."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.events import PartnerChanged

COLUMNS = ("operator_id", "version", "name", "active")
_NEW = insert(tables.Partner)
KEEP = _NEW.on_conflict_do_update(
    index_elements=["partner_id"],
    set_={name: _NEW.excluded[name] for name in COLUMNS},
    where=tables.Partner.version < _NEW.excluded.version,
)


async def keep_partner(db: AsyncSession, event: PartnerChanged) -> None:
    await db.execute(KEEP, event.model_dump(include={"partner_id", *COLUMNS}))
