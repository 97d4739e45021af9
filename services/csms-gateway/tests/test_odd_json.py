"""R6: JSON as chargers write it: null for nothing, 5.0 for 5, text for numbers and the reverse."""

import asyncio
import json
from typing import Any

import pytest
from gateway_commands import V16, V21, V201, Staffed, staffed
from gateway_wire import EVSE, Gateway, Wire, kinds, stamp

from common.events import MeterValuesReported, SessionEnded, StatusesReported
from csms_gateway.tables import SignedMessage

second_versions = pytest.mark.parametrize("version", [V201, V21])
every_version = pytest.mark.parametrize("version", [V16, V201, V21])


async def samples(gateway: Gateway, station: str, count: int = 1) -> list[Any]:
    reports = await gateway.reported(MeterValuesReported, station, count)
    return [sample for report in reports for sample in report.samples]


@every_version
async def test_J_4_2_null_is_as_good_as_an_empty_payload(gateway: Gateway, version: str) -> None:
    async with staffed(gateway, version) as staff:
        socket = staff.wire.socket
        await socket.send('[2,"1","Heartbeat",null]')
        answer = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert (answer[0], answer[1]) == (3, "1")
        asking = asyncio.ensure_future(
            staff.command({"ocpp": {"action": "ClearCache", "payload": {}}}, wait_s=10)
        )
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([3, call[1], None]))
        assert (await asking)["result"] == {}


async def test_members_that_are_null_are_left_out(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start(reservationId=None))["transactionId"]
        sampled = {"value": "1250", "unit": None, "phase": None, "context": None}
        values = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        assert await wire.meter(transactionId=number, meterValue=values) == {}
        assert await wire.stop(number, idTag=None, reason=None, transactionData=None) == {}
        status = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
        nothing = dict.fromkeys(("timestamp", "info", "vendorId", "vendorErrorCode"))
        assert await wire.send("StatusNotification", status | nothing) == {}
        # What is required is still missed.
        assert (await wire.start(idTag=None))[0] == "OccurenceConstraintViolation"
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert (end.energy_wh, end.stop_reason, kinds(end)) == (500, "Local", [])
    (sample,) = await samples(gateway, station)
    assert (sample.unit, sample.phase) == ("Wh", "")
    (told,) = await gateway.reported(StatusesReported, station)
    assert (told.status, told.info) == ("available", None)


@second_versions
async def test_members_that_are_null_are_left_out_of_events(gateway: Gateway, version: str) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[version]) as socket:
        wire = Wire(socket)
        nothing = dict.fromkeys(("reservationId", "meterValue", "cableMaxCurrent"))
        started = await wire.event(
            "Started", 0, "Authorized", transaction="t", token="GOOD", evse=EVSE, **nothing
        )
        assert started["idTokenInfo"]["status"] == "Accepted"
        ended = {"info": {"stoppedReason": None}, "idToken": None, "evse": None}
        assert await wire.event("Ended", 1, "EVDeparted", transaction="t", **ended) == {}
    await gateway.told(SessionEnded, station_id=station)


async def test_an_answer_s_members_that_are_null_are_left_out(gateway: Gateway) -> None:
    async with staffed(gateway, V16) as staff:
        key = {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
        answer = {
            "configurationKey": [key, {"key": "Empty", "readonly": False, "value": None}],
            "unknownKey": None,
        }
        over, _ = await staff.send({"type": "get_variables", "variables": []}, answer)
        assert over["state"] == "accepted"
        told = {one["variable"]: one["value"] for one in await staff.variables()}
        assert told["HeartbeatInterval"] == "300"


async def test_integers_with_a_point_are_integers_in_1_6_too(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start(connectorId=1.0))["transactionId"]
        assert await wire.meter(connectorId=1.0, transactionId=float(number)) == {}
        assert await wire.stop(float(number)) == {}  # type: ignore[arg-type]
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert end.energy_wh == 500


@pytest.mark.parametrize(
    ("value", "unit", "wh"),
    [(1250, "Wh", "1250"), (1.25, "kWh", "1250"), ("1,25", "kWh", "1250"), ("1.25", "KWh", "1250"),
     ("1.25", "kwh", "1250"), ("1250", "WH", "1250")],
)  # fmt: skip
@every_version
async def test_a_register_in_odd_words_is_energy(
    gateway: Gateway, version: str, value: Any, unit: str, wh: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[version]) as socket:
        if version == V16:
            sampled: dict[str, Any] = {"value": value, "unit": unit}
            of: dict[str, Any] = {"connectorId": 1}
        else:
            sampled, of = {"value": value, "unitOfMeasure": {"unit": unit}}, {"evseId": 1}
        values = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        assert await Wire(socket).send("MeterValues", of | {"meterValue": values}) == {}
    (sample,) = await samples(gateway, station)
    assert (format(sample.value.normalize(), "f"), sample.unit) == (wh, "Wh")


async def test_signed_readings_that_do_not_say_so_are_kept_whole(gateway: Gateway) -> None:
    station = await gateway.add_station()
    signed = {"value": "OCMF|" + "x" * 3000}
    value = [{"timestamp": stamp(), "sampledValue": [signed, {"value": "1250"}]}]
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start())["transactionId"]
        assert await wire.meter(meterValue=value, transactionId=number) == {}
    (row,) = await gateway.rows(SignedMessage, station)
    assert row.payload["meterValue"] == value
    assert [str(one.value) for one in await samples(gateway, station)] == ["1250"]


async def test_what_a_charger_says_instead_of_an_answer_ends_no_socket(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        for last in ("data", 5, ["data"], None):
            number = await _sent(staff, [4, "NotImplemented", "no data", last])
            assert number["state"] == "failed"
        assert "currentTime" in await staff.wire.send("Heartbeat", {})


async def _sent(staff: Staffed, answer: list[Any]) -> dict[str, Any]:
    raw = {"action": "NotifyCustomerInformation", "payload": {
        "data": "x", "seqNo": 0, "generatedAt": stamp(), "requestId": 1,
    }}  # fmt: skip
    asking = asyncio.ensure_future(staff.command({"ocpp": raw}))
    call = json.loads(await asyncio.wait_for(staff.wire.socket.recv(), 5))
    await staff.wire.socket.send(json.dumps([answer[0], call[1], *answer[1:]]))
    return await asking
