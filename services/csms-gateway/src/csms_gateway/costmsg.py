"""Pure: the OCA's extension by which OCPP 1.6 shows prices and costs: DataTransfer of its vendor,
with JSON in the text ("OCPP & California Pricing Requirements", 3.0, chapter 3).

Numbers are numbers on the wire and nowhere else.
"""

from decimal import Decimal
from typing import Any, Final

import orjson

from common import price_words
from common.events import RecordClosed, SessionCostUpdated, TariffPrices
from csms_gateway.clocks import wire_time

VENDOR: Final = "org.openchargealliance.costmsg"
UNPLUGGED: Final = "ConnectorUnplugged"  # the one message that a station sends
# Configuration keys: whether it shows them, and what it shows between sessions.
SHOWS: Final = "CustomDisplayCostAndPrice"
DEFAULT_PRICE: Final = "DefaultPrice"
KEYS: Final = (SHOWS, "CustomMultiLanguageMessages", "Language")
DEFAULT_PRICE_MAX: Final = 500  # characters (1.6, ChangeConfiguration.req)

HUNDRED: Final = Decimal(100)
HOUR_MIN: Final = 60
DIGITS: Final = Decimal("0.000001")
Messages = list[dict[str, Any]]  # MessageContentType; the first in the station's own language


def transfer(message_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"vendorId": VENDOR, "messageId": message_id, "data": orjson.dumps(data).decode()}


def user_price(id_tag: str, texts: Messages) -> dict[str, Any]:
    return {"idToken": id_tag, **_texts(texts)}


def running_cost(
    transaction_id: int, told: SessionCostUpdated, prices: TariffPrices | None, *, idle: bool
) -> dict[str, Any]:
    """told: with as_of and register_wh. The station goes on reckoning by the prices until the next
    one comes; without prices, for there are conditions, it shows what we have told.

    The start fee is in the cost, so it is not among the prices, which would charge it once more.
    """
    assert told.as_of is not None
    found: dict[str, Any] = {
        "transactionId": transaction_id,
        "timestamp": wire_time(told.as_of),
        "meterValue": told.register_wh,
        "cost": float(told.total_gross),
        "state": "Idle" if idle else "Charging",
        "chargingPrice": {},
    }
    if prices is None:
        return found
    found["chargingPrice"] = {"kWhPrice": _gross(prices.energy_price, prices)}
    if prices.time_price:
        an_hour = _gross(prices.time_price * HOUR_MIN, prices)
        found["chargingPrice"]["hourPrice"] = an_hour
        # Time costs the same whether the car charges or not.
        found["idlePrice"] = {"graceMinutes": 0, "hourPrice": an_hour}
        # The station reads its meter when that changes, so that the state follows.
        found["triggerMeterValue"] = {"atCPStatus": ["Charging", "SuspendedEV", "SuspendedEVSE"]}
    return found


def final_cost(transaction_id: int, closed: RecordClosed, language: str) -> dict[str, Any]:
    minutes = int((closed.ended_at - closed.started_at).total_seconds()) // 60
    energy = price_words.number(Decimal(closed.energy_wh).scaleb(-3), language)
    total = price_words.number(closed.total_gross, language)
    text = [f"{energy} kWh", f"{minutes} min", f"{total} {closed.currency}"]
    return {
        "transactionId": transaction_id,
        "cost": float(closed.total_gross),
        "priceText": price_words.sentence(text, language),
    }


def default_price(prices: TariffPrices, texts: Messages) -> str | None:
    """The value of the key: what is shown while nobody charges, and what the station reckons by
    while it is offline, unless there are conditions. None: it is too long.
    """
    text = texts[0]["content"]
    value: dict[str, Any] = {"priceText": text, "priceTextOffline": text}
    if prices.definition is None:
        value["chargingPrice"] = {
            "kWhPrice": _gross(prices.energy_price, prices),
            "hourPrice": _gross(prices.time_price * HOUR_MIN, prices),
            "flatFee": _gross(prices.start_fee, prices),
        }
    found = orjson.dumps(value).decode()
    return found if len(found) <= DEFAULT_PRICE_MAX else None


def _texts(texts: Messages) -> dict[str, Any]:
    found: dict[str, Any] = {"priceText": texts[0]["content"]}
    return found | ({"priceTextExtra": texts[1:]} if texts[1:] else {})


def _gross(price: Decimal, prices: TariffPrices) -> float:
    """A driver pays the tax as well."""
    if not prices.tax_included:
        price = price * (HUNDRED + prices.vat_percent) / HUNDRED
    return float(price.quantize(DIGITS))
