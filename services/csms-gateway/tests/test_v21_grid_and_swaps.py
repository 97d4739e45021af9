"""OCPP 2.1: rules of the grid (block R) and stations that swap batteries (block S)."""

from typing import Any

import pytest
from gateway_commands import V21, Staffed, staffed
from gateway_wire import EVSE, Gateway, kinds, stamp

from common.events import MeterValuesReported, SessionEnded, SessionStarted

TX = {"transaction": "tx-1"}
CURVE = {
    "priority": 1, "yUnit": "PctMaxW", "responseTime": 5.0,
    "curveData": [{"x": 103.0, "y": 100.0}, {"x": 106.0, "y": 0.0}],
}  # fmt: skip
HALF = {"priority": 2, "pctMaxDischargePower": 50.0}
V2X = {"maxChargePower": 11_000.0, "maxDischargePower": 10_000.0, "evTargetEnergyRequest": 9_000.0}
GIVES_BACK = {
    "id": 5, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": [{
        "id": 1, "chargingRateUnit": "W", "startSchedule": "2026-01-01T00:00:00.000Z",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": -4000.0}
        ],
    }],
}  # fmt: skip
TOKEN = {"idToken": "GOOD", "type": "ISO14443"}


async def ruled(staff: Staffed, kind: str) -> None:
    """The station has the rules of its grid, and a profile by which cars give energy back."""
    for member, rule, given in (
        ("curve", kind, CURVE),
        ("limit_max_discharge", "LimitMaxDischarge", HALF),
    ):
        command = {
            "type": "set_der_control", "is_default": True, "control_id": f"c-{rule}",
            "control_type": rule, member: given,
        }  # fmt: skip
        done, ((action, sent),) = await staff.send(command)
        spelt = {"curve": "curve", "limit_max_discharge": "limitMaxDischarge"}[member]
        assert (action, done["state"]) == ("SetDERControl", "accepted")
        assert sent == {
            "isDefault": True, "controlId": f"c-{rule}", "controlType": rule, spelt: given,
        }  # fmt: skip
    payload = {"evseId": 0, "chargingProfile": GIVES_BACK}
    await staff.send({"ocpp": {"action": "SetChargingProfile", "payload": payload}})


