"""Transactions of OCPP 2.x: every trigger, repeats, gaps, disorder, offline."""

import asyncio
import json
from uuid import uuid4

import pytest
from gateway_wire import EVSE, Gateway, Wire, connect_v2, kinds, stamp

from common.events import IncidentOpened, MeterValuesReported, SessionEnded, SessionStarted
from csms_gateway.tables import Command, TransactionEvent, UnmatchedMessage


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_E01_S3_a_session_of_an_authorised_driver_becomes_one_transaction(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        boot = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
        assert (await wire.send("BootNotification", boot))["status"] == "Accepted"
        token = {"idToken": "GOOD", "type": "ISO14443"}
        answer = await wire.send("Authorize", {"idToken": token})
        assert answer["idTokenInfo"]["status"] == "Accepted"
        answer = await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
        (started,) = await gateway.told(SessionStarted, station_id=station)
        assert (started.transaction_id, started.meter_start_wh) == (transaction, 1000)
        assert started.card_id == gateway.identity.card_id
        state = {"chargingState": "Charging"}
        answer = await wire.event(
            "Updated", 1, "ChargingStateChanged", transaction=transaction, info=state
        )
        assert answer == {}
        await wire.event("Updated", 2, "MeterValuePeriodic", transaction=transaction, wh=1400.4)
        ended = {"stoppedReason": "EVDisconnected", "chargingState": "Idle"}
        answer = await wire.event(
            "Ended", 3, "EVDeparted", transaction=transaction, wh=1800.5, info=ended
        )
        assert answer == {}
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert over.session_id == started.session_id
    assert (over.energy_wh, over.stop_reason, kinds(over)) == (801, "EVDisconnected", [])
    (row,) = await gateway.transactions(station_id=station)
    assert (row["ocpp_id"], row["charging_state"]) == (transaction, "Idle")
    assert len(await gateway.rows(TransactionEvent, station)) == 4

    samples = [
        (str(report.session_id), str(sample.value), sample.context)
        for report in await gateway.reported(MeterValuesReported, station, 3)
        for sample in report.samples
    ]
    session = str(started.session_id)
    assert samples == [
        (session, "1000", "Transaction.Begin"),
        (session, "1400.4", "Sample.Periodic"),
        (session, "1800.5", "Transaction.End"),
    ]


async def test_E02_a_session_that_starts_with_the_cable_is_told_when_the_driver_is_known(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event("Started", 0, "CablePluggedIn", transaction=transaction, evse=EVSE, wh=500)
        assert not gateway.of(SessionStarted, station_id=station)
        answer = await wire.event("Updated", 1, "Authorized", transaction=transaction, token="BAD")
        assert answer["idTokenInfo"]["status"] == "Blocked"
        (started,) = await gateway.told(SessionStarted, station_id=station)
        assert (started.id_token, started.token_status) == ("BAD", "Blocked")
        assert kinds(started) == ["token_refused"]
        # Who ends it is not who began it.
        answer = await wire.event(
            "Ended", 2, "StopAuthorized", transaction=transaction, token="GOOD", wh=900
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.id_token, over.energy_wh) == ("BAD", 400)


async def test_E04_a_repeated_event_with_a_new_message_id_counts_once(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    at = stamp()
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        for _ in range(2):
            answer = await wire.event(
                "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE,
                timestamp=at,
            )  # fmt: skip
            assert answer["idTokenInfo"]["status"] == "Accepted"
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE,
            timestamp=at,
        )  # fmt: skip
        for _ in range(2):
            await wire.event("Ended", 1, "EVDeparted", transaction=transaction, timestamp=at)
    await gateway.told(SessionEnded, station_id=station)
    assert len(gateway.of(SessionEnded, station_id=station)) == 1
    assert len(gateway.of(SessionStarted, station_id=station)) == 1
    assert len(await gateway.rows(TransactionEvent, station)) == 2


async def test_E04_FR03_events_in_any_order_make_the_same_session(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event("Ended", 2, "EVDeparted", transaction=transaction, wh=3000)
        await wire.event(
            "Updated", 1, "MeterValuePeriodic", transaction=transaction, wh=2000, offline=True,
            timestamp=stamp(600),
        )  # fmt: skip
        assert not gateway.of(SessionEnded, station_id=station)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000,
            offline=True, timestamp=stamp(1200),
        )  # fmt: skip
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, over.evse_id, over.id_token) == (2000, 1, "GOOD")
    assert kinds(over) == []
    assert 1190 < (over.ended_at - over.started_at).total_seconds() < 1210


async def test_E04_FR06_a_session_with_lost_events_is_told_after_a_grace_with_an_incident(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
        )
        await wire.event("Ended", 3, "EVDeparted", transaction=transaction, wh=1800)
        assert not gateway.of(SessionEnded, station_id=station)
        await gateway.execute(
            "update transaction set tell_by = now() where station_id = :station", station=station
        )
        await gateway.sweep_untold(station)
        await gateway.sweep_untold(station)
        (over,) = await gateway.told(SessionEnded, station_id=station)
        assert (over.energy_wh, kinds(over)) == (800, ["missing_events"])
        assert "1, 2" in over.incidents[0].detail
        # What comes after all is kept, and somebody looks at it.
        await wire.event("Updated", 1, "MeterValuePeriodic", transaction=transaction, wh=1200)
    (late,) = await gateway.told(IncidentOpened, station_id=station)
    assert late.incident.kind == "delivered_late"
    assert len(gateway.of(SessionEnded, station_id=station)) == 1


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_31_E14_an_end_with_missing_events_is_asked_about(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    whole = str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await wire.event("Started", 0, "Authorized", transaction=whole, token="GOOD", evse=EVSE)
        await wire.event("Ended", 1, "EVDeparted", transaction=whole)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
        )
        await wire.event(
            "Ended", 3, "EVCommunicationLost", transaction=transaction, wh=1800, offline=True
        )
        _, message_id, action, payload = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert (action, payload) == ("GetTransactionStatus", {"transactionId": transaction})
        answer = {"ongoingIndicator": False, "messagesInQueue": True}
        await socket.send(json.dumps([3, message_id, answer]))
        for seq_no, trigger in ((1, "StopAuthorized"), (2, "ChargingStateChanged")):
            await wire.event("Updated", seq_no, trigger, transaction=transaction, offline=True)
    (over,) = await gateway.told(SessionEnded, station_id=station, transaction_id=transaction)
    assert kinds(over) == []
    (asked,) = await gateway.rows(Command, station)
    assert (asked.type, asked.requested_by) == ("get_transaction_status", "csms-gateway")


async def test_E12_an_offline_session_keeps_its_own_times(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.send("Heartbeat", {})
        await gateway.held(station, reachable_for_s=86_400)
        for kind, seq_no, trigger, ago, wh in (
            ("Started", 0, "Authorized", 7200, 0),
            ("Updated", 1, "MeterValuePeriodic", 5400, 4000),
            ("Ended", 2, "EVDeparted", 3600, 9000),
        ):
            await wire.event(
                kind, seq_no, trigger, transaction=transaction, offline=True, wh=wh, evse=EVSE,
                timestamp=stamp(ago), **({"token": "GOOD"} if seq_no == 0 else {}),
            )  # fmt: skip
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert over.stop_reason == "Local", "E06.FR.09: it may be left out then"
    assert 3595 < (over.ended_at - over.started_at).total_seconds() < 3605
    assert (over.energy_wh, kinds(over)) == (9000, [])


async def test_a_number_used_again_for_something_else_is_kept(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=10
        )
        assert (
            await wire.event("Updated", 0, "MeterValuePeriodic", transaction=transaction, wh=20)
            == {}
        )
    (kept,) = await gateway.rows(UnmatchedMessage, station)
    assert kept.payload["eventType"] == "Updated"
    (odd,) = await gateway.told(IncidentOpened, station_id=station)
    assert odd.incident.kind == "seq_no_reused"


async def test_a_session_without_readings_at_its_ends_takes_the_nearest(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE
        )
        sampled = {"value": 1.5, "unitOfMeasure": {"unit": "kWh"}}
        values = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        await wire.event(
            "Updated", 1, "MeterValuePeriodic", transaction=transaction, meterValue=values
        )
        sampled = {"value": 25, "unitOfMeasure": {"unit": "Wh", "multiplier": 2}}
        values = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        await wire.event(
            "Updated", 2, "MeterValuePeriodic", transaction=transaction, meterValue=values
        )
        await wire.event("Ended", 3, "EVDeparted", transaction=transaction)
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.meter_start_wh, over.meter_stop_wh, over.energy_wh) == (1500, 2500, 1000)
    assert kinds(over) == ["meter_reading_missing"]


async def test_events_that_cannot_be_are_refused_and_kept(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        assert (await wire.event("Started", 2**31, "Authorized", transaction=transaction))[0] == (
            "PropertyConstraintViolation"
        )
        assert (await wire.send("TransactionEvent", {"eventType": "Started"}))[0] == (
            "OccurrenceConstraintViolation"
        )
        assert (await wire.event("Nonsense", 0, "Authorized", transaction=transaction))[0] == (
            "PropertyConstraintViolation"
        )
        assert "currentTime" in await wire.send("Heartbeat", {})
    assert len(await gateway.rows(UnmatchedMessage, station)) == 3
