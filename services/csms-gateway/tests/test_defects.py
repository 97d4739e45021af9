"""What is found broken again and again in other systems, as far as no other test has it; where it
applies in each version.

Elsewhere: retried starts and stops, blocked and unknown tags, ids 0 and -1, clocks and late meter
values in test_session.py and test_transaction_event.py; takeovers in test_connection.py.
"""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from stack import eventually

from common.events import SessionEnded, SessionStarted
from csms_gateway.tables import SignedMessage, Transaction, UnmatchedMessage

FIRST = "ocpp1.6"
SECOND = ("ocpp2.0.1", "ocpp2.1")
VERSIONS = (FIRST, *SECOND)
EVSE = {"id": 1, "connectorId": 1}
every_version = pytest.mark.parametrize("version", VERSIONS)
second_versions = pytest.mark.parametrize("version", SECOND)


def connect(gateway: Gateway, station: str, version: str) -> Any:
    return gateway.connect(station, subprotocols=[version])


async def start(wire: Wire, version: str, tag: str = "GOOD", **changes: Any) -> Any:
    """Start a session; give the id to stop it by."""
    if version == FIRST:
        return (await wire.start(tag, **changes))["transactionId"]
    transaction = str(uuid4())
    evse = {"id": changes.pop("connectorId", 1), "connectorId": 1}
    await wire.event(
        "Started", 0, "Authorized", transaction=transaction, token=tag, evse=evse, wh=1000,
        **changes,
    )  # fmt: skip
    return transaction


async def stop(wire: Wire, version: str, transaction: Any, tag: str = "GOOD") -> Any:
    if version == FIRST:
        return await wire.stop(transaction, idTag=tag)
    return await wire.event(
        "Ended", 1, "StopAuthorized", transaction=transaction, token=tag, wh=1500
    )


