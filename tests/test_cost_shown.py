"""Through every service: a driver at an OCPP 2.x station sees what it costs, then the final sum."""

import asyncio
import base64
from typing import Any
from uuid import uuid4

import pytest
from cost_display import KEYS, Display
from gateway_wire import EVSE, Wire, stamp
from stack import eventually
from suite import Suite
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

# The answer of a station of 1.6 to what its display can do, once it is stored.
WHAT_IT_SHOWS = """
select count(*) from csms_gateway.station join csms_gateway.variable using (station_id)
where station_id = $1 and shows_cost and component = '' and variable = 'Language' and value = 'en'
"""


def reading(value: int, context: str, at: str) -> list[dict[str, Any]]:
    return [{"timestamp": at, "sampledValue": [{"value": value, "context": context}]}]


async def connected(suite: Suite, station: dict[str, str], version: str) -> ClientConnection:
    basic = base64.b64encode(f"{station['id']}:{station['password']}".encode()).decode()

    async def known() -> ClientConnection | None:
        try:
            return await connect(
                f"{suite.urls['ocpp']}/{station['id']}",
                subprotocols=[Subprotocol(version)],
                additional_headers={"Authorization": f"Basic {basic}"},
            )
        except InvalidStatus:
            return None  # the gateway has not heard of it yet

    socket: ClientConnection = await eventually(known)
    return socket


@pytest.mark.parametrize(
    ("version", "metered", "energy_wh", "so_far", "at_last"),
    [
        # 3 kWh at 0.49, 45 minutes at 0.01, the start fee of 0.35; then 4 kWh and 60 minutes
        ("ocpp2.0.1", True, 4000, 2.27, 2.91),
        ("ocpp2.1", True, 4000, 2.27, 2.91),
        # Without a register at its start it counts from the first there is, before and at the end.
        ("ocpp2.0.1", False, 2000, 1.29, 1.93),
    ],
)
async def test_TC_I_01_and_02_running_and_final_cost_are_shown(
    suite: Suite, version: str, metered: bool, energy_wh: int, so_far: float, at_last: float
) -> None:
    station, card = suite.demo["stations"][2], suite.demo["cards"][0]
    transaction = str(uuid4())
    said: dict[str, Any] = {"transaction": transaction, "offline": True}
    begun_at, end_at = stamp(3600), stamp()

    async with await connected(suite, station, version) as socket:
        wire = Wire(socket)
        # Kept while it was offline for an hour: so its times count, and there is time to charge.
        answer = await wire.event(
            "Started", 0, "Authorized", **said, token=card, evse=EVSE,
            timestamp=begun_at,
            **{"meterValue": reading(5000, "Transaction.Begin", begun_at)} if metered else {},
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Accepted"
        for seq_no, wh, at in ((1, 7000, stamp(1800)), (2, 8000, stamp(900))):
            await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", **said, timestamp=at,
                meterValue=reading(wh, "Sample.Periodic", at),
            )  # fmt: skip

        async def shown() -> Any:
            nonlocal seq_no
            seq_no += 1
            return await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", transaction=transaction
            )

        async def running() -> bool:
            answer = await shown()
            return bool(answer.get("totalCost") == so_far)

        await eventually(running)
        answer = await wire.event(
            "Ended",
            seq_no + 1,
            "EVDeparted",
            transaction=transaction,
            timestamp=end_at,
            meterValue=reading(9000, "Transaction.End", end_at),
        )
    (row,) = (await suite.get("csms-gateway", "transactions", station_id=station["id"]))["items"][
        :1
    ]
    record = await suite.record_of(row["session_id"])
    assert record["energy_wh"] == energy_wh
    # That its start was not metered is looked at by somebody before it is final.
    assert answer == ({"totalCost": at_last} if metered else {})
    assert record["total_gross"] == {"amount": str(at_last), "currency": "EUR"}
    session = await suite.get("billing", f"sessions/{row['session_id']}")
    odd = [] if metered else ["meter_reading_missing"]
    assert [incident["kind"] for incident in session["incidents"]] == odd


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_I01_and_I06_the_price_that_is_shown_is_the_one_that_is_billed(
    suite: Suite, version: str
) -> None:
    station, card = suite.demo["stations"][2], suite.demo["cards"][0]
    transaction = str(uuid4())
    async with await connected(suite, station, version) as socket:
        wire = Wire(socket)
        available = {
            "component": {"name": "TariffCostCtrlr"},
            "variable": {"name": "Available", "instance": "Tariff"},
            "variableAttribute": [{"value": "true", "mutability": "ReadOnly"}],
        }
        report = {"requestId": 1, "seqNo": 0, "generatedAt": stamp(), "reportData": [available]}
        assert await wire.send("NotifyReport", report) == {}

        async def told() -> Any:
            token = {"idToken": card, "type": "ISO14443"}
            answer = await wire.send("Authorize", {"idToken": token})
            assert answer["idTokenInfo"]["status"] == "Accepted"
            return answer["idTokenInfo"].get("personalMessage")

        message = await eventually(told)
        assert message["content"] == (
            "0.49 EUR/kWh, 0.01 EUR/min, 0.35 EUR per session, incl. 19 % VAT"
        )
        answer = await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token=card, evse=EVSE, wh=0
        )
        assert answer["updatedPersonalMessage"] == message
        await wire.event("Ended", 1, "EVDeparted", transaction=transaction, wh=100)
    (row,) = (await suite.get("csms-gateway", "transactions", station_id=station["id"]))["items"][
        :1
    ]
    record = await suite.record_of(row["session_id"])
    (tariff,) = (await suite.get("billing", "tariffs"))["items"]
    assert record["tariff_id"] == tariff["id"]
    assert (tariff["energy_price"], tariff["time_price"]) == ("0.49", "0.01")
    assert (tariff["start_fee"], tariff["tax_included"]) == ("0.35", True)


