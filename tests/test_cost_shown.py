"""Through every service: a driver at an OCPP 2.x station sees what it costs, then the final sum."""

import base64
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import EVSE, Wire, stamp
from stack import eventually
from suite import Suite
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol


def reading(value: int, context: str, seconds_ago: float) -> list[dict[str, Any]]:
    sampled = {"value": value, "context": context}
    return [{"timestamp": stamp(seconds_ago), "sampledValue": [sampled]}]


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

    async with await connected(suite, station, version) as socket:
        wire = Wire(socket)
        # Kept while it was offline for an hour: so its times count, and there is time to charge.
        answer = await wire.event(
            "Started", 0, "Authorized", **said, token=card, evse=EVSE,
            timestamp=stamp(3600),
            **{"meterValue": reading(5000, "Transaction.Begin", 3600)} if metered else {},
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Accepted"
        for seq_no, wh, ago_s in ((1, 7000, 1800), (2, 8000, 900)):
            await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", **said, timestamp=stamp(ago_s),
                meterValue=reading(wh, "Sample.Periodic", ago_s),
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

        await eventually(running, 20)
        answer = await wire.event(
            "Ended",
            seq_no + 1,
            "EVDeparted",
            transaction=transaction,
            meterValue=reading(9000, "Transaction.End", 0),
        )
    (row,) = (await suite.get("csms-gateway", "transactions", station_id=station["id"]))["items"][
        :1
    ]
    record = await suite.record_of(row["session_id"])
    assert record["energy_wh"] == energy_wh
    assert answer == {"totalCost": at_last}
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
