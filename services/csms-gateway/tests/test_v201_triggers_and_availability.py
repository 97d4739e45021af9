"""OCPP 2.0.1: what is triggered arrives (F06), connectors go out of service and back (G01 to G05),
and what a vendor adds to a message is no obstacle (P).
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from asked_station import Station, station
from gateway_wire import EVSE, OPERATOR, Gateway, stamp

from common.events import (
    ConnectionsReported,
    MeterValuesReported,
    SessionEnded,
    SessionStarted,
    StatusesReported,
)

V201 = "ocpp2.0.1"
ACCEPTED = {"status": "Accepted"}


def event(component: str, variable: str, value: str, evse: dict[str, int]) -> dict[str, Any]:
    data = {
        "eventId": 1, "timestamp": stamp(), "trigger": "Delta", "actualValue": value,
        "eventNotificationType": "HardWiredNotification",
        "component": {"name": component, "evse": evse}, "variable": {"name": variable},
    }  # fmt: skip
    return {"generatedAt": stamp(), "seqNo": 0, "eventData": [data]}


async def tell(charger: Station, word: str, evse_id: int, connector_id: int, how: str) -> None:
    if how == "StatusNotification":
        payload = {
            "timestamp": stamp(), "connectorStatus": word, "evseId": evse_id,
            "connectorId": connector_id,
        }  # fmt: skip
    else:
        where = {"id": evse_id, "connectorId": connector_id}
        payload = event("Connector", "AvailabilityState", word, where)
    assert await charger.send(how, payload) == {}


async def heard(charger: Station, count: int) -> list[tuple[int, int, str]]:
    """Every status that others were told of the station."""
    found = await charger.gateway.reported(StatusesReported, charger.id, count)
    return [(one.evse_id, one.connector_id, one.status) for one in found]


async def triggered(charger: Station, message: str, **where: int) -> None:
    command = {"type": "trigger_message", "message": message}
    evse = {"evse_id": "id", "connector_id": "connectorId"}
    wire: dict[str, Any] = {"requestedMessage": message}
    if where:
        wire["evse"] = {evse[name]: value for name, value in where.items()}
    (call,), done = await charger.ask(command | where, ACCEPTED)
    assert (call, done["state"]) == (("TriggerMessage", wire), "accepted")


@pytest.mark.parametrize("where", [{"evse_id": 1}, {}])
async def test_TC_F_11_and_F_12_triggered_readings_are_told_as_such(
    gateway: Gateway, where: dict[str, int]
) -> None:
    evse_ids = [1] if where else [1, 2]
    async with station(gateway, V201) as charger:
        await triggered(charger, "MeterValues", **where)
        for evse_id in evse_ids:
            sampled = {"value": 1000 + evse_id, "context": "Trigger"}
            reading = {"timestamp": stamp(), "sampledValue": [sampled]}
            payload = {"evseId": evse_id, "meterValue": [reading]}
            assert await charger.send("MeterValues", payload) == {}
        found = await gateway.reported(MeterValuesReported, charger.id, len(evse_ids))
        read = [(one.evse_id, int(one.samples[0].value), one.samples[0].context) for one in found]
        assert read == [(evse_id, 1000 + evse_id, "Trigger") for evse_id in evse_ids]


@pytest.mark.parametrize("where", [{"evse_id": 1}, {}])
async def test_TC_F_13_and_F_14_a_triggered_event_is_of_its_session(
    gateway: Gateway, where: dict[str, int]
) -> None:
    async with station(gateway, V201) as charger:
        transaction = uuid4().hex
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=transaction, evse=EVSE
        )
        (begun,) = await gateway.told(SessionStarted, station_id=charger.id)
        await triggered(charger, "TransactionEvent", **where)
        reading = {"value": 1234, "context": "Trigger"}
        named = {"evse": {"id": 1}} if where else {}
        answer = await charger.event(
            "Updated", 1, "Trigger", transaction=transaction, info={"chargingState": "Charging"},
            meterValue=[{"timestamp": stamp(), "sampledValue": [reading]}], **named,
        )  # fmt: skip
        assert answer == {}
        (known,) = await gateway.transactions(station_id=charger.id)
        assert (known["charging_state"], known["evse_id"], known["incidents"]) == (
            "Charging",
            1,
            [],
        )
        (told,) = await gateway.reported(MeterValuesReported, charger.id)
        assert (told.session_id, told.evse_id) == (begun.session_id, 1)
        assert [(int(one.value), one.context) for one in told.samples] == [(1234, "Trigger")]


@pytest.mark.parametrize(
    ("message", "where"),
    [("LogStatusNotification", "log-uploads"), ("FirmwareStatusNotification", "firmware-updates")],
)
async def test_TC_F_15_and_F_18_a_station_at_nothing_is_idle_for_no_command(
    gateway: Gateway, message: str, where: str
) -> None:
    async with station(gateway, V201) as charger:
        await triggered(charger, message)
        assert await charger.send(message, {"status": "Idle"}) == {}
        (found,) = (await charger.get(f"/v1/stations/{charger.id}/{where}"))["items"]
        assert (found["status"], found["outcome"]) == ("idle", "idle")
        assert (found["request_id"], found["command_id"]) == (None, None)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_F_20_a_triggered_heartbeat_is_told_the_time(
    gateway: Gateway, version: str
) -> None:
    async with station(gateway, version) as charger:
        await triggered(charger, "Heartbeat")
        before = stamp()
        assert (await charger.send("Heartbeat", {}))["currentTime"][:16] >= before[:16]


@pytest.mark.parametrize("how", ["StatusNotification", "NotifyEvent"])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_F_23_and_F_24_a_triggered_status_is_told_in_either_message(
    gateway: Gateway, how: str, version: str
) -> None:
    async with station(gateway, version) as charger:
        for word in ("Available", "Occupied"):
            await triggered(charger, "StatusNotification", evse_id=1, connector_id=1)
            await tell(charger, word, 1, 1, how)
        assert await heard(charger, 2) == [(1, 1, "available"), (1, 1, "occupied")]


@pytest.mark.parametrize("how", ["StatusNotification", "NotifyEvent"])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_G01_every_status_of_a_connector_is_told_and_no_other_components(
    gateway: Gateway, version: str, how: str
) -> None:
    words = ("Occupied", "Reserved", "Faulted", "Unavailable", "Available")
    async with station(gateway, version) as charger:
        for component, evse in (("EVSE", {"id": 1}), ("Connector", {"id": 1})):
            payload = event(component, "AvailabilityState", "Faulted", evse)
            assert await charger.send("NotifyEvent", payload) == {}
        for word in words:
            await tell(charger, word, 2, 1, how)
        assert await heard(charger, len(words)) == [(2, 1, word.lower()) for word in words]


@pytest.mark.parametrize("how", ["StatusNotification", "NotifyEvent"])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("changed", [{(1, 1), (2, 1)}, {(2, 1)}])
async def test_B04_FR_01_and_FR_02_an_idle_station_that_was_cut_off_goes_on_without_a_boot(
    gateway: Gateway, version: str, how: str, changed: set[tuple[int, int]]
) -> None:
    """After more than OfflineThreshold it tells of every connector, else of those that changed."""
    async with station(gateway, version) as charger:
        for evse_id in (1, 2):
            await tell(charger, "Available", evse_id, 1, how)
        before = await heard(charger, 2)
    async with gateway.connect(charger.id, subprotocols=[version]) as socket:
        back = Station(gateway, charger.id, socket)
        for evse_id, connector_id in sorted(changed):
            word = "Occupied" if evse_id == 2 else "Available"
            await tell(back, word, evse_id, connector_id, how)
        found = await heard(back, 2 + len(changed))
        assert found[:2] == before
        assert (1, 1, "occupied") not in found
        assert found[-1] == (2, 1, "occupied")
        # Others heard of the gap, and that what is told now is of the new connection.
        reports = await gateway.reported(ConnectionsReported, charger.id, 3)
        assert [(one.generation, one.connected) for one in sorted(
            reports, key=lambda one: (one.generation, not one.connected)
        )] == [(1, True), (1, False), (2, True)]  # fmt: skip
        told = await gateway.reported(StatusesReported, charger.id, 2 + len(changed))
        assert [one.generation for one in told] == [1, 1] + [2] * len(changed)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_G02_FR_03_a_heartbeat_is_answered_with_the_time_before_the_boot_too(
    gateway: Gateway, version: str
) -> None:
    async with station(gateway, version) as charger:
        for _ in range(2):
            before = datetime.now(UTC)
            answer = await charger.send("Heartbeat", {})
            assert answer.keys() == {"currentTime"}
            told = datetime.fromisoformat(answer["currentTime"])
            # It is told in whole milliseconds.
            assert before - timedelta(milliseconds=1) <= told <= datetime.now(UTC)
            box = {"vendorName": "V", "model": "M"}
            boot = {"reason": "PowerUp", "chargingStation": box}
            assert (await charger.send("BootNotification", boot))["status"] == "Accepted"


async def test_TC_F_27_a_message_that_the_station_cannot_send_is_refused(gateway: Gateway) -> None:
    async with station(gateway, V201) as charger:
        command = {"type": "trigger_message", "message": "MeterValues"}
        _, done = await charger.ask(command, {"status": "NotImplemented"})
        assert (done["state"], done["result"]) == ("rejected", {"status": "NotImplemented"})


@pytest.mark.parametrize("how", ["StatusNotification", "NotifyEvent"])
@pytest.mark.parametrize(
    ("where", "connectors"),
    [
        ({"evse_id": 1}, [(1, 1), (1, 2)]),
        ({}, [(1, 1), (1, 2), (2, 1)]),
        ({"evse_id": 1, "connector_id": 2}, [(1, 2)]),
    ],
)
async def test_TC_G_03_to_08_out_of_service_and_back(
    gateway: Gateway, where: dict[str, int], connectors: list[tuple[int, int]], how: str
) -> None:
    wire = {"id": where.get("evse_id"), "connectorId": where.get("connector_id")}
    evse = {name: value for name, value in wire.items() if value}
    async with station(gateway, V201) as charger:
        for operative, asked, word in (
            (False, "Inoperative", "Unavailable"),
            (True, "Operative", "Available"),
        ):
            command = {"type": "change_availability", "operative": operative} | where
            (call,), done = await charger.ask(command, ACCEPTED)
            payload = {"operationalStatus": asked} | ({"evse": evse} if evse else {})
            assert (call, done["state"]) == (("ChangeAvailability", payload), "accepted")
            for evse_id, connector_id in connectors:
                await tell(charger, word, evse_id, connector_id, how)
        told = await heard(charger, 2 * len(connectors))
        assert told == [(*one, word) for word in ("unavailable", "available") for one in connectors]


@pytest.mark.parametrize("where", [{"evse_id": 1}, {}, {"evse_id": 1, "connector_id": 1}])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_G_11_and_G_14_and_G_17_a_session_goes_on_until_its_end(
    gateway: Gateway, where: dict[str, int], version: str
) -> None:
    async with station(gateway, version) as charger:
        transaction = uuid4().hex
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=transaction, evse=EVSE, wh=100
        )
        command = {"type": "change_availability", "operative": False} | where
        _, done = await charger.ask(command, {"status": "Scheduled"})
        assert (done["state"], done["result"]) == ("accepted", {"status": "Scheduled"})
        if not where:
            await tell(charger, "Unavailable", 2, 1, "StatusNotification")
        assert gateway.of(SessionEnded, station_id=charger.id) == []
        await charger.event(
            "Ended", 1, "StopAuthorized", transaction=transaction, evse=EVSE, wh=600,
            info={"stoppedReason": "Local"},
        )  # fmt: skip
        await tell(charger, "Unavailable", 1, 1, "StatusNotification")
        (ended,) = await gateway.told(SessionEnded, station_id=charger.id)
        assert (ended.energy_wh, ended.stop_reason, ended.incidents) == (500, "Local", ())
        first = [] if where else [(2, 1, "unavailable")]
        assert await heard(charger, len(first) + 1) == [*first, (1, 1, "unavailable")]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_G_20_a_lock_that_fails_is_known(gateway: Gateway, version: str) -> None:
    async with station(gateway, version) as charger:
        payload = event("ConnectorPlugRetentionLock", "Problem", "true", EVSE)
        assert await charger.send("NotifyEvent", payload) == {}
        assert await charger.notified("NotifyEvent") == [payload]
        async with gateway.service.as_(OPERATOR, "stations:read") as api:
            found = await api.get(f"/v1/stations/{charger.id}/variables")
        (row,) = found.json()["items"]
        assert (row["component"], row["variable"], row["value"]) == (
            "ConnectorPlugRetentionLock", "Problem", "true",
        )  # fmt: skip
        assert (row["evse_id"], row["connector_id"]) == (1, 1)


async def test_TC_P_03_what_a_vendor_adds_is_kept_and_disturbs_nothing(gateway: Gateway) -> None:
    custom = {"vendorId": "org.example", "anything": {"deep": [1, "two"]}}
    async with station(gateway, V201) as charger:
        status = {
            "timestamp": stamp(), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1,
            "customData": custom,
        }  # fmt: skip
        assert await charger.send("StatusNotification", status) == {}
        assert await heard(charger, 1) == [(1, 1, "occupied")]
        transaction = uuid4().hex
        answer = await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=transaction, evse=EVSE,
            customData=custom, info={"customData": custom},
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Accepted"
        (known,) = await gateway.transactions(station_id=charger.id)
        path = f"/v1/transactions/{known['id']}/events"
        (kept,) = (await charger.get(path))["items"]
        assert kept["payload"]["customData"] == custom
        assert kept["payload"]["transactionInfo"]["customData"] == custom
