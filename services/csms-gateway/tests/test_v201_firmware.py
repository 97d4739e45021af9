"""OCPP 2.0.1, block L: firmware, signed or not, and firmware that a local controller publishes."""

from typing import Any

import pytest
from gateway_commands import V21, V201, staffed
from gateway_wire import Gateway

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("version", [V201, V21])
async def test_TC_L_01_L01_FR_11_a_signed_update_carries_certificate_and_signature(
    gateway: Gateway, version: str
) -> None:
    command = {
        "type": "update_firmware",
        "location": "https://firmware.example/1.1.bin",
        "retrieve_at": "2030-01-01T01:00:00+01:00",
        "install_at": "2030-01-02T00:00:00Z",
        "signing_certificate": CERTIFICATE,
        "signature": "c2ln",
        "retries": 3,
        "retry_interval_s": 60,
    }
    async with staffed(gateway, version) as staff:
        done, ((action, payload),) = await staff.send(command)
        assert action == "UpdateFirmware"
        assert payload.pop("requestId") > 0
        assert payload == {
            "firmware": {
                "location": "https://firmware.example/1.1.bin",
                "retrieveDateTime": "2030-01-01T00:00:00.000Z",
                "installDateTime": "2030-01-02T00:00:00.000Z",
                "signingCertificate": CERTIFICATE,
                "signature": "c2ln",
            },
            "retries": 3,
            "retryInterval": 60,
        }
        assert done["state"] == "accepted"
        del command["signature"]
        done = await staff.command(command)
        assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("Accepted", "accepted"),
        ("AcceptedCanceled", "accepted"),  # TC_L_10: instead of one that was running
        ("Rejected", "rejected"),
        ("InvalidCertificate", "rejected"),  # TC_L_05
        ("RevokedCertificate", "rejected"),  # TC_L_04
    ],
)
async def test_TC_L_04_and_L_05_an_update_is_taken_or_not(
    gateway: Gateway, answer: str, state: str
) -> None:
    async with staffed(gateway, V201) as staff:
        command = {"type": "update_firmware", "location": "https://firmware.example/1.bin"}
        done, ((_, payload),) = await staff.send(command, {"status": answer})
        assert (done["state"], done["result"]) == (state, {"status": answer})
        assert set(payload["firmware"]) == {"location", "retrieveDateTime"}


@pytest.mark.parametrize("version", [V201, V21])
async def test_TC_L_17_L_21_L_22_and_L_23_firmware_is_published_and_taken_back(
    gateway: Gateway, version: str
) -> None:
    checksum = "d41d8cd98f00b204e9800998ecf8427e"
    async with staffed(gateway, version) as staff:
        publish: dict[str, Any] = {
            "type": "publish_firmware", "location": "https://x/fw", "checksum": checksum,
        }  # fmt: skip
        _, ((action, payload),) = await staff.send(publish)
        assert (action, payload.pop("requestId") > 0) == ("PublishFirmware", True)
        assert payload == {"location": "https://x/fw", "checksum": checksum}
        unpublish = {"type": "unpublish_firmware", "checksum": checksum}
        for answer, state in (
            ("Unpublished", "accepted"),  # TC_L_21
            ("NoFirmware", "rejected"),  # TC_L_22
            ("DownloadOngoing", "rejected"),  # TC_L_23
        ):
            done, calls = await staff.send(unpublish, {"status": answer})
            assert calls == [("UnpublishFirmware", {"checksum": checksum})]
            assert done["state"] == state