@every_version
async def test_a_tag_that_expires_while_charging_does_not_keep_the_car(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    tag = f"T{uuid4().hex[:8]}".upper()
    gateway.identity.decisions[tag] = "Accepted"
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        transaction = await start(wire, version, tag)
        gateway.identity.decisions[tag] = "Expired"
        await asyncio.sleep(1.6)  # an answer of identity's is remembered for 1.5 s
        answer = await stop(wire, version, transaction, tag)
        info = answer.get("idTagInfo") or answer.get("idTokenInfo") or {}
        assert info.get("status", "Expired") == "Expired"
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert end.energy_wh == 500
    assert (await gateway.transactions(station_id=station, state="open")) == []


@every_version
async def test_two_cars_on_one_station_have_a_transaction_each(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        at = stamp()
        one = await start(wire, version, timestamp=at)
        two = await start(wire, version, timestamp=at, connectorId=2)
        assert await stop(wire, version, two) is not None
        (still,) = await gateway.transactions(station_id=station, state="open")
        assert (still["evse_id"], still["ocpp_id"] or still["id"]) == (1, one)
        await stop(wire, version, one)
    ended = await gateway.told(SessionEnded, 2, station_id=station)
    assert {(event.evse_id, event.energy_wh) for event in ended} == {(1, 500), (2, 500)}


@every_version
async def test_a_reconnect_is_never_refused_for_the_old_socket_nor_undone_by_its_end(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    old = await connect(gateway, station, version)
    transaction = await start(Wire(old), version)
    async with connect(gateway, station, version) as socket:
        await asyncio.wait_for(old.wait_closed(), 5)
        await asyncio.sleep(0.3)  # the old one's end is written down by now
        # The session went on all the while.
        await stop(Wire(socket), version, transaction)
        async with gateway.service.as_(OPERATOR, "status:read") as api:
            shown = (await api.get(f"/v1/stations/{station}/connection")).json()
        assert (shown["closed_at"], shown["protocol"]) == (None, version)
    await gateway.told(SessionEnded, station_id=station)


@every_version
async def test_a_command_in_flight_keeps_nothing_of_the_charger_s_own_waiting(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            await api.post(f"/v1/stations/{station}/commands", json={"type": "reset"})
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        # Our own is not answered before, so whatever waited for it would wait in vain.
        transaction = await start(wire, version)
        await stop(wire, version, transaction)
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))

        async def accepted() -> bool:
            async with gateway.service.as_(OPERATOR, "commands:read") as reader:
                path = f"/v1/stations/{station}/commands"
                items = (await reader.get(path)).json()["items"]
            return bool(items[0]["state"] == "accepted")

        await eventually(accepted)


@every_version
@pytest.mark.parametrize(
    "boot",
    [
        {},
        {"chargePointVendor": None, "chargePointModel": [], "chargingStation": "x", "reason": 7},
        {"chargePointVendor": "\u0000" * 20, "chargePointModel": "\u0000", "reason": "PowerUp",
         "chargingStation": {"model": "\u0000", "vendorName": "\u0000"}},
        {"chargePointVendor": "x" * 9000, "chargePointModel": "x" * 9000, "reason": "Nonsense",
         "chargingStation": {"model": "x" * 9000, "vendorName": "x" * 9000}},
    ],
)  # fmt: skip
async def test_a_bad_boot_harms_neither_the_process_nor_the_charger(
    gateway: Gateway, version: str, boot: dict[str, Any]
) -> None:
    station = await gateway.add_station()
    known = {"chargePointVendor", "chargePointModel"}
    mine = {key: value for key, value in boot.items() if (key in known) == (version == FIRST)}
    async with connect(gateway, station, version) as socket:
        answer = await Wire(socket).send("BootNotification", mine)
        assert isinstance(answer, dict) or answer[0] != "InternalError", answer
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
        good = {"chargePointVendor": "Acme", "chargePointModel": "One"}
        if version != FIRST:
            good = {
                "reason": "PowerUp",
                "chargingStation": {"model": "M", "vendorName": "V"},  # type: ignore[dict-item]
            }
        assert (await Wire(socket).send("BootNotification", good))["status"] == "Accepted"


POISON: dict[str, list[tuple[str, dict[str, Any]]]] = {
    FIRST: [
        ("StartTransaction", {"connectorId": 1, "idTag": "GOOD", "timestamp": "x"}),
        ("StartTransaction", {"connectorId": "one", "idTag": "GOOD", "meterStart": 1,
                              "timestamp": "2026-01-01T00:00:00Z"}),
        ("StopTransaction", {"transactionId": "x", "meterStop": 1,
                             "timestamp": "2026-01-01T00:00:00Z"}),
    ],
    "ocpp2.0.1": [
        ("TransactionEvent", {"eventType": "Exploded", "transactionInfo": {"transactionId": "x"},
                              "timestamp": "2026-01-01T00:00:00Z", "seqNo": 0,
                              "triggerReason": "Authorized"}),
        ("TransactionEvent", {"eventType": "Started"}),
    ],
}  # fmt: skip


@pytest.mark.parametrize("version", POISON)
async def test_a_poison_message_is_kept_once_and_does_not_come_again(
    gateway: Gateway, version: str
) -> None:
    """InternalError would make the charger send it for ever, ahead of all that waits behind it."""
    station = await gateway.add_station()
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        for _ in range(3):
            for action, payload in POISON[version]:
                answer = await wire.send(action, payload)
                assert isinstance(answer, list) and answer[0] != "InternalError", answer
        transaction = await start(wire, version)
        await stop(wire, version, transaction)
    kept = await gateway.rows(UnmatchedMessage, station)
    assert len(kept) == len(POISON[version])
    await gateway.told(SessionEnded, station_id=station)


async def test_an_offline_start_without_its_register_never_bills_the_odometer(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        started = {"connectorId": 1, "idTag": "GOOD", "timestamp": stamp(3600)}
        refused = await wire.send("StartTransaction", started)
        assert refused[0] == "OccurenceConstraintViolation"
        # The stop of what the charger thinks has begun, with all the meter ever counted.
        assert await wire.stop(-1, meterStop=8_765_432) == {}
    assert len(await gateway.rows(UnmatchedMessage, station)) >= 1
    for row in await gateway.rows(Transaction, station):
        assert row.energy_wh is None


@second_versions
async def test_a_session_whose_start_never_came_never_bills_the_odometer(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect(gateway, station, version) as socket:
        answer = await Wire(socket).event(
            "Ended", 5, "EVDeparted", transaction=transaction, wh=8_765_432, evse=EVSE
        )
        # Answered, or the charger would send it for ever.
        assert isinstance(answer, dict)
        await gateway.sweep_untold(station)
    for row in await gateway.rows(Transaction, station):
        assert row.energy_wh is None


@second_versions
async def test_clocks_in_1970_are_not_believed_in_2_x_either(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        transaction = await start(wire, version, timestamp="1970-01-01T00:00:10Z")
        await stop(wire, version, transaction)
    (started,) = await gateway.told(SessionStarted, station_id=station)
    assert started.started_at.year > 2020
    assert "clock" in [incident.kind for incident in started.incidents]


@every_version
async def test_ocmf_of_any_length_is_kept_byte_for_byte(gateway: Gateway, version: str) -> None:
    station = await gateway.add_station()
    ocmf = 'OCMF|{"FV":"1.0","PG":"' + "x" * 6000 + '"}|{"SD":"ff"}'
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        if version == FIRST:
            sampled: dict[str, Any] = {"value": ocmf, "format": "SignedData"}
            payload: dict[str, Any] = {"connectorId": 1}
        else:
            signed = {
                "signedMeterData": ocmf, "signingMethod": "", "encodingMethod": "OCMF",
                "publicKey": "",
            }  # fmt: skip
            sampled = {"value": 1, "signedMeterValue": signed}
            payload = {"evseId": 1}
        value = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        answer = await wire.send("MeterValues", payload | {"meterValue": value})
        assert answer == {}, answer
    (row,) = await gateway.rows(SignedMessage, station)
    assert row.payload["meterValue"] == value


@second_versions
async def test_a_remote_start_s_caller_learns_the_session(gateway: Gateway, version: str) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        async with gateway.service.as_(OPERATOR, "commands:write", "commands:read") as api:
            body = {"type": "remote_start", "id_token": "GOOD", "evse_id": 1}
            path = f"/v1/stations/{station}/commands"
            command = (await api.post(path, json=body)).json()
            call = json.loads(await asyncio.wait_for(socket.recv(), 5))
            assert call[2] == "RequestStartTransaction"
            await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
            info = {"remoteStartId": call[3]["remoteStartId"]}
            await wire.event(
                "Started", 0, "RemoteStart", transaction=transaction, token="GOOD", evse=EVSE,
                info=info, wh=1,
            )  # fmt: skip
            (started,) = await gateway.told(SessionStarted, station_id=station)

            async def learnt() -> Any:
                return (await api.get(f"{path}/{command['id']}")).json()["session_id"]

            assert await eventually(learnt) == str(started.session_id)


@second_versions
async def test_readings_after_the_end_reopen_nothing_and_are_kept(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    async with connect(gateway, station, version) as socket:
        wire = Wire(socket)
        transaction = await start(wire, version)
        await stop(wire, version, transaction)
        late = await wire.event(
            "Updated", 2, "MeterValuePeriodic", transaction=transaction, wh=1400
        )
        assert isinstance(late, dict)
    (row,) = await gateway.rows(Transaction, station)
    assert row.ended_at is not None
    assert len(await gateway.told(SessionEnded, station_id=station)) >= 1


async def test_a_command_is_never_lost_on_a_socket_that_is_no_longer_the_newest(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as old:
        assert "currentTime" in await Wire(old).send("Heartbeat", {})
        # As a newer socket elsewhere writes it; this one has not been told yet.
        await gateway.execute(
            "update connection set generation = generation + 1 where station_id = :id", id=station
        )
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            path = f"/v1/stations/{station}/commands"
            answer = await api.post(path, json={"type": "reset"}, params={"wait_s": 1})
        assert answer.json()["state"] == "queued"
