"""OCPP 2.0.1, block E: whatever begins or ends a transaction, it is one session told in full."""

from typing import Any

import pytest
from gateway_commands import Staffed, staffed
from gateway_wire import Gateway, kinds, stamp
from told_transaction import (
    ACCEPTED,
    BEGIN,
    CHARGING,
    CONNECTED,
    IDLE,
    ToldTransaction,
    authorized,
    charging,
    connector,
    meter,
    metered,
    over,
    row_of,
    state_of,
)

from common.events import SessionEnded, SessionStarted
from csms_gateway.tables import SignedMessage, TransactionEvent, UnmatchedMessage


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("state", ["SuspendedEVSE", CHARGING])
async def test_TC_E_01_E_02_E01_FR_05_FR_06_FR_11_FR_12_power_or_energy_may_begin_a_session(
    gateway: Gateway, version: str, state: str
) -> None:
    async with staffed(gateway, version) as staff:
        assert await authorized(staff.wire) == ACCEPTED
        await connector(staff.wire, "Occupied")
        assert await gateway.transactions(station_id=staff.station_id) == []
        told = ToldTransaction(staff.wire)
        answer = await told.started("ChargingStateChanged", state, token="GOOD", wh=1000)
        assert answer == ACCEPTED
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.transaction_id, started.id_token) == (told.id, "GOOD")
        assert (started.evse_id, started.connector_id, started.meter_start_wh) == (1, 1, 1000)
        assert (started.card_id, kinds(started)) == (gateway.identity.card_id, [])
        assert await state_of(gateway, told, staff.station_id) == ("open", state)
        if state != CHARGING:
            assert await told.updated("ChargingStateChanged", CHARGING) == {}
            assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_03_E_09_E01_FR_02_E02_a_cable_begins_a_session_of_nobody_till_a_card_is_shown(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        await connector(staff.wire, "Occupied")
        told = ToldTransaction(staff.wire)
        assert await told.started("CablePluggedIn", CONNECTED, wh=1000) == {}
        row = await row_of(gateway, told, staff.station_id)
        assert (row["charging_state"], row["id_token"], row["evse_id"]) == (CONNECTED, "", 1)
        assert gateway.of(SessionStarted, station_id=staff.station_id) == []
        assert await authorized(staff.wire) == ACCEPTED
        assert await told.updated("Authorized", CONNECTED, token="GOOD") == ACCEPTED
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert str(started.session_id) == row["session_id"]
        assert (started.id_token, started.meter_start_wh) == ("GOOD", 1000)
        # It began with the cable, not with the card.
        assert started.started_at.isoformat() == row["started_at"].replace("Z", "+00:00")
        assert await told.updated("ChargingStateChanged", CHARGING) == {}
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_E05_a_session_is_of_the_card_that_is_accepted_after_another_was_refused(
    gateway: Gateway, version: str
) -> None:
    gateway.identity.decisions["STRANGER"] = "Invalid"
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        await told.started("CablePluggedIn", CONNECTED, wh=1000)
        refused = await told.updated("Authorized", CONNECTED, token="STRANGER")
        assert refused == {"idTokenInfo": {"status": "Invalid"}}
        assert await told.updated("Authorized", CONNECTED, token="GOOD") == ACCEPTED
        # Whoever looks at the running session sees whose it is.
        first, then = await gateway.told(SessionStarted, 2, station_id=staff.station_id)
        assert (first.id_token, first.token_status) == ("STRANGER", "Invalid")
        assert (then.session_id, then.id_token, then.token_status, then.card_id) == (
            first.session_id, "GOOD", "Accepted", gateway.identity.card_id,
        )  # fmt: skip
        # Nor is it of who comes later, accepted or not.
        await told.updated("Authorized", CHARGING, token="STRANGER")
        gateway.identity.decisions["LATER"] = "Accepted"
        await told.updated("Authorized", CHARGING, token="LATER")
        row = await row_of(gateway, told, staff.station_id)
        assert (row["id_token"], row["token_status"]) == ("GOOD", "Accepted")
        await told.ended("EVCommunicationLost", IDLE, reason="EVDisconnected", wh=1250)
        odd = ("token_refused", "token_refused")
        ended = await over(gateway, told, staff.station_id, odd)
        assert (ended.id_token, ended.token_status) == ("GOOD", "Accepted")
        assert ended.card_id == gateway.identity.card_id
        assert len(gateway.of(SessionStarted, station_id=staff.station_id)) == 2


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_04_E_10_E_38_E01_FR_03_FR_17_E03_a_card_begins_a_session_whose_car_comes_later(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        assert await authorized(staff.wire) == ACCEPTED
        told = ToldTransaction(staff.wire)
        assert await told.started("Authorized", evse=None, token="GOOD") == ACCEPTED
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.id_token, started.evse_id) == ("GOOD", 0)
        await connector(staff.wire, "Occupied", 2)
        evse = {"id": 2, "connectorId": 1}
        first = [meter({"value": 700, "context": BEGIN})]
        plugged = await told.updated("CablePluggedIn", CONNECTED, evse=evse, meterValue=first)
        assert plugged == {}
        # TC_E_38: the car is there and takes nothing yet.
        assert await told.updated("ChargingStateChanged", "SuspendedEV") == {}
        assert await state_of(gateway, told, staff.station_id) == ("open", "SuspendedEV")
        assert await told.updated("ChargingStateChanged", CHARGING) == {}
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)
        await told.ended("EVCommunicationLost", IDLE, reason="EVDisconnected", wh=1250)
        ended = await over(gateway, told, staff.station_id)
        assert (ended.session_id, ended.evse_id) == (started.session_id, 2)
        assert (ended.meter_start_wh, ended.energy_wh) == (700, 550)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_11_E01_FR_04_a_session_may_begin_with_the_signed_value_which_is_kept(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        assert await authorized(staff.wire) == ACCEPTED
        await connector(staff.wire, "Occupied")
        told = ToldTransaction(staff.wire)
        signed = {
            "signedMeterData": "T0NNRnx7IlJWIjowLjB9fHsiU0QiOiIzMDQ0In0=",
            "signingMethod": "ECDSA-secp256r1-SHA256",
            "encodingMethod": "OCMF",
            "publicKey": "oca:base16:asn1:3059",
        }
        first = [meter({"value": 0.0, "context": BEGIN, "signedMeterValue": signed})]
        answer = await told.started("SignedDataReceived", CONNECTED, token="GOOD", meterValue=first)
        assert answer == ACCEPTED
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.id_token, started.meter_start_wh) == ("GOOD", 0)
        (kept,) = await gateway.rows(SignedMessage, staff.station_id)
        assert (kept.session_id, kept.evse_id) == (started.session_id, 1)
        assert kept.payload["meterValue"] == first
        assert await told.updated("ChargingStateChanged", CHARGING) == {}
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_12_E_19_E01_FR_01_E06_FR_01_a_session_lasts_as_long_as_a_car_is_in_the_bay(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        assert await told.started("EVDetected", evse=None) == {}
        assert await state_of(gateway, told, staff.station_id) == ("open", None)
        first = [meter({"value": 1000, "context": BEGIN})]
        await told.updated("CablePluggedIn", CONNECTED, evse=told.evse, meterValue=first)
        assert await told.updated("Authorized", CONNECTED, token="GOOD") == ACCEPTED
        await told.updated("ChargingStateChanged", CHARGING)
        assert await told.updated("StopAuthorized", CONNECTED, token="GOOD") == ACCEPTED
        await connector(staff.wire, "Available")
        await told.updated("EVCommunicationLost", IDLE)
        # The cable is out, the bay is not free: no end yet.
        assert gateway.of(SessionEnded, station_id=staff.station_id) == []
        assert await state_of(gateway, told, staff.station_id) == ("open", IDLE)
        assert await told.ended("EVDeparted", reason="Local", wh=1500) == {}
        ended = await over(gateway, told, staff.station_id)
        assert (ended.stop_reason, ended.energy_wh, ended.id_token) == ("Local", 500, "GOOD")
        assert ended.evse_id == 1
        assert len(await gateway.rows(TransactionEvent, staff.station_id)) == 7


async def closed(
    gateway: Gateway, staff: Staffed, told: ToldTransaction, end: tuple[str, str, str], **more: Any
) -> None:
    """A session of charging() with the end of this trigger, charging state and reason."""
    trigger, state, reason = end
    assert gateway.of(SessionEnded, station_id=staff.station_id) == []
    answer = await told.ended(trigger, state, reason=reason, wh=1700, **more)
    assert answer == (ACCEPTED if "token" in more else {})
    ended = await over(gateway, told, staff.station_id)
    assert (ended.stop_reason, ended.energy_wh, ended.id_token) == (reason, 700, "GOOD")
    assert (ended.meter_start_wh, ended.meter_stop_wh) == (1000, 1700)
    assert await state_of(gateway, told, staff.station_id) == ("ended", state or CHARGING)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("card", [{}, {"token": "GOOD"}], ids=["TC_E_07", "TC_E_15"])
async def test_TC_E_07_E_15_E06_FR_03_FR_06_E07_who_stops_with_or_without_a_card_ends_the_session(
    gateway: Gateway, version: str, card: dict[str, str]
) -> None:
    async with charging(gateway, version) as (staff, told):
        await closed(gateway, staff, told, ("StopAuthorized", "", "Local"), **card)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_08_E06_FR_07_E07_FR_02_a_stop_by_card_is_no_end_until_the_energy_stops(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        assert await told.updated("StopAuthorized", CHARGING, token="GOOD") == ACCEPTED
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)
        await closed(gateway, staff, told, ("ChargingStateChanged", CONNECTED, "Local"))


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_14_E06_FR_02_a_cable_pulled_at_the_station_ends_the_session(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        assert await told.updated("StopAuthorized", CHARGING, token="GOOD") == ACCEPTED
        assert await told.updated("ChargingStateChanged", CONNECTED) == {}
        await connector(staff.wire, "Available")
        await closed(gateway, staff, told, ("EVCommunicationLost", IDLE, "EVDisconnected"))


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("freed", [False, True], ids=["TC_E_17", "TC_E_20"])
async def test_TC_E_17_E_20_E06_FR_02_E09_a_cable_pulled_at_the_car_may_end_the_session(
    gateway: Gateway, version: str, *, freed: bool
) -> None:
    async with charging(gateway, version) as (staff, told):
        assert await told.updated("ChargingStateChanged", "SuspendedEV") == {}
        if freed:
            await connector(staff.wire, "Available")
        assert await state_of(gateway, told, staff.station_id) == ("open", "SuspendedEV")
        await closed(gateway, staff, told, ("EVCommunicationLost", IDLE, "EVDisconnected"))


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(("ChargingStateChanged", "SuspendedEV", "StoppedByEV"), id="TC_E_22"),
        # ISO 15118's SessionStop: the car ends its authorisation, and shows no card for that.
        pytest.param(("StopAuthorized", CONNECTED, "StoppedByEV"), id="E15_FR_04"),
    ],
)
async def test_TC_E_22_E06_FR_07_E15_FR_04_a_car_that_takes_no_more_may_end_the_session(
    gateway: Gateway, version: str, end: tuple[str, str, str]
) -> None:
    async with charging(gateway, version) as (staff, told):
        await closed(gateway, staff, told, end)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_21_F03_FR_01_a_remote_stop_names_the_stations_own_transaction_and_ends_it(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        stop = {"type": "remote_stop", "session_id": str(started.session_id)}
        done, calls = await staff.send(stop)
        assert calls == [("RequestStopTransaction", {"transactionId": told.id})]
        assert done["state"] == "accepted"
        # Taken is not ended: that the station tells.
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)
        await closed(gateway, staff, told, ("RemoteStop", CONNECTED, "Remote"))


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_26_E10_a_car_unplugged_and_back_is_still_the_same_session(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        assert await told.updated("ChargingStateChanged", "SuspendedEV") == {}
        assert await told.updated("EVCommunicationLost", IDLE) == {}
        await connector(staff.wire, "Available")
        # A free connector ends nothing: the transaction is the station's to end.
        assert await state_of(gateway, told, staff.station_id) == ("open", IDLE)
        assert gateway.of(SessionEnded, station_id=staff.station_id) == []
        await connector(staff.wire, "Occupied")
        assert await told.updated("CablePluggedIn", CONNECTED) == {}
        assert await told.updated("ChargingStateChanged", CHARGING, wh=1200) == {}
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)
        await closed(gateway, staff, told, ("EVCommunicationLost", IDLE, "EVDisconnected"))
        assert len(gateway.of(SessionStarted, station_id=staff.station_id)) == 1


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_39_E03_FR_05_a_driver_who_plugs_nothing_in_has_a_session_without_energy(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        assert await authorized(staff.wire) == ACCEPTED
        told = ToldTransaction(staff.wire)
        assert await told.started("Authorized", token="GOOD", wh=1000) == ACCEPTED
        assert await told.ended("EVConnectTimeout", reason="Timeout", wh=1000) == {}
        ended = await over(gateway, told, staff.station_id)
        assert (ended.stop_reason, ended.energy_wh, ended.id_token) == ("Timeout", 0, "GOOD")


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_E_53_E01_FR_07_each_transaction_counts_its_events_from_zero(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        sessions = []
        for start_wh in (1000, 2000):
            told = ToldTransaction(staff.wire)
            answer = await told.started("Authorized", CONNECTED, token="GOOD", wh=start_wh)
            assert answer == ACCEPTED
            assert await told.updated("ChargingStateChanged", CHARGING) == {}
            await told.ended("EVDeparted", IDLE, reason="EVDisconnected", wh=start_wh + 300)
            ended = await over(gateway, told, staff.station_id)
            assert (ended.meter_start_wh, ended.energy_wh) == (start_wh, 300)
            sessions.append(ended.session_id)
        rows = await gateway.rows(TransactionEvent, staff.station_id)
        assert sorted(row.seq_no for row in rows) == [0, 0, 1, 1, 2, 2]
        reports = await metered(gateway, staff.station_id, 4)
        first, second = sessions
        assert [one.session_id for one in reports] == [first, first, second, second]
        assert first != second


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_E04_a_session_begun_while_offline_goes_on_with_the_stations_own_times(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        offline = {"offline": True, "timestamp": stamp(3600), "wh": 1000}
        assert await told.started("Authorized", CONNECTED, token="GOOD", **offline) == ACCEPTED
        queued = {"offline": True, "timestamp": stamp(1800), "wh": 1400}
        assert await told.updated("MeterValuePeriodic", CHARGING, **queued) == {}
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.card_id, kinds(started)) == (gateway.identity.card_id, [])
        assert await told.ended("EVDeparted", IDLE, reason="EVDisconnected", wh=1700) == {}
        ended = await over(gateway, told, staff.station_id)
        assert (ended.session_id, ended.energy_wh) == (started.session_id, 700)
        lasted_s = (ended.ended_at - ended.started_at).total_seconds()
        assert lasted_s == pytest.approx(3600, abs=5)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize("at_once", [False, True], ids=["E05_FR_09", "E05_FR_10"])
async def test_E05_FR_01_FR_09_FR_10_a_station_that_let_a_blocked_card_start_is_told_so(
    gateway: Gateway, version: str, *, at_once: bool
) -> None:
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        answer = await told.started("Authorized", CONNECTED, token="BAD", wh=1000)
        assert answer == {"idTokenInfo": {"status": "Blocked"}}
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.id_token, started.token_status) == ("BAD", "Blocked")
        assert kinds(started) == ["token_refused"]
        trigger, reason = "Deauthorized", "DeAuthorized"
        if not at_once:
            assert await told.updated("Deauthorized", CONNECTED) == {}
            assert await state_of(gateway, told, staff.station_id) == ("open", CONNECTED)
            trigger, reason = "EVCommunicationLost", "EVDisconnected"
        assert await told.ended(trigger, IDLE, reason=reason, wh=1000) == {}
        ended = await over(gateway, told, staff.station_id, odd=("token_refused",))
        assert (ended.stop_reason, ended.token_status, ended.energy_wh) == (reason, "Blocked", 0)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_E08_E11_a_session_goes_on_and_is_stopped_while_its_station_is_cut_off(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version, ago_s=3600) as (staff, told):
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
    async with staffed(gateway, version, staff.station_id) as staff:
        told.wire = staff.wire
        assert await state_of(gateway, told, staff.station_id) == ("open", CHARGING)
        queued: dict[str, Any] = {"offline": True, "timestamp": stamp(1800)}
        values = [meter({"value": 1500, "context": "Sample.Periodic"}, ago_s=1800)]
        assert await told.updated("MeterValuePeriodic", meterValue=values, **queued) == {}
        values = [meter({"value": 2000, "context": "Transaction.End"}, ago_s=900)]
        queued |= {"timestamp": stamp(900), "reason": "Local", "token": "GOOD"}
        answer = await told.ended("StopAuthorized", CONNECTED, meterValue=values, **queued)
        assert answer == ACCEPTED
        ended = await over(gateway, told, staff.station_id)
    assert (ended.session_id, ended.energy_wh) == (started.session_id, 1000)
    assert ended.started_at == started.started_at
    reports = await metered(gateway, staff.station_id, 3)
    assert {report.session_id for report in reports} == {started.session_id}
    moments = [report.samples[0].sampled_at for report in reports] + [ended.ended_at]
    after_s = [(moment - started.started_at).total_seconds() for moment in moments]
    assert after_s == pytest.approx([0, 1800, 2700, 2700], abs=5)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_E13_what_an_event_that_cannot_be_accepted_says_is_kept_and_missed(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        broken = {
            "eventType": "Updated", "timestamp": stamp(), "seqNo": told.seq_no,
            "transactionInfo": {"transactionId": told.id}, "meterValue": [meter({"value": 1600})],
        }  # fmt: skip
        for _ in range(3):  # MessageAttemptsTransactionEvent
            refused = await staff.wire.send("TransactionEvent", broken)
            assert refused[0] == "OccurrenceConstraintViolation"
        (kept,) = await gateway.rows(UnmatchedMessage, staff.station_id)
        assert kept.payload == broken
        told.seq_no += 1
        await told.ended("EVDeparted", IDLE, reason="EVDisconnected", wh=1700)
        assert await staff.asked({"ongoingIndicator": False, "messagesInQueue": False}) == (
            "GetTransactionStatus",
            {"transactionId": told.id},
        )
        assert gateway.of(SessionEnded, station_id=staff.station_id) == []
        await gateway.execute(
            "update transaction set tell_by = now() where station_id = :station",
            station=staff.station_id,
        )
        await gateway.sweep_untold(staff.station_id)
        ended = await over(gateway, told, staff.station_id, odd=("missing_events",))
        assert (ended.energy_wh, ended.incidents[0].detail) == (
            700,
            f"events {told.seq_no - 2} of the station never came",
        )
