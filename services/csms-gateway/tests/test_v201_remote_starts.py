"""OCPP 2.0.1, F01 and F02: the session that comes of a remote start, whatever came first."""

from typing import Any
from uuid import uuid4

import pytest
from asked_station import Station, station
from gateway_wire import EVSE, Gateway

from common.events import SessionEnded, SessionStarted

V201 = "ocpp2.0.1"
TWO = pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
START = {"type": "remote_start", "id_token": "GOOD", "id_token_type": "ISO14443", "evse_id": 1}


async def asked(charger: Station, **answer: Any) -> tuple[int, str]:
    """The remoteStartId of the call that asked for a session, and its command's id."""
    ((action, payload),), done = await charger.ask(START, {"status": "Accepted"} | answer)
    number: int = payload.pop("remoteStartId")
    token = {"idToken": "GOOD", "type": "ISO14443"}
    assert (action, payload) == ("RequestStartTransaction", {"idToken": token, "evseId": 1})
    assert done["state"] == "accepted"
    return number, done["id"]


async def came_of(charger: Station, command_id: str) -> dict[str, Any]:
    """The transaction that a command names as what came of it."""
    path = f"/v1/stations/{charger.id}/commands/{command_id}"
    command = await charger.eventually(path, lambda found: found["session_id"])
    (known,) = await charger.gateway.transactions(station_id=charger.id)
    assert command["session_id"] == known["session_id"]
    return known


@TWO
async def test_TC_F_01_a_remote_start_takes_the_session_of_the_plugged_cable(
    gateway: Gateway, version: str
) -> None:
    async with station(gateway, version) as charger:
        transaction = uuid4().hex
        await charger.event(
            "Started", 0, "CablePluggedIn", transaction=transaction, evse=EVSE,
            info={"chargingState": "EVConnected"},
        )  # fmt: skip
        number, command_id = await asked(charger, transactionId=transaction)
        answer = await charger.event(
            "Updated", 1, "RemoteStart", token="GOOD", transaction=transaction, evse=EVSE,
            info={"remoteStartId": number, "chargingState": "EVConnected"},
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Accepted"
        charging = {"chargingState": "Charging"}
        await charger.event(
            "Updated", 2, "ChargingStateChanged", transaction=transaction, info=charging
        )
        known = await came_of(charger, command_id)
        assert (known["ocpp_id"], known["remote_start_id"]) == (transaction, number)
        assert (known["id_token"], known["charging_state"]) == ("GOOD", "Charging")
        assert known["incidents"] == []
        (told,) = await gateway.told(SessionStarted, station_id=charger.id)
        assert (told.transaction_id, told.token_status) == (transaction, "Accepted")


async def test_TC_F_02_and_F_03_a_remote_start_before_the_cable(gateway: Gateway) -> None:
    for authorizes in (True, False):
        async with station(gateway, V201) as charger:
            number, command_id = await asked(charger)
            if authorizes:
                token = {"idToken": "GOOD", "type": "ISO14443"}
                answer = await charger.send("Authorize", {"idToken": token})
                assert answer["idTokenInfo"]["status"] == "Accepted"
            transaction = uuid4().hex
            answer = await charger.event(
                "Started", 0, "RemoteStart", token="GOOD", transaction=transaction,
                info={"remoteStartId": number},
            )  # fmt: skip
            assert answer["idTokenInfo"]["status"] == "Accepted"
            await charger.event(
                "Updated", 1, "CablePluggedIn", transaction=transaction, evse=EVSE,
                info={"chargingState": "EVConnected"},
            )  # fmt: skip
            known = await came_of(charger, command_id)
            assert (known["evse_id"], known["connector_id"]) == (1, 1)
            assert (known["remote_start_id"], known["incidents"]) == (number, [])
            (told,) = await gateway.told(SessionStarted, station_id=charger.id)
            assert told.token_status == "Accepted"


async def test_TC_F_04_a_remote_start_that_no_cable_followed_ends_without_energy(
    gateway: Gateway,
) -> None:
    async with station(gateway, V201) as charger:
        number, command_id = await asked(charger)
        transaction = uuid4().hex
        await charger.event(
            "Started", 0, "RemoteStart", token="GOOD", transaction=transaction, evse=EVSE, wh=50,
            info={"remoteStartId": number},
        )  # fmt: skip
        await charger.event("Updated", 1, "EVConnectTimeout", transaction=transaction)
        known = await came_of(charger, command_id)
        assert known["ended_at"] is None  # the station has not said so
        await charger.event(
            "Ended", 2, "EVConnectTimeout", transaction=transaction, evse=EVSE, wh=50,
            info={"stoppedReason": "Timeout"},
        )  # fmt: skip
        (ended,) = await gateway.told(SessionEnded, station_id=charger.id)
        assert (ended.energy_wh, ended.stop_reason) == (0, "Timeout")
        assert str(ended.session_id) == known["session_id"]


@TWO
async def test_F04_a_session_of_a_contract_ends_at_our_request_once_the_cable_is_out(
    gateway: Gateway, version: str
) -> None:
    emaid = "DEABCC00000004"
    gateway.identity.decisions[emaid] = "Accepted"
    async with station(gateway, version) as charger:
        transaction = uuid4().hex
        await charger.event(
            "Started", 0, "Authorized", idToken={"idToken": emaid, "type": "eMAID"}, wh=1000,
            transaction=transaction, evse=EVSE, info={"chargingState": "Charging"},
        )  # fmt: skip
        (known,) = await gateway.transactions(station_id=charger.id)
        stop = {"type": "remote_stop", "session_id": known["session_id"]}
        (call,), done = await charger.ask(stop, {"status": "Accepted"})
        assert call == ("RequestStopTransaction", {"transactionId": transaction})
        assert done["state"] == "accepted"
        connected = {"chargingState": "EVConnected"}
        await charger.event(
            "Updated", 1, "RemoteStop", transaction=transaction, wh=1800, info=connected
        )
        (known,) = await gateway.transactions(station_id=charger.id)
        assert (known["ended_at"], known["charging_state"]) == (None, "EVConnected")
        await charger.event(
            "Ended", 2, "EVCommunicationLost", transaction=transaction, wh=1800,
            info={"stoppedReason": "Remote"},
        )  # fmt: skip
        (ended,) = await gateway.told(SessionEnded, station_id=charger.id)
        assert (ended.energy_wh, ended.stop_reason, ended.incidents) == (800, "Remote", ())
