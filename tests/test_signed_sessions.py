"""From a meter that signs to the driver's file: registry's key, the gateway's readings, billing."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from gateway_wire import EVSE, Wire
from signing_meter import SigningMeter
from stack import eventually
from suite import Suite
from test_cost_shown import connected

BEGIN, END = "Transaction.Begin", "Transaction.End"


async def made_station(suite: Suite, key: str) -> dict[str, Any]:
    """With a meter that has this key."""
    evse = {"evse_id": 1, "max_power_w": 22_000, "meter": {"public_key": key}}
    body = {"id": f"S-{uuid4().hex[:8]}", "name": "signs", "evses": [evse]}
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(timeout=20) as client:
        url = f"{suite.urls['registry']}/v1/stations"
        answer = await client.post(url, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def record(suite: Suite, station: str) -> dict[str, Any]:
    """Once something was found out about what its meter signed."""

    async def closed() -> Any:
        items = await suite.records(station_id=station)
        return items[0] if items and items[0]["signature"] not in {"none", "pending"} else None

    found: dict[str, Any] = await eventually(closed, 40)
    return found


def at(minutes_ago: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()


async def test_what_a_meter_signed_proves_the_bill_of_a_1_6_session(suite: Suite) -> None:
    meter, card = SigningMeter(), suite.demo["cards"][0]
    begin, end = meter.record("B 1.000"), meter.record("B 1.000", "E 6.000")
    station = await made_station(suite, meter.key)

    def signed(text: str, context: str, minutes_ago: int) -> dict[str, Any]:
        one = {"value": text, "format": "SignedData", "context": context}
        return {"timestamp": at(minutes_ago), "sampledValue": [one]}

    async with await connected(suite, station, "ocpp1.6") as socket:
        charger = Wire(socket)
        number = (await charger.start(card, timestamp=at(50)))["transactionId"]
        values = {"connectorId": 1, "transactionId": number}
        values["meterValue"] = [signed(begin, BEGIN, 50)]
        assert await charger.send("MeterValues", values) == {}
        data = [signed(end, END, 1)]
        await charger.stop(number, meterStop=6000, timestamp=at(1), transactionData=data)
    found = await record(suite, station["id"])
    assert (found["signature"], found["energy_wh"]) == ("verified", 5000)
    path = f"records/{found['id']}/signed-readings"
    kept = await suite.get("billing", path)
    assert [one["data"] for one in kept["items"]] == [begin, end]
    headers = {"Authorization": f"Bearer {await suite.token()}", "Accept": "application/xml"}
    async with httpx.AsyncClient(timeout=20) as client:
        file = (await client.get(f"{suite.urls['billing']}/v1/{path}", headers=headers)).text
    assert meter.key.upper() in file and file.count("<value ") == 2


async def test_J_a_2_x_session_whose_meter_signed_something_else_goes_to_review(
    suite: Suite,
) -> None:
    meter, card = SigningMeter(), suite.demo["cards"][0]
    begin, end = meter.record("B 1.000"), meter.record("E 4.000")
    transaction = str(uuid4())
    station = await made_station(suite, meter.key)
    async with await connected(suite, station, "ocpp2.0.1") as socket:
        charger = Wire(socket)
        steps = (("Started", begin, BEGIN, 1000, 50), ("Ended", end, END, 6000, 1))
        for seq_no, (kind, text, context, wh, minutes_ago) in enumerate(steps):
            encoded = base64.b64encode(text.encode()).decode()
            value = {"signedMeterData": encoded, "encodingMethod": "OCMF"}
            value |= {"signingMethod": "", "publicKey": ""}
            one = {"value": wh, "context": context, "signedMeterValue": value}
            await charger.event(
                kind, seq_no, "Trigger", transaction=transaction, token=card, evse=EVSE,
                timestamp=at(minutes_ago), offline=True,
                meterValue=[{"timestamp": at(minutes_ago), "sampledValue": [one]}],
            )  # fmt: skip
    found = await record(suite, station["id"])
    assert (found["signature"], found["review"]) == ("failed", "pending")
    kept = await suite.get("billing", f"records/{found['id']}/signed-readings")
    assert kept["why"] == ["the meter has signed 3000 Wh, 5000 Wh are billed"]
