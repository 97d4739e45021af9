"""Tariffs as billing tells them to a gateway."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from gateway_wire import Gateway
from stack import eventually

from common.clock import now
from common.events import TariffChanged, TariffPrices


async def set_tariffs(
    gateway: Gateway, operator: UUID, told: dict[float, str], **prices: Any
) -> list[TariffChanged]:
    """By the seconds from now on which they are valid, what a kWh costs; once they are known."""
    defaults: dict[str, Any] = {
        "currency": "EUR", "tax_included": True, "vat_percent": Decimal(19),
        "time_price": Decimal(0), "start_fee": Decimal(0),
    }  # fmt: skip
    tariffs = [
        TariffChanged(
            operator_id=operator,
            tariff_id=uuid4(),
            name=f"{price} a kWh",
            valid_from=now() + timedelta(seconds=seconds),
            prices=TariffPrices(**defaults | prices | {"energy_price": Decimal(price)}),
        )
        for seconds, price in told.items()
    ]
    await gateway.service.publish(*tariffs)

    async def known() -> bool:
        count = "select count(*) from csms_gateway.tariff where tariff_id = any($1)"
        pool = gateway.service.app.state.beside.gateway.pool
        found = await pool.fetchval(count, [one.tariff_id for one in tariffs])
        return int(found) == len(tariffs)

    await eventually(known)
    return tariffs
