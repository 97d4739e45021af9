"""The price that a station shows whoever has no contract, on the public map."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from stack import Running, eventually

from common.clock import now
from common.events import DisplayPrice, DisplayPricesChanged, PriceLine, TariffChanged, TariffPrices
from common.ids import uuid7
from services.registry.tests.conftest import Operator
from services.registry.tests.mapped import nearby, placed, somewhere, until_there


def shown(price: str, *, until: datetime | None = None) -> DisplayPrice:
    return DisplayPrice(
        tariff_id=uuid7(), currency="EUR", tax_included=True, vat_percent=Decimal(19),
        energy_price=Decimal(price), time_price=Decimal(0), start_fee=Decimal(0),
        lines=(PriceLine(part="energy", texts={"en": f"{price} EUR/kWh"}),), valid_from=now(),
        valid_until=until,
    )  # fmt: skip


def told(
    operator: Operator, version: int, price: DisplayPrice | None, *stations: str
) -> DisplayPricesChanged:
    return DisplayPricesChanged(
        operator_id=operator.id, version=version, station_ids=stations, price=price
    )


async def test_a_station_shows_its_own_price_and_others_the_operators_tariff(
    operator: Operator, registry: Running
) -> None:
    at = somewhere()
    own, other = await placed(operator, at), await placed(operator, at)
    await until_there(registry.http, at, own, other)
    prices = TariffPrices(
        currency="EUR", tax_included=True, vat_percent=Decimal(19), energy_price=Decimal("0.49"),
        time_price=Decimal(0), start_fee=Decimal(0),
    )  # fmt: skip
    of_operator = TariffChanged(
        operator_id=operator.id, tariff_id=uuid7(), name="T", prices=prices,
        valid_from=now() - timedelta(minutes=1),
    )  # fmt: skip
    await registry.publish(of_operator)
    await registry.publish(told(operator, 2, shown("0.39"), own, "NOT-HERE-YET"))
    await registry.publish(told(operator, 1, shown("0.29"), own))  # old news

    async def prices_there() -> dict[str, Any]:
        items = (await nearby(registry.http, at))["items"]
        return {one["id"]: one["price"] for one in items}

    def showing(**wanted: str | None) -> Any:
        expected = {"own": "0.39", "other": "0.49"} | wanted

        async def as_wanted() -> bool:
            found = await prices_there()
            energy = {id_: one and one["energy_price"] for id_, one in found.items()}
            return energy == {own: expected["own"], other: expected["other"]}

        return as_wanted

    await eventually(showing())
    found = (await prices_there())[own]
    assert "tariff_id" not in found
    assert found["lines"] == [{"part": "energy", "texts": {"en": "0.39 EUR/kWh"}}]
    assert found["free_of_charge"] is False
    # There is no price there: the operator's tariff says nothing about it.
    await registry.publish(told(operator, 3, None, own))
    await eventually(showing(own=None))
    # One that is over is not shown, and for a moment may still be.
    gone = now() - timedelta(minutes=2)
    await registry.publish(told(operator, 4, shown("0.59", until=now()), own))
    await eventually(showing(own="0.59"))
    await registry.publish(told(operator, 5, shown("0.69", until=gone), own))
    await eventually(showing(own=None))