async def test_a_display_of_1_6_shows_price_running_and_final_cost(suite: Suite) -> None:
    station, card = suite.demo["stations"][2], suite.demo["cards"][0]
    async with await connected(suite, station, "ocpp1.6") as socket:
        display = Display(socket, KEYS | {"Language": "en"})
        reading_on = asyncio.ensure_future(display.read())
        await display.boot("of the display")

        async def asked() -> bool:
            return await suite.count(WHAT_IT_SHOWS, station["id"]) == 1

        await eventually(asked)
        await display.send("Authorize", {"idTag": card})
        told = {
            "idToken": card,
            "priceText": "0.49 EUR/kWh, 0.01 EUR/min, 0.35 EUR per session, incl. 19 % VAT",
        }
        assert await display.cost("SetUserPrice") == told
        # Kept while it was offline for an hour: so its times count, and there is time to charge.
        begun_at, end_at = stamp(3600), stamp()
        begun = await display.start(card, meterStart=5000, timestamp=begun_at)
        transaction_id = begun["transactionId"]
        sampled = [{"value": "8000", "context": "Sample.Periodic", "unit": "Wh"}]
        await display.send(
            "MeterValues",
            {
                "connectorId": 1, "transactionId": transaction_id,
                "meterValue": [{"timestamp": stamp(900), "sampledValue": sampled}],
            },
        )  # fmt: skip

        async def running() -> Any:
            return [one for one in display.costs("RunningCost") if one["cost"] == 2.27]

        # 3 kWh at 0.49, 45 minutes at 0.01, the start fee of 0.35; then 4 kWh and 60 minutes
        (shown,) = await eventually(running, 60)
        assert (shown["transactionId"], shown["meterValue"]) == (transaction_id, 8000)
        assert shown["chargingPrice"] == {"kWhPrice": 0.49, "hourPrice": 0.6}
        await display.stop(transaction_id, meterStop=9000, timestamp=end_at)
        final = await display.cost("FinalCost")
        assert (final["transactionId"], final["cost"]) == (transaction_id, 2.91)
        assert final["priceText"] == "4.000 kWh, 60 min, 2.91 EUR"
        assert display.costs("SetUserPrice") == [told], "the session's price is the same"
    await reading_on
