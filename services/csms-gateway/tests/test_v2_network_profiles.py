"""OCPP 2.x, B09 and B10: a station's ways to its back end, and its move to another one."""

from typing import Any

import pytest
from gateway_commands import V21, V201, Staffed, staffed
from gateway_wire import EVSE, Gateway, kinds, stamp
from stack import eventually

from common.events import SessionEnded

VERSIONS = pytest.mark.parametrize("version", [V201, V21])
PRIORITY = {"component": "OCPPCommCtrlr", "variable": "NetworkConfigurationPriority"}
PROFILE = {
    "ocppVersion": "OCPP20", "ocppTransport": "JSON", "messageTimeout": 30, "securityProfile": 2,
    "ocppCsmsUrl": "wss://new.example/ocpp", "ocppInterface": "Wired0",
}  # fmt: skip


def network(slot: str, variable: str = "OcppCsmsUrl", value: str = "wss://x.example") -> Any:
    return {
        "component": "NetworkConfiguration", "component_instance": slot, "variable": variable,
        "value": value,
    }  # fmt: skip


def results(call: dict[str, Any], status: str) -> dict[str, Any]:
    """The answer to a SetVariables."""
    return {
        "setVariableResult": [
            {"component": one["component"], "variable": one["variable"], "attributeStatus": status}
            for one in call["setVariableData"]
        ]
    }


async def sets(staff: Staffed, *variables: dict[str, Any], status: str = "Accepted") -> Any:
    """A command to set them, whose call is answered so; it."""
    command = {"type": "set_variables", "variables": list(variables)}
    answer = results({"setVariableData": [spelled(one) for one in variables]}, status)
    done, ((action, _),) = await staff.send(command, answer)
    assert action == "SetVariables"
    return done


def spelled(one: dict[str, Any]) -> dict[str, Any]:
    component = {"name": one["component"]}
    if "component_instance" in one:
        component["instance"] = one["component_instance"]
    return {"component": component, "variable": {"name": one["variable"]}}


async def tells_priority(staff: Staffed, value: str) -> None:
    about = {
        "component": {"name": PRIORITY["component"]}, "variable": {"name": PRIORITY["variable"]},
        "variableAttribute": [{"value": value}],
    }  # fmt: skip
    report = {"requestId": 1, "seqNo": 0, "generatedAt": stamp(), "reportData": [about]}
    assert await staff.wire.send("NotifyReport", report) == {}


async def test_B09_FR_21_a_network_slot_that_is_in_use_is_not_changed(gateway: Gateway) -> None:
    async with staffed(gateway, V21) as staff:
        await tells_priority(staff, "2, 1")
        for slot in ("1", "2"):
            done = await staff.command(
                {"type": "set_variables", "variables": [network("0"), network(slot)]}
            )
            assert (done["state"], done["result"]["code"]) == ("failed", "NotSupported")
            assert f"slot {slot} is in use" in done["result"]["description"]
        await staff.quiet()
        assert (await sets(staff, network("0"), network("12")))["state"] == "accepted"
        # Out of use it may be changed; which are in use is what the station took last.
        assert (await sets(staff, PRIORITY | {"value": "0,1"}))["state"] == "accepted"
        assert (await sets(staff, network("2")))["state"] == "accepted"
        done = await staff.command({"type": "set_variables", "variables": [network("0")]})
        assert done["state"] == "failed"


@VERSIONS
@pytest.mark.parametrize("status", ["Accepted", "RebootRequired"])
async def test_B10_FR_01_FR_05_FR_06_a_station_moves_to_another_back_end_and_leaves_nothing_behind(
    gateway: Gateway, version: str, status: str
) -> None:
    session = {"transaction": "tx-1"}
    async with staffed(gateway, version) as staff:
        await staff.boot()
        await staff.wire.event(
            "Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=100, **session
        )
        # B09: the new back end takes a slot that is free; nothing changes yet.
        slot = {"type": "set_network_profile", "configuration_slot": 1, "connection_data": PROFILE}
        done, _ = await staff.send(slot)
        assert done["state"] == "accepted"
        done = await sets(staff, PRIORITY | {"value": "1,0"}, status=status)
        assert done["state"] == "accepted"
        assert (await staff.variables(variable=PRIORITY["variable"]))[0]["value"] == "1,0"
        # No new sessions; what runs ends first, and what waits in the station is delivered.
        done, calls = await staff.send(
            {"type": "change_availability", "operative": False}, {"status": "Scheduled"}
        )
        assert calls == [("ChangeAvailability", {"operationalStatus": "Inoperative"})]
        await staff.wire.event("Ended", 1, "EVDeparted", wh=900, **session)
        for waits in (True, False):
            done, calls = await staff.send(
                {"type": "get_transaction_status"}, {"messagesInQueue": waits}
            )
            assert calls == [("GetTransactionStatus", {})]
            assert done["result"] == {"messagesInQueue": waits}
        done, calls = await staff.send({"type": "reset", "when": "on_idle"})
        assert calls == [("Reset", {"type": "OnIdle"})]
        assert done["state"] == "accepted"
    (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
    assert (over.energy_wh, kinds(over)) == (800, [])

    async def gone() -> bool:
        found = await staff.get("connection", "status:read")
        return found["closed_at"] is not None and found["generation"] == 1

    await eventually(gone)


@VERSIONS
async def test_B10_FR_02_FR_07_a_move_that_fails_leaves_the_station_where_it_was(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        await tells_priority(staff, "0")
        done = await sets(staff, PRIORITY | {"value": "7,0"}, status="Rejected")
        assert done["state"] == "rejected"
        assert done["result"]["setVariableResult"][0]["attributeStatus"] == "Rejected"
        assert (await staff.variables(variable=PRIORITY["variable"]))[0]["value"] == "0"
    # It found no back end in the new slot, and comes back to the last one that answered.
    async with staffed(gateway, version, staff.station_id) as staff:
        assert (await staff.boot("RemoteReset"))["status"] == "Accepted"
        found = await staff.get("connection", "status:read")
        assert (found["closed_at"], found["generation"]) == (None, 2)
