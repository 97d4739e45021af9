"""OCPP 2.0.1, block L: what a station tells of an update, from the command to its end."""

from typing import Any
from uuid import uuid4

import pytest
from asked_station import Station, station
from gateway_wire import EVSE, Gateway, stamp

from common.events import BootsReported, SessionEnded, StatusesReported

V201 = "ocpp2.0.1"
ACCEPTED = {"status": "Accepted"}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
UPDATE = {
    "type": "update_firmware", "location": "https://firmware.example/2.bin",
    "signing_certificate": CERTIFICATE, "signature": "c2ln",
}  # fmt: skip
PUBLISH = {
    "type": "publish_firmware", "location": "https://firmware.example/2.bin",
    "checksum": "d41d8cd98f00b204e9800998ecf8427e",
}  # fmt: skip
REBOOT = "InstallRebooting"
LATER = "2031-05-01T00:00:00Z"
WIRE_LATER = "2031-05-01T00:00:00.000Z"


async def updates(charger: Station) -> list[tuple[str, str, str]]:
    """Of each update, newest first: its command, status and outcome."""
    found = (await charger.get(f"/v1/stations/{charger.id}/firmware-updates"))["items"]
    return [(one["command_id"], one["status"], one["outcome"]) for one in found]


async def asked(
    charger: Station, command: dict[str, Any], status: str = "Accepted"
) -> tuple[dict[str, Any], str]:
    """The payload of the call that a command became, and the command's id."""
    (call,), done = await charger.ask(command, {"status": status})
    assert done["state"] == ("rejected" if status == "Rejected" else "accepted")
    return call[1], done["id"]


async def goes(charger: Station, request_id: int, *words: str, publish: bool = False) -> None:
    action = "PublishFirmwareStatusNotification" if publish else "FirmwareStatusNotification"
    for word in words:
        more = {"location": ["http://local/2.bin"]} if word == "Published" else {}
        payload = {"status": word, "requestId": request_id} | more
        assert await charger.send(action, payload) == {}
        if word == REBOOT:
            await rebooted(charger)


async def rebooted(charger: Station) -> None:
    box = {"vendorName": "V", "model": "M", "firmwareVersion": "2.0"}
    boot = {"reason": "FirmwareUpdate", "chargingStation": box}
    assert (await charger.send("BootNotification", boot))["status"] == "Accepted"
    await connector(charger, "Available")


async def connector(charger: Station, word: str, evse_id: int = 1) -> None:
    payload = {
        "timestamp": stamp(), "connectorStatus": word, "evseId": evse_id, "connectorId": 1,
    }  # fmt: skip
    assert await charger.send("StatusNotification", payload) == {}


VERIFIED = ("Downloading", "Downloaded", "SignatureVerified")


@pytest.mark.parametrize(
    ("given", "member", "words"),
    [
        ("install_at", "installDateTime", (*VERIFIED, "InstallScheduled", "Installing", REBOOT)),
        ("retrieve_at", "retrieveDateTime", ("DownloadScheduled", *VERIFIED, "Installing", REBOOT)),
    ],
)
async def test_TC_L_02_and_L_03_an_update_of_a_set_time_runs_until_it_is_installed(
    gateway: Gateway, given: str, member: str, words: tuple[str, ...]
) -> None:
    async with station(gateway, V201) as charger:
        payload, command_id = await asked(charger, UPDATE | {given: LATER})
        assert payload["firmware"][member] == WIRE_LATER
        number = payload["requestId"]
        await goes(charger, number, words[0])
        ((whose, _, outcome),) = await updates(charger)
        assert (whose, outcome) == (command_id, "running")
        await goes(charger, number, *words[1:])
        assert await updates(charger) == [(command_id, "install_rebooting", "running")]
        (boot,) = await gateway.reported(BootsReported, charger.id)
        assert boot.firmware_version == "2.0"
        await goes(charger, number, "Installed")
        assert await updates(charger) == [(command_id, "installed", "done")]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_L02_firmware_that_nobody_signed_is_followed_to_its_end(
    gateway: Gateway, version: str
) -> None:
    async with station(gateway, version) as charger:
        command = {"type": "update_firmware", "location": UPDATE["location"], "install_at": LATER}
        payload, command_id = await asked(charger, command)
        assert payload["firmware"].keys() == {"location", "retrieveDateTime", "installDateTime"}
        number = payload["requestId"]
        await goes(charger, number, "Downloading", "Downloaded", "InstallScheduled")
        assert await updates(charger) == [(command_id, "install_scheduled", "running")]
        await goes(charger, number, "Installing", REBOOT, "Installed")
        assert await updates(charger) == [(command_id, "installed", "done")]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("Downloading", "Downloaded", "InvalidSignature"), "invalid_signature"),
        (("Downloading", "DownloadFailed"), "download_failed"),
        ((*VERIFIED, "Installing", "InstallVerificationFailed"), "install_verification_failed"),
        ((*VERIFIED, "Installing", REBOOT, "InstallationFailed"), "installation_failed"),
    ],
)
async def test_TC_L_06_to_09_an_update_that_fails_says_where(
    gateway: Gateway, words: tuple[str, ...], status: str
) -> None:
    async with station(gateway, V201) as charger:
        payload, command_id = await asked(charger, UPDATE)
        await goes(charger, payload["requestId"], *words)
        assert await updates(charger) == [(command_id, status, "failed")]
        if status == "invalid_signature":
            event = {"type": "InvalidFirmwareSignature", "timestamp": stamp()}
            assert await charger.send("SecurityEventNotification", event) == {}
            assert await charger.notified("SecurityEventNotification") == [event]


