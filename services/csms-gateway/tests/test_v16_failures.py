"""OCPP 1.6: what a charger does not do, and says so: keys, firmware; and its heartbeat."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway_commands import V16, staffed
from gateway_wire import Gateway


@pytest.mark.parametrize(
    ("key", "status"),
    [
        pytest.param("NoSuchKey", "NotSupported", id="TC_040_1"),
        pytest.param("MeterValueSampleInterval", "Rejected", id="TC_040_2"),
    ],
)
async def test_TC_040_1_TC_040_2_a_key_that_was_not_taken_keeps_its_value(
    gateway: Gateway, key: str, status: str
) -> None:
    async with staffed(gateway, V16) as staff:
        known = {"key": "MeterValueSampleInterval", "value": "60", "readonly": False}
        await staff.send({"type": "get_variables", "variables": []}, {"configurationKey": [known]})
        command = {"type": "set_variables", "variables": [{"variable": key, "value": "-1"}]}
        done, calls = await staff.send(command, {"status": status})
        assert calls == [("ChangeConfiguration", {"key": key, "value": "-1"})]
        assert (done["state"], done["result"]) == ("rejected", {"status": status})
        values = [(one["variable"], one["value"]) for one in await staff.variables()]
        assert values == [("MeterValueSampleInterval", "60")]


DOWNLOADED = (("Downloading", "running"), ("Downloaded", "running"), ("Installing", "running"))


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((DOWNLOADED[0], ("DownloadFailed", "failed")), id="TC_044_2"),
        pytest.param((*DOWNLOADED, ("InstallationFailed", "failed")), id="TC_044_3"),
    ],
)
async def test_TC_044_2_TC_044_3_a_failed_update_is_followed_to_its_end(
    gateway: Gateway, steps: tuple[tuple[str, str], ...]
) -> None:
    words = {"DownloadFailed": "download_failed", "InstallationFailed": "installation_failed"}
    async with staffed(gateway, V16) as staff:
        command: dict[str, Any] = {"type": "update_firmware", "location": "https://x/fw.bin"}
        done, ((action, sent),) = await staff.send(command, {})
        assert (action, sent["location"]) == ("UpdateFirmware", "https://x/fw.bin")
        for status, outcome in steps:
            assert await staff.wire.send("FirmwareStatusNotification", {"status": status}) == {}
            if status == "Installing":
                assert (await staff.boot())["status"] == "Accepted"
            (update,) = (await staff.get("firmware-updates", "messages:read"))["items"]
            assert update["status"] == words.get(status, status.lower())
            assert (update["outcome"], update["command_id"]) == (outcome, done["id"])


async def test_S_4_6_a_heartbeat_is_answered_with_the_time_now(gateway: Gateway) -> None:
    async with staffed(gateway, V16) as staff:
        before = datetime.now(UTC)
        answer = await staff.wire.send("Heartbeat", {})
        told = datetime.fromisoformat(answer.pop("currentTime"))
        assert answer == {}
        assert before - timedelta(milliseconds=2) <= told <= datetime.now(UTC)
