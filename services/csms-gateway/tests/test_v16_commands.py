"""Commands in OCPP 1.6: what a charger is sent, and what is refused because 1.6 cannot say it."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from websockets.asyncio.client import ClientConnection

LOCATION = "ftp://files.example/fw.bin"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
AT = "2030-01-01T02:00:00+02:00"
AT_UTC = "2030-01-01T00:00:00.000Z"


async def asked(
    gateway: Gateway, station: str, socket: ClientConnection, command: dict[str, Any], answer: Any
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Send a command, answer the call it becomes: its action and payload, the command after."""

    async def post() -> dict[str, Any]:
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            response = await api.post(
                f"/v1/stations/{station}/commands",
                json=command,
                headers={"Idempotency-Key": uuid4().hex},
                params={"wait_s": 10},
            )
        assert response.status_code == 200, response.text
        done: dict[str, Any] = response.json()
        return done

    posted = asyncio.ensure_future(post())
    call = json.loads(await asyncio.wait_for(socket.recv(), 5))
    frame = [4, call[1], answer[0], answer[1], {}] if isinstance(answer, list) else None
    await socket.send(json.dumps(frame or [3, call[1], answer]))
    return call[2], call[3], await posted


async def refused(gateway: Gateway, station: str, command: dict[str, Any]) -> str:
    """Why a command that is sent nowhere has failed."""
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        response = await api.post(
            f"/v1/stations/{station}/commands", json=command, params={"wait_s": 10}
        )
    assert response.status_code == 200, response.text
    done = response.json()
    assert (done["state"], done["result"]["code"], done["calls"]) == ("failed", "NotSupported", [])
    why: str = done["result"]["description"]
    return why


SIGNED = {"signing_certificate": PEM, "signature": "c2ln"}