async def test_TC_L_10_an_update_that_another_replaces_is_over(gateway: Gateway) -> None:
    async with station(gateway, V201) as charger:
        first, first_id = await asked(charger, UPDATE)
        await goes(charger, first["requestId"], "Downloading")
        second, second_id = await asked(charger, UPDATE, "AcceptedCanceled")
        assert second["requestId"] != first["requestId"]
        await goes(charger, second["requestId"], *VERIFIED)
        assert await updates(charger) == [
            (second_id, "signature_verified", "running"),
            (first_id, "downloading", "failed"),
        ]
        await goes(charger, second["requestId"], "Installing", REBOOT, "Installed")
        assert (await updates(charger))[0] == (second_id, "installed", "done")


async def test_TC_L_11_an_update_that_cannot_be_replaced_goes_on(gateway: Gateway) -> None:
    async with station(gateway, V201) as charger:
        first, first_id = await asked(charger, UPDATE)
        await goes(charger, first["requestId"], "Downloading")
        await asked(charger, UPDATE, "Rejected")
        assert await updates(charger) == [(first_id, "downloading", "running")]
        words = ("Downloaded", "SignatureVerified", "Installing", REBOOT, "Installed")
        await goes(charger, first["requestId"], *words)
        assert await updates(charger) == [(first_id, "installed", "done")]


async def test_TC_L_13_an_update_waits_for_the_session_to_end(gateway: Gateway) -> None:
    async with station(gateway, V201) as charger:
        transaction = uuid4().hex
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=transaction, evse=EVSE, wh=100
        )
        payload, command_id = await asked(charger, UPDATE)
        assert payload["firmware"]["signingCertificate"] == CERTIFICATE
        await goes(charger, payload["requestId"], "DownloadScheduled")
        await connector(charger, "Unavailable", 2)
        assert await updates(charger) == [(command_id, "download_scheduled", "running")]
        assert gateway.of(SessionEnded, station_id=charger.id) == []
        await charger.event(
            "Ended", 1, "StopAuthorized", transaction=transaction, evse=EVSE, wh=700
        )
        await goes(charger, payload["requestId"], *VERIFIED, "Installing", REBOOT, "Installed")
        (ended,) = await gateway.told(SessionEnded, station_id=charger.id)
        assert ended.energy_wh == 600
        assert await updates(charger) == [(command_id, "installed", "done")]
        told = await gateway.reported(StatusesReported, charger.id, 2)
        assert [(one.evse_id, one.status) for one in told] == [
            (2, "unavailable"), (1, "available"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "outcome"),
    [
        (("Downloaded", "ChecksumVerified", "Published"), "published", "done"),
        (("Downloaded", "InvalidChecksum"), "invalid_checksum", "failed"),
        (("Downloaded", "ChecksumVerified", "PublishFailed"), "publish_failed", "failed"),
        (("DownloadFailed",), "download_failed", "failed"),
    ],
)
async def test_TC_L_17_L_19_L_20_and_L_24_publishing_is_followed_to_its_end(
    gateway: Gateway, words: tuple[str, ...], status: str, outcome: str
) -> None:
    async with station(gateway, V201) as charger:
        payload, command_id = await asked(charger, PUBLISH)
        assert payload["location"] == PUBLISH["location"]
        await goes(charger, payload["requestId"], "Downloading", publish=True)
        assert await updates(charger) == [(command_id, "downloading", "running")]
        await goes(charger, payload["requestId"], *words, publish=True)
        assert await updates(charger) == [(command_id, status, outcome)]
