"""Billing's tariffs, as services keep them that show prices: table tariff in the service's own
schema.

Only the operator's own: one of an agreement is nobody else's business. A version never changes and
is valid until the operator's next one.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from sqlalchemy import Index, Numeric, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from common.clock import LATEST as NEVER
from common.events import TariffChanged, TariffPrices


class TariffColumns:
    """Immutable versions, valid until the operator's next one."""

    __tablename__ = "tariff"

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index]:
        return (Index(None, "operator_id", "valid_from"),)

    tariff_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    name: Mapped[str]
    valid_from: Mapped[datetime]
    currency: Mapped[str]
    tax_included: Mapped[bool]
    vat_percent: Mapped[Decimal] = mapped_column(Numeric)
    energy_price: Mapped[Decimal] = mapped_column(Numeric, comment="per kWh")
    time_price: Mapped[Decimal] = mapped_column(Numeric, comment="per minute")
    start_fee: Mapped[Decimal] = mapped_column(Numeric)


_PRICES: Final = tuple(name for name in TariffPrices.model_fields if name != "definition")
_COLUMNS: Final = ("tariff_id", "operator_id", "name", "valid_from", *_PRICES)
KEEP: Final = text(
    f"insert into tariff ({', '.join(_COLUMNS)}) "  # noqa: S608
    f"values ({', '.join(f':{name}' for name in _COLUMNS)}) "
    # In whatever order it is told: what is withdrawn stays so.
    "on conflict (tariff_id) do update "
    "set valid_from = greatest(tariff.valid_from, excluded.valid_from)"
)


async def keep_tariff(db: AsyncSession, event: TariffChanged) -> None:
    """One told without its prices is of no use to anybody who shows them."""
    if event.prices is None or event.agreed_only:
        return
    told = event.model_dump(include=set(_COLUMNS)) | event.prices.model_dump(include=set(_PRICES))
    if event.withdrawn:
        told["valid_from"] = NEVER
    await db.execute(KEEP, told)
