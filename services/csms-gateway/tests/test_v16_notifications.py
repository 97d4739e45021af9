"""What OCPP 1.6 chargers tell of firmware, logs, security and in vendors' own messages: all kept.

Progress of firmware and logs is listed in the same words for every version.
"""

from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp

NOTHING: dict[str, Any] = {}


async def listed(gateway: Gateway, path: str, operator: Any = OPERATOR, **query: Any) -> Any:
    async with gateway.service.as_(operator, "messages:read") as api:
        response = await api.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(
    ("action", "payload", "answer"),
    [
        ("DiagnosticsStatusNotification", {"status": "Uploading"}, NOTHING),
        ("FirmwareStatusNotification", {"status": "Installed"}, NOTHING),
        # Not a word of 1.6's own list, but chargers with the security extension send it here.
        ("FirmwareStatusNotification", {"status": "InstallVerificationFailed"}, NOTHING),
        ("LogStatusNotification", {"status": "Uploaded", "requestId": 7}, NOTHING),
        ("SignedFirmwareStatusNotification", {"status": "Idle"}, NOTHING),
        (
            "SecurityEventNotification",
            {
                "type": "InvalidCentralSystemCertificate",
                "timestamp": stamp(),
                "techInfo": "x" * 900,
            },
            NOTHING,
        ),
        (
            "DataTransfer",
            {"vendorId": "com.vendor", "messageId": "m", "data": "{}\u0000"},
            {"status": "UnknownVendorId"},
        ),
    ],
)
async def test_TC_044_1_TC_045_1_TC_064_TC_078_TC_079_what_a_charger_tells_is_kept_as_it_came(
    gateway: Gateway, action: str, payload: dict[str, Any], answer: dict[str, Any]
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        assert await Wire(socket).send(action, payload) == answer
    (kept,) = (await listed(gateway, f"/v1/stations/{station}/notifications"))["items"]
    expected = {k: v.replace("\0", "\ufffd") if k == "data" else v for k, v in payload.items()}
    assert (kept["action"], kept["payload"]) == (action, expected)
    assert kept["request_id"] == payload.get("requestId")


async def test_what_cannot_be_one_is_refused_and_not_kept(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        code, _ = await wire.send("FirmwareStatusNotification", {})
        assert code == "OccurenceConstraintViolation"
        code, _ = await wire.send("DataTransfer", {"vendorId": "v", "data": {"a": 1}})
        assert code == "TypeConstraintViolation"
    assert (await listed(gateway, f"/v1/stations/{station}/notifications"))["items"] == []


async def test_TC_044_1_the_firmware_of_a_plain_1_6_charger_has_one_place_and_its_newest_word(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    path = f"/v1/stations/{station}/firmware-updates"
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        for status, outcome in (
            ("Downloading", "running"),
            ("DownloadFailed", "failed"),
            ("Idle", "idle"),
            ("Installed", "done"),
        ):
            assert await wire.send("FirmwareStatusNotification", {"status": status}) == {}
            await wire.send("DiagnosticsStatusNotification", {"status": "UploadFailed"})
            (update,) = (await listed(gateway, path))["items"]
            assert update["outcome"] == outcome
            assert (update["request_id"], update["action"][:14]) == (None, "FirmwareStatus")
    (upload,) = (await listed(gateway, f"/v1/stations/{station}/log-uploads"))["items"]
    assert (upload["status"], upload["outcome"]) == ("upload_failed", "failed")
    assert (await listed(gateway, path, uuid4()))["items"] == []


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_L01_L03_N01_progress_in_2_x_is_listed_by_request(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[version]) as socket:
        wire = Wire(socket)
        for action, status, number in (
            ("FirmwareStatusNotification", "Downloading", 1),
            ("FirmwareStatusNotification", "Downloading", 2),
            ("FirmwareStatusNotification", "InstallRebooting", 1),
            ("PublishFirmwareStatusNotification", "PublishFailed", 3),
            ("LogStatusNotification", "AcceptedCanceled", 4),
            ("LogStatusNotification", "Uploaded", 5),
        ):
            assert await wire.send(action, {"status": status, "requestId": number}) == {}
    path = f"/v1/stations/{station}/firmware-updates"
    first = await listed(gateway, path, limit=2)
    rest = await listed(gateway, path, limit=2, cursor=first["next_cursor"])
    found = [(one["request_id"], one["status"]) for one in first["items"] + rest["items"]]
    assert found == [(3, "publish_failed"), (1, "install_rebooting"), (2, "downloading")]
    assert rest["next_cursor"] is None
    uploads = (await listed(gateway, f"/v1/stations/{station}/log-uploads"))["items"]
    assert [(one["request_id"], one["outcome"]) for one in uploads] == [(5, "done"), (4, "failed")]
