"""Tariffs as billing tells them to a gateway, and a station of OCPP 2.x that shows them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from gateway_wire import Gateway, Wire, stamp
from stack import eventually

from common.clock import now
from common.events import TariffChanged, TariffPrices

Variables = dict[tuple[str, str, str], str]
TARIFF_ON: Variables = {("TariffCostCtrlr", "Enabled", "Tariff"): "true"}


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
            lines=prices.get("lines", ()),
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


def shown(content: str, language: str = "en", text_format: str = "UTF8") -> dict[str, str]:
    return {"format": text_format, "language": language, "content": content}


async def report(wire: Wire, variables: Variables) -> None:
    """The station tells of itself."""
    data = [
        {
            "component": {"name": component},
            "variable": {"name": variable} | ({"instance": instance} if instance else {}),
            "variableAttribute": [{"value": value}],
        }
        for (component, variable, instance), value in variables.items()
    ]
    body = {"requestId": 1, "seqNo": 0, "generatedAt": stamp(), "reportData": data}
    assert await wire.send("NotifyReport", body) == {}


async def authorize(wire: Wire, id_token: str = "GOOD", kind: str = "ISO14443") -> Any:
    answer = await wire.send("Authorize", {"idToken": {"idToken": id_token, "type": kind}})
    return answer["idTokenInfo"]
