"""What billing needs of an operator: its time zone, its bank, how long it keeps whose sessions."""

from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.events import OperatorChanged

DEFAULT_TIME_ZONE: Final = "Europe/Berlin"  # until identity has told the operator's


async def keep_operator(db: AsyncSession, event: OperatorChanged) -> None:
    """Raises ZoneInfoNotFoundError: better the zone before than one that no report can use."""
    ZoneInfo(event.time_zone)
    new = insert(tables.Operator).values(
        operator_id=event.operator_id,
        version=event.version,
        time_zone=event.time_zone,
        personal_data_days=event.personal_data_days,
        payee=event.account_holder or event.legal_name or event.name,
        iban=event.iban,
        bic=event.bic,
    )
    columns = ("version", "time_zone", "personal_data_days", "payee", "iban", "bic")
    newer = new.on_conflict_do_update(
        index_elements=["operator_id"],
        set_={name: new.excluded[name] for name in columns},
        where=tables.Operator.version < new.excluded.version,
    )
    await db.execute(newer)
