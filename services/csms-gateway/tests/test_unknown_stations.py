"""Stations that nobody has made: refused, held as pending, or let in (lab mode)."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, PASSWORD, Gateway, Wire, running_gateway
from stack import Issuer, Servers, eventually
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from common.events import BootsReported, StationDiscovered, StationRefused
from csms_gateway import pending_sockets
from csms_gateway.tables import RefusedStation, Station, Transaction

BOOT16 = {"chargePointVendor": "Acme", "chargePointModel": "One"}
BOOT2 = {
    "reason": "PowerUp",
    "chargingStation": {"vendorName": "Acme", "model": "One", "serialNumber": "0815"},
}
BOOTS: dict[str, dict[str, Any]] = {"ocpp1.6": BOOT16, "ocpp2.0.1": BOOT2}


@pytest.fixture(scope="module")
async def patient(servers: Servers, issuer: Issuer) -> AsyncIterator[Gateway]:
    async with running_gateway(
        servers,
        issuer,
        unknown_stations="pending",
        unknown_stations_operator_id=OPERATOR,
        unknown_stations_max=2,
        trusted_proxies="127.0.0.1",
    ) as gateway:
        yield gateway


def new_id() -> str:
    return f"U-{uuid4().hex[:8]}"


def dial(
    gateway: Gateway, station: str, protocol: str = "ocpp1.6", address: str | None = None
) -> connect:
    # Behind a proxy that says who it is: each test is another address.
    headers = {"X-Forwarded-For": address or f"192.0.2.{uuid4().int % 250}.{uuid4().hex}"}
    return connect(
        f"{gateway.url}/{station}",
        additional_headers=headers,
        subprotocols=[protocol],  # type: ignore[list-item]
    )


async def status_of(dialled: connect) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with dialled:
            pass
    return refusal.value.response.status_code


@pytest.mark.parametrize("protocol", BOOTS)
async def test_B02_an_unknown_station_is_pending_until_it_is_adopted(
    patient: Gateway, protocol: str
) -> None:
    station = new_id()
    async with dial(patient, station, protocol) as socket:
        wire = Wire(socket)
        assert (await wire.send("Heartbeat", {}))[0] == "SecurityError"
        assert not patient.of(StationDiscovered, station_id=station)
        for _ in range(2):
            answer = await wire.send("BootNotification", BOOTS[protocol])
            assert (answer["status"], answer["interval"]) == ("Pending", 15)
        assert (await wire.send("BootNotification", {}))[0] != "ok"
        assert (await wire.start())[0] == "SecurityError"
        await socket.send("garbage")
        (told,) = await patient.told(StationDiscovered, station_id=station)
        assert (told.operator_id, told.vendor, told.protocol) == (OPERATOR, "Acme", protocol)
        await patient.add_station(station)  # as registry tells of it when it is adopted
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 1012
    async with patient.connect(station, PASSWORD, subprotocols=[protocol]) as socket:
        answer = await Wire(socket).send("BootNotification", BOOTS[protocol])
        assert answer["status"] == "Accepted"


Call = tuple[str, dict[str, Any]]


async def called(socket: ClientConnection, station: str, gateway: Gateway) -> Call:
    """Adopt it, and read what it is called for."""
    await gateway.add_station(station, hand_over=True)
    _, message_id, _, payload = json.loads(await asyncio.wait_for(socket.recv(), 10))
    return message_id, payload


def given(payload: dict[str, Any]) -> str:
    """The password in it."""
    if "key" in payload:
        assert payload["key"] == "AuthorizationKey"
        return str(payload["value"])
    (item,) = payload["setVariableData"]
    assert (item["component"], item["variable"]) == (
        {"name": "SecurityCtrlr"}, {"name": "BasicAuthPassword"},
    )  # fmt: skip
    return str(item["attributeValue"])


def taken(protocol: str, status: str) -> dict[str, Any]:
    if protocol == "ocpp1.6":
        return {"status": status}
    item = {
        "attributeStatus": status,
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
    }
    return {"setVariableResult": [item]}


@pytest.mark.parametrize("protocol", BOOTS)
async def test_an_adopted_one_is_given_its_password_where_it_waits(
    patient: Gateway, protocol: str
) -> None:
    station = new_id()
    async with dial(patient, station, protocol) as socket:
        await Wire(socket).send("BootNotification", BOOTS[protocol])
        message_id, payload = await called(socket, station, patient)
        await socket.send(json.dumps([3, message_id, taken(protocol, "Accepted")]))
        await asyncio.wait_for(socket.wait_closed(), 10)
        assert socket.close_code == 1012
    password = given(payload)
    assert password != PASSWORD
    for _ in range(2):
        async with patient.connect(station, password, subprotocols=[protocol]) as socket:
            answer = await Wire(socket).send("BootNotification", BOOTS[protocol])
            assert answer["status"] == "Accepted"
    # It has used the new one, so the one that registry made is void.
    assert await status_of(patient.connect(station, PASSWORD)) == 401


@pytest.mark.parametrize("protocol", BOOTS)
@pytest.mark.parametrize("refusal", ["status", "error", "gone"])
async def test_one_that_takes_no_password_comes_with_the_one_that_was_shown(
    patient: Gateway, protocol: str, refusal: str
) -> None:
    station = new_id()
    async with dial(patient, station, protocol) as socket:
        await Wire(socket).send("BootNotification", BOOTS[protocol])
        message_id, payload = await called(socket, station, patient)
        if refusal == "status":
            await socket.send(json.dumps([3, message_id, taken(protocol, "Rejected")]))
        elif refusal == "error":
            await socket.send(json.dumps([4, message_id, "NotSupported", "", {}]))
        if refusal != "gone":
            await asyncio.wait_for(socket.wait_closed(), 10)
    if refusal != "gone":

        async def forgotten() -> bool:
            (row,) = await patient.rows(Station, station)
            return row.next_password_hash is None

        await eventually(forgotten)
        assert await status_of(patient.connect(station, given(payload))) == 401
    async with patient.connect(station, PASSWORD, subprotocols=[protocol]) as socket:
        answer = await Wire(socket).send("BootNotification", BOOTS[protocol])
        assert answer["status"] == "Accepted"


@pytest.mark.parametrize(
    ("protocol", "odd"),
    [
        ("ocpp1.6", {"chargingStation": "no object"}),
        ("ocpp1.6", {"vendorName": 5, "model": ["M"]}),
        ("ocpp1.6", {"chargePointVendor": "A\0cme"}),
    ],
)
async def test_an_odd_boot_of_a_stranger_harms_nobody(
    patient: Gateway, protocol: str, odd: dict[str, Any]
) -> None:
    station = new_id()
    async with dial(patient, station, protocol) as socket:
        answer = await Wire(socket).send("BootNotification", BOOTS[protocol] | odd)
        assert answer["status"] == "Pending"
        (told,) = await patient.told(StationDiscovered, station_id=station)
        # No NUL: registry could not store it, and would try for ever.
        assert told.vendor in ("Acme", "A\ufffdcme")


async def test_a_refused_one_is_sent_away_and_not_asked_about(patient: Gateway) -> None:
    station = new_id()
    async with dial(patient, station) as socket:
        await Wire(socket).send("BootNotification", BOOT16)
        await patient.service.publish(
            StationRefused(
                operator_id=OPERATOR,
                station_id=station,
                refused_until=datetime.now(UTC) + timedelta(days=1),
            )
        )
        await asyncio.wait_for(socket.wait_closed(), 10)
    assert await status_of(dial(patient, station)) == 404
    await patient.execute(
        "update refused_station set refused_until = now() where station_id = :id", id=station
    )
    async with dial(patient, station) as socket:
        answer = await Wire(socket).send("BootNotification", BOOT16)
        assert answer["status"] == "Pending"
    assert len(await patient.rows(RefusedStation, station)) == 1


async def test_strangers_are_few_and_seldom(patient: Gateway) -> None:
    async with dial(patient, new_id()) as one, dial(patient, new_id()) as two:
        for socket in (one, two):
            await Wire(socket).send("BootNotification", BOOT16)
        assert await status_of(dial(patient, new_id())) == 503
    for station in ("a%20b", "nul%00", "%C3%BCmlaut", "..%2F"):
        assert await status_of(dial(patient, station)) == 404
    tries = pending_sockets.CONNECTS_AN_ADDRESS
    for _ in range(tries):
        async with dial(patient, new_id(), address="198.51.100.7"):
            pass
    assert await status_of(dial(patient, new_id(), address="198.51.100.7")) == 429


async def test_an_unknown_station_is_refused_unless_the_setting_says_otherwise(
    gateway: Gateway,
) -> None:
    assert await status_of(dial(gateway, new_id())) == 404


async def test_in_lab_mode_any_station_is_let_in_at_once(servers: Servers, issuer: Issuer) -> None:
    async with running_gateway(
        servers, issuer, unknown_stations="accept", unknown_stations_operator_id=OPERATOR
    ) as lab:
        station = new_id()
        for password in ("", "whatever-it-has"):
            async with lab.connect(station, password) as socket:
                wire = Wire(socket)
                answer = await wire.send("BootNotification", BOOT16)
                assert answer["status"] == "Accepted"
                started = await wire.start("GOOD")
                assert started["idTagInfo"]["status"] == "Accepted"
                assert await wire.stop(started["transactionId"]) == {}
        await lab.reported(BootsReported, station, 2)
        assert {event.id for event in lab.of(StationDiscovered, station_id=station)}
        assert {event.accepted for event in lab.of(StationDiscovered, station_id=station)} == {True}
        (row,) = await lab.rows(Station, station)
        assert (row.operator_id, row.security_profile) == (OPERATOR, 0)
        rows = await lab.rows(Transaction, station)
        assert {one.operator_id for one in rows} == {OPERATOR}
        made = await lab.add_station()  # one that registry has made keeps its password
        assert await status_of(lab.connect(made, "")) == 401