async def goes_both_ways(staff: Staffed, transfer: str, **more: Any) -> None:
    """A session begins, and what its car wants is kept whole."""
    await staff.wire.event("Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=0, **TX)
    needs = {
        "evseId": 1,
        "chargingNeeds": {"requestedEnergyTransfer": transfer, "v2xChargingParameters": V2X} | more,
    }  # fmt: skip
    answer = await staff.wire.send("NotifyEVChargingNeeds", needs)
    assert answer["status"] == "NoChargingProfile", "it goes by the one that is there"
    (kept,) = await staff.notifications(action="NotifyEVChargingNeeds")
    assert kept["payload"] == needs


async def test_R01_FR_02_an_evse_that_keeps_the_rules_itself_tells_what_it_can(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        component = {"name": "DCDERCtrlr", "evse": {"id": 1}}
        command = {"type": "get_report", "component_variable": [{"component": component}]}
        done, ((action, sent),) = await staff.send(command)
        assert (action, done["state"]) == ("GetReport", "accepted")
        told = {"MaxW": "50000", "ModesSupported": "VoltWatt,LimitMaxDischarge"}
        report = {
            "requestId": sent["requestId"], "seqNo": 0, "generatedAt": stamp(),
            "reportData": [
                {"component": component, "variable": {"name": name},
                 "variableAttribute": [{"value": value, "mutability": "ReadOnly"}]}
                for name, value in told.items()
            ],
        }  # fmt: skip
        assert await staff.wire.send("NotifyReport", report) == {}
        seen = await staff.variables(component="DCDERCtrlr", evse_id=1)
        assert {one["variable"]: one["value"] for one in seen} == told
        await ruled(staff, "VoltWatt")
        await goes_both_ways(staff, "DC_BPT")


@pytest.mark.parametrize(
    "supported", [["HFMustTrip", "LimitMaxDischarge"], ["HFMustTrip"]], ids=["R02", "R03"]
)
async def test_R02_R03_what_a_cars_inverter_can_and_when_it_acted_is_listed(
    gateway: Gateway, supported: list[str]
) -> None:
    async with staffed(gateway, V21) as staff:
        await ruled(staff, "HFMustTrip")
        nameplate = {
            "evSupportedDERControl": supported, "maxApparentPower": 11_000.0,
            "evInverterManufacturer": "Acme", "evInverterSerialNumber": "I-1",
        }  # fmt: skip
        await goes_both_ways(staff, "AC_BPT_DER", derChargingParameters=nameplate)
        alarms = [
            {
                "controlType": "HFMustTrip", "gridEventFault": "OverFrequency",
                "timestamp": stamp(), "alarmEnded": ended,
            }
            for ended in (False, True)
        ]  # fmt: skip
        for alarm in alarms:
            assert await staff.wire.send("NotifyDERAlarm", alarm) == {}
        kept = await staff.notifications(action="NotifyDERAlarm")
        assert [one["payload"] for one in reversed(kept)] == alarms


@pytest.mark.parametrize("ending", ["BatteryOut", "BatteryOutTimeout"])
async def test_S01_a_driver_who_shows_a_card_swaps_and_has_no_session(
    gateway: Gateway, ending: str
) -> None:
    async with staffed(gateway, V21) as staff:
        for card, status in (("GOOD", "Accepted"), ("BAD", "Blocked")):
            answer = await staff.wire.send("Authorize", {"idToken": TOKEN | {"idToken": card}})
            assert answer == {"idTokenInfo": {"status": status}}
        for kind, charge in (("BatteryIn", 12.0), (ending, 90.0)):
            battery = {"evseId": 1, "serialNumber": f"B-{kind}", "soC": charge, "soH": 95.0}
            told = {
                "requestId": 77, "eventType": kind, "idToken": TOKEN, "batteryData": [battery],
            }  # fmt: skip
            assert await staff.wire.send("BatterySwap", told) == {}
        kept = await staff.notifications(action="BatterySwap", request_id=77)
        assert [
            (one["payload"]["eventType"], one["payload"]["batteryData"][0]["soC"]) for one in kept
        ] == [(ending, 90.0), ("BatteryIn", 12.0)]
        assert await gateway.transactions(station_id=staff.station_id) == []


async def test_S04_FR_03_to_07_a_battery_in_its_slot_is_charged_for_nobody(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        answer = await staff.wire.event(
            "Started", 0, "CablePluggedIn", idToken={"idToken": "", "type": "NoAuthorization"},
            evse=EVSE, wh=0, info={"chargingState": "Charging"}, **TX,
        )  # fmt: skip
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        full = {"value": 95.0, "measurand": "SoC", "unitOfMeasure": {"unit": "Percent"}}
        await staff.wire.event(
            "Updated", 1, "MeterValuePeriodic",
            meterValue=[{"timestamp": stamp(), "sampledValue": [full]}], **TX,
        )  # fmt: skip
        info = {"chargingState": "SuspendedEVSE"}
        await staff.wire.event("Updated", 2, "EnergyLimitReached", info=info, **TX)
        (known,) = await gateway.transactions(station_id=staff.station_id)
        assert (known["ended_at"], known["charging_state"]) == (None, "SuspendedEVSE")
        await staff.wire.event(
            "Ended", 3, "EVCommunicationLost", wh=700,
            info={"stoppedReason": "EVDisconnected", "chargingState": "Idle"}, **TX,
        )  # fmt: skip
    (begun,) = await gateway.told(SessionStarted, station_id=staff.station_id)
    assert (begun.id_token, begun.card_id, kinds(begun)) == ("", None, [])
    (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
    assert (over.energy_wh, over.stop_reason, kinds(over)) == (700, "EVDisconnected", [])
    reports = await gateway.reported(MeterValuesReported, staff.station_id, 3)
    levels = [
        (report.session_id, one.value)
        for report in reports
        for one in report.samples
        if one.measurand == "SoC"
    ]
    assert levels == [(begun.session_id, 95)]