@pytest.mark.parametrize(
    ("command", "action", "payload", "answer", "state"),
    [
        pytest.param(
            {"type": "unlock_connector", "evse_id": 2},
            "UnlockConnector", {"connectorId": 2}, {"status": "Unlocked"}, "accepted",
            id="TC_017_1",
        ),
        pytest.param(
            {"type": "unlock_connector", "evse_id": 1},
            "UnlockConnector", {"connectorId": 1}, {"status": "UnlockFailed"}, "rejected",
            id="TC_030",
        ),
        pytest.param(
            {"type": "unlock_connector", "evse_id": 1},
            "UnlockConnector", {"connectorId": 1}, {"status": "NotSupported"}, "rejected",
            id="TC_017_2_and_TC_031",
        ),
        pytest.param(
            {"type": "reset", "when": "immediate"},
            "Reset", {"type": "Hard"}, {"status": "Accepted"}, "accepted", id="TC_013",
        ),
        pytest.param(
            {"type": "reset"}, "Reset", {"type": "Soft"}, {"status": "Accepted"}, "accepted",
            id="TC_014",
        ),
        pytest.param(
            {"type": "change_availability", "operative": False},
            "ChangeAvailability", {"connectorId": 0, "type": "Inoperative"},
            {"status": "Scheduled"}, "accepted", id="5.2_station",
        ),
        pytest.param(
            {"type": "change_availability", "operative": True, "evse_id": 2, "connector_id": 1},
            "ChangeAvailability", {"connectorId": 2, "type": "Operative"},
            {"status": "Accepted"}, "accepted", id="5.2_connector",
        ),
        pytest.param(
            {"type": "clear_cache"}, "ClearCache", {}, {"status": "Accepted"}, "accepted",
            id="TC_061",
        ),
        pytest.param(
            {"type": "trigger_message", "message": "MeterValues", "evse_id": 1},
            "TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1},
            {"status": "Accepted"}, "accepted", id="TC_054",
        ),
        pytest.param(
            {"type": "trigger_message", "message": "MeterValues"},
            "TriggerMessage", {"requestedMessage": "MeterValues"},
            {"status": "Rejected"}, "rejected", id="TC_055",
        ),
        pytest.param(
            {"type": "trigger_message", "message": "DiagnosticsStatusNotification"},
            "TriggerMessage", {"requestedMessage": "DiagnosticsStatusNotification"},
            {"status": "NotImplemented"}, "rejected", id="5.17",
        ),
        pytest.param(
            {"type": "trigger_message", "message": "SignChargePointCertificate"},
            "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"},
            {"status": "Accepted"}, "accepted", id="TC_074",
        ),
        pytest.param(
            {"type": "trigger_message", "message": "SignChargingStationCertificate"},
            "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"},
            {"status": "Accepted"}, "accepted", id="TC_077",
        ),
        pytest.param(
            {"type": "trigger_message", "message": "LogStatusNotification"},
            "ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"},
            {"status": "NotImplemented"}, "rejected", id="security_5.5",
        ),
        pytest.param(
            {"type": "data_transfer", "vendor_id": "com.vendor", "message_id": "m", "data": "{}"},
            "DataTransfer", {"vendorId": "com.vendor", "messageId": "m", "data": "{}"},
            {"status": "UnknownMessageId"}, "rejected", id="5.6",
        ),
        pytest.param(
            {
                "type": "update_firmware", "location": LOCATION, "retrieve_at": AT,
                "retries": 2, "retry_interval_s": 60,
            },
            "UpdateFirmware",
            {"location": LOCATION, "retrieveDate": AT_UTC, "retries": 2, "retryInterval": 60},
            {}, "accepted", id="TC_044_1",
        ),
        pytest.param(
            {
                "type": "get_log", "location": LOCATION, "oldest_at": AT, "latest_at": AT,
                "retries": 0, "retry_interval_s": 9,
            },
            "GetDiagnostics",
            {
                "location": LOCATION, "startTime": AT_UTC, "stopTime": AT_UTC,
                "retries": 0, "retryInterval": 9,
            },
            {"fileName": "log.zip"}, "accepted", id="TC_045_1",
        ),
    ],
)  # fmt: skip
async def test_TC_017_1_TC_017_2_TC_030_TC_031_TC_054_TC_055_TC_061_S_5_2_S_5_6_calls_of_ours(
    gateway: Gateway,
    command: dict[str, Any],
    action: str,
    payload: dict[str, Any],
    answer: dict[str, Any],
    state: str,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        sent = await asked(gateway, station, socket, command, answer)
    assert sent[:2] == (action, payload)
    assert (sent[2]["state"], sent[2]["result"]) == (state, answer)


async def test_TC_079_the_security_log_is_asked_for_with_a_number_of_its_own(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    command = {"type": "get_log", "log": "security", "location": LOCATION, "oldest_at": AT}
    numbers = []
    async with gateway.connect(station) as socket:
        for _ in range(2):
            action, payload, done = await asked(
                gateway, station, socket, command, {"status": "Accepted", "filename": "s.log"}
            )
            numbers.append(payload.pop("requestId"))
            log = {"remoteLocation": LOCATION, "oldestTimestamp": AT_UTC}
            assert (action, payload) == ("GetLog", {"logType": "SecurityLog", "log": log})
            assert done["state"] == "accepted"
    assert 0 < numbers[0] < numbers[1]


async def test_TC_080_TC_081_a_signed_update_and_how_it_goes(gateway: Gateway) -> None:
    station = await gateway.add_station()
    command = {"type": "update_firmware", "location": LOCATION, "install_at": AT, **SIGNED}
    async with gateway.connect(station) as socket:
        action, payload, first = await asked(
            gateway, station, socket, command, {"status": "Accepted"}
        )
        firmware = payload["firmware"]
        assert (action, firmware["signature"]) == ("SignedUpdateFirmware", "c2ln")
        assert firmware["retrieveDateTime"] > stamp(60)[:19]
        assert (firmware["installDateTime"], firmware["signingCertificate"]) == (AT_UTC, PEM)
        assert first["state"] == "accepted"
        *_, second = await asked(
            gateway, station, socket, command, {"status": "InvalidCertificate"}
        )
        assert second["state"] == "rejected"
        wire = Wire(socket)
        for status in ("Downloading", "Downloaded", "InvalidSignature"):
            told = {"status": status, "requestId": payload["requestId"]}
            assert await wire.send("SignedFirmwareStatusNotification", told) == {}
    async with gateway.service.as_(OPERATOR, "messages:read") as api:
        (update,) = (await api.get(f"/v1/stations/{station}/firmware-updates")).json()["items"]
    assert (update["status"], update["outcome"]) == ("invalid_signature", "failed")
    assert (update["request_id"], update["command_id"]) == (payload["requestId"], first["id"])


@pytest.mark.parametrize(
    ("command", "action", "path", "told"),
    [
        (
            {"type": "update_firmware"},
            "FirmwareStatusNotification",
            "firmware-updates",
            "Installed",
        ),
        ({"type": "get_log"}, "DiagnosticsStatusNotification", "log-uploads", "Uploaded"),
    ],
)
async def test_TC_044_1_TC_045_1_progress_without_a_number_is_the_last_commands(
    gateway: Gateway, command: dict[str, Any], action: str, path: str, told: str
) -> None:
    station = await gateway.add_station()
    async with (
        gateway.connect(station) as socket,
        gateway.service.as_(OPERATOR, "messages:read") as api,
    ):
        wire = Wire(socket)
        path = f"/v1/stations/{station}/{path}"
        assert await wire.send(action, {"status": "Idle"}) == {}
        (found,) = (await api.get(path)).json()["items"]
        assert (found["command_id"], found["outcome"]) == (None, "idle")
        before = None
        for _ in range(2):
            sent = command | {"location": LOCATION}
            *_, done = await asked(gateway, station, socket, sent, {})
            await asked(gateway, station, socket, {"type": "clear_cache"}, {"status": "Accepted"})
            (found,) = (await api.get(path)).json()["items"]
            assert found["command_id"] == before  # it has told nothing of this one yet
            await wire.send(action, {"status": told})
            (found,) = (await api.get(path)).json()["items"]
            assert (found["command_id"], found["outcome"]) == (done["id"], "done")
            before = done["id"]


async def test_security_5_5_a_charger_that_knows_no_such_call_fails_the_command(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        command = {"type": "trigger_message", "message": "LogStatusNotification"}
        *_, done = await asked(gateway, station, socket, command, ["NotImplemented", "no"])
    assert (done["state"], done["result"]["code"]) == ("failed", "NotImplemented")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ({"type": "unlock_connector", "evse_id": 1, "connector_id": 2}, "one connector"),
        ({"type": "reset", "evse_id": 1}, "whole station"),
        ({"type": "reset", "when": "immediate_and_resume"}, "no reset immediate_and_resume"),
        ({"type": "trigger_message", "message": "TransactionEvent"}, "cannot trigger"),
        ({"type": "trigger_message", "message": "Heartbeat", "connector_id": 1}, "name evse_id"),
        (
            {"type": "trigger_message", "message": "MeterValues", "evse_id": 1, "connector_id": 2},
            "one connector",
        ),
        ({"type": "change_availability", "operative": True, "connector_id": 1}, "name evse_id"),
        ({"type": "data_transfer", "vendor_id": "v", "data": {"a": 1}}, "text"),
        ({"type": "remote_start", "id_token": "x" * 21}, "at most 20"),
        ({"type": "get_log", "log": "data_collector", "location": LOCATION}, "data_collector"),
        ({"type": "get_log", "location": "not an address"}, "uri"),
        ({"type": "get_log", "log": "security", "location": "f" * 513}, "512"),
        ({"type": "update_firmware", "location": LOCATION, "install_at": AT}, "signed update"),
        ({"type": "update_firmware", "location": LOCATION, "signature": "x"}, "both"),
        ({"type": "update_firmware", "location": "no address"}, "uri"),
        (
            {
                "type": "update_firmware",
                "location": LOCATION,
                "signature": "x",
                "signing_certificate": "x" * 5501,
            },
            "5500",
        ),
    ],
)
async def test_what_1_6_cannot_say_fails_with_the_reason_and_is_never_sent(
    gateway: Gateway, command: dict[str, Any], why: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        assert why in await refused(gateway, station, command)
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
