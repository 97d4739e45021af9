"""Who may connect, which socket wins, and what bad input gets."""

import asyncio
import json
from typing import Any

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from stack import eventually
from websockets.exceptions import ConnectionClosed, InvalidStatus

from common.events import ConnectionsReported, MeterValuesReported

BOOT = {"chargePointVendor": "Acme", "chargePointModel": "One"}


async def refused(gateway: Gateway, station: str, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with gateway.connect(station, **options):
            pass
    return refusal.value.response.status_code


async def test_only_a_known_station_with_its_password_may_connect(gateway: Gateway) -> None:
    station = await gateway.add_station()
    assert await refused(gateway, station, password="wrong") == 401
    assert await refused(gateway, station, password="") == 401
    assert await refused(gateway, "NEVER-HEARD-OF") == 404
    assert await refused(gateway, f"{station}/more") == 404
    assert await refused(gateway, "%00") == 404
    async with gateway.connect(station) as socket:
        assert (await Wire(socket).send("BootNotification", BOOT))["status"] == "Accepted"


async def test_a_charger_without_a_known_subprotocol_is_told_and_closed(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=["ocpp1.5"]) as socket:
        assert socket.subprotocol is None
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1002


async def test_the_newest_socket_wins_and_a_late_close_changes_nothing(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connected(station, "ocpp1.6") as old, gateway.connect(station) as new:
        await asyncio.wait_for(old.wait_closed(), 5)
        assert old.close_code == 1008
        assert "currentTime" in await Wire(new).send("Heartbeat", {})
        async with gateway.service.as_(OPERATOR, "status:read") as api:
            connection = (await api.get(f"/v1/stations/{station}/connection")).json()
        assert (connection["generation"], connection["closed_at"]) == (2, None)
    told = await gateway.reported(ConnectionsReported, station, 4)
    assert {(event.generation, event.connected) for event in told} == {
        (1, True), (2, True), (1, False), (2, False),
    }  # fmt: skip

    async def closed() -> Any:
        async with gateway.service.as_(OPERATOR, "status:read") as api:
            return (await api.get(f"/v1/stations/{station}/connection")).json()["closed_at"]

    assert await eventually(closed)


BAD_FRAMES = [
    "",
    "hello",
    "{}",
    "[]",
    "[2]",
    '[9,"1","Heartbeat",{}]',
    '[3,"never-asked",{}]',
    '[4,"never-asked","GenericError","",{}]',
    '[2,{},"Heartbeat",{}]',
    "[" * 5000,
]  # fmt: skip


async def test_frames_that_are_none_harm_nobody(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        for frame in BAD_FRAMES:
            await socket.send(frame)
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
    async with gateway.connect(station) as socket:
        await socket.send(b"\x00\x01")
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_code == 1003
    async with gateway.connect(station) as socket:
        await socket.send(" " * (600 * 1024))
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_code == 1009


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Heartbeat", [], "FormationViolation"),
        ("BootNotification", {}, "OccurenceConstraintViolation"),
        ("BootNotification", BOOT | {"chargePointVendor": 5}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": "x" * 21}, "PropertyConstraintViolation"),
        ("MakeCoffee", {}, "NotImplemented"),
        ("../Authorize", {}, "NotImplemented"),
        ("Reset", {"type": "Hard"}, "NotSupported"),
        ("StatusNotification", {"connectorId": -1, "errorCode": "NoError", "status": "Available"},
         "PropertyConstraintViolation"),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Asleep"},
         "PropertyConstraintViolation"),
        ("StartTransaction", {"connectorId": 1, "idTag": "GOOD", "meterStart": 10**30,
         "timestamp": "2026-01-01T00:00:00Z"}, "PropertyConstraintViolation"),
        ("StartTransaction", {"connectorId": 1, "idTag": "GOOD", "meterStart": 2**60,
         "timestamp": "2026-01-01T00:00:00Z"}, "PropertyConstraintViolation"),
    ],
)  # fmt: skip
async def test_a_malformed_call_gets_the_right_error(
    gateway: Gateway, action: str, payload: Any, code: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        assert (await wire.send(action, payload))[0] == code
        assert "currentTime" in await wire.send("Heartbeat", {})


async def test_harmless_deviations_are_accepted(gateway: Gateway) -> None:
    station = await gateway.add_station()
    ocmf = "OCMF|" + "x" * 3000
    values = [
        {"value": "12,5", "unit": "kWh"},
        {"value": "50.0", "unit": "Hz", "measurand": "Frequency"},
        {"value": "7", "measurand": "Made.Up"},
        {"value": ocmf, "format": "SignedData"},
        {"value": "not a number"},
        {"value": ""},
    ]
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        strange = BOOT | {"firmwareVersion": "9" * 80, "somethingElse": 1}
        assert (await wire.send("BootNotification", strange))["status"] == "Accepted"
        meter = [
            {"timestamp": stamp(), "sampledValue": values},
            {"timestamp": "yesterday", "sampledValue": []},
        ]
        assert await wire.meter(meterValue=meter) == {}
        started = await wire.start("nul\u0000tag")
        assert started["idTagInfo"]["status"] == "Invalid"


async def test_the_message_log_holds_both_directions(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        await Wire(socket).send("Heartbeat", {}, "log-me")
        await socket.send("garbage \x00")

    async def logged() -> Any:
        async with gateway.service.as_(OPERATOR, "messages:read") as api:
            items = (await api.get(f"/v1/stations/{station}/messages")).json()["items"]
        return items if len(items) == 3 else None

    bad, answer, call = await eventually(logged)
    assert (call["direction"], call["kind"], call["action"]) == ("in", "call", "Heartbeat")
    assert json.loads(call["frame"]) == [2, "log-me", "Heartbeat", {}]
    assert (answer["direction"], answer["kind"], answer["message_id"]) == (
        "out",
        "result",
        "log-me",
    )
    assert bad["kind"] == "bad"


async def test_another_operator_sees_nothing(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        await Wire(socket).start()
    scopes = ("sessions:read", "status:read", "commands:read", "commands:write", "messages:read")
    other = "00000000-0000-7000-8000-000000000001"
    async with gateway.service.as_(other, *scopes) as api:  # type: ignore[arg-type]
        assert (await api.get("/v1/transactions")).json()["items"] == []
        assert (await api.get(f"/v1/stations/{station}/connection")).status_code == 404
        assert (await api.get(f"/v1/stations/{station}/messages")).json()["items"] == []
        command = {"type": "remote_start", "id_token": "GOOD"}
        answer = await api.post(
            f"/v1/stations/{station}/commands", json=command, headers={"Idempotency-Key": "x"}
        )
        assert answer.status_code == 404
    async with gateway.service.as_(OPERATOR) as api:
        assert (await api.get("/v1/transactions")).status_code == 403
    assert (await gateway.service.http.get("/v1/transactions")).status_code == 401


async def test_a_changed_station_must_connect_again(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        await Wire(socket).send("Heartbeat", {})
        await gateway.execute(
            "update station set active = false, version = 2 where station_id = :id", id=station
        )
        await asyncio.wait_for(socket.wait_closed(), 20)
        assert socket.close_code == 1012
    assert await refused(gateway, station) == 404


async def test_a_message_of_thousands_of_readings_and_strange_names_is_stored(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    sampled = [{"value": "1"}] * 15_000
    sampled[0] = {"value": "1." + "0" * 20_000, "measurand": "M" * 5_000, "unit": "U" * 5_000}
    sampled[1] = {"value": "7", "measurand": "M" * 5_000, "location": "L" * 5_000}
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        value = [{"timestamp": stamp(), "sampledValue": sampled}]
        assert await wire.meter(meterValue=value) == {}
        assert (await wire.send("X" * 100_000, {}))[0] == "NotImplemented"

    async def arrived() -> Any:
        reports = [r for e in gateway.of(MeterValuesReported) for r in e.reports]
        mine = [s for r in reports if r.station_id == station for s in r.samples]
        return mine if len(mine) >= 14_999 else None

    mine = await eventually(arrived)
    assert len(mine) == 14_999
    assert max(len(s.measurand) + len(s.location) for s in mine) == 128
