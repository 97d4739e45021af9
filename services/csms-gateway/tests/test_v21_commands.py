"""OCPP 2.1: what we ask of tariffs, streams, priorities, grid rules and batteries."""

from typing import Any

import pytest
from gateway_commands import ACCEPTED, V21, staffed
from gateway_wire import EVSE, Gateway

DROOP = {
    "priority": 1, "overFreq": 50.2, "underFreq": 49.8, "overDroop": 4.0, "underDroop": 4.0,
    "responseTime": 1.0,
}  # fmt: skip
STREAM = {"id": 7, "variableMonitoringId": 42, "params": {"interval": 10, "values": 2}}
ASSIGNED = {"tariffId": "T-1", "tariffKind": "DefaultTariff", "evseIds": [1]}
Case = tuple[dict[str, Any], str, dict[str, Any], dict[str, Any], str]

TARIFFS: list[Case] = [
    (
        {"type": "get_tariffs", "evse_id": 0}, "GetTariffs", {"evseId": 0},
        {"status": "Accepted", "tariffAssignments": [ASSIGNED]}, "accepted",
    ),
    (
        {"type": "get_tariffs", "evse_id": 1}, "GetTariffs", {"evseId": 1},
        {"status": "NoTariff"}, "rejected",
    ),
    (
        {"type": "clear_tariffs", "tariff_ids": ["T-1"], "evse_id": 1}, "ClearTariffs",
        {"tariffIds": ["T-1"], "evseId": 1},
        {"clearTariffsResult": [{"tariffId": "T-1", "status": "Accepted"}]}, "accepted",
    ),
    (
        {"type": "clear_tariffs", "tariff_ids": ["T-1", "T-2"]}, "ClearTariffs",
        {"tariffIds": ["T-1", "T-2"]},
        {"clearTariffsResult": [
            {"tariffId": "T-1", "status": "Accepted"}, {"tariffId": "T-2", "status": "NoTariff"},
        ]}, "rejected",
    ),
]  # fmt: skip
STREAMS: list[Case] = [
    (
        {"type": "get_periodic_event_stream"}, "GetPeriodicEventStream", {},
        {"constantStreamData": [STREAM]}, "accepted",
    ),
    (
        {"type": "adjust_periodic_event_stream", "id": 7, "params": {"interval": 30}},
        "AdjustPeriodicEventStream", {"id": 7, "params": {"interval": 30}},
        {"status": "Accepted"}, "accepted",
    ),
    (
        {"type": "adjust_periodic_event_stream", "id": 8, "params": {"values": 5}},
        "AdjustPeriodicEventStream", {"id": 8, "params": {"values": 5}},
        {"status": "Rejected"}, "rejected",
    ),
]  # fmt: skip
GRID: list[Case] = [
    (
        {
            "type": "set_der_control", "is_default": True, "control_id": "c-1",
            "control_type": "FreqDroop", "freq_droop": DROOP,
        },
        "SetDERControl",
        {"isDefault": True, "controlId": "c-1", "controlType": "FreqDroop", "freqDroop": DROOP},
        {"status": "Accepted", "supersededIds": ["c-0"]}, "accepted",
    ),
    (
        {"type": "clear_der_control", "is_default": True, "control_id": "c-9"}, "ClearDERControl",
        {"isDefault": True, "controlId": "c-9"}, {"status": "NotFound"}, "rejected",
    ),
]  # fmt: skip


async def asked(gateway: Gateway, case: Case) -> None:
    command, action, payload, answer, state = case
    async with staffed(gateway, V21) as staff:
        done, calls = await staff.send(command, answer)
    assert calls == [(action, payload)]
    assert (done["state"], done["result"]) == (state, answer)


@pytest.mark.parametrize("case", TARIFFS)
async def test_I09_I10_tariffs_of_a_station_are_listed_and_cleared(
    gateway: Gateway, case: Case
) -> None:
    await asked(gateway, case)


@pytest.mark.parametrize("case", STREAMS)
async def test_N12_N14_streams_of_a_station_are_listed_and_adjusted(
    gateway: Gateway, case: Case
) -> None:
    await asked(gateway, case)


@pytest.mark.parametrize("case", GRID)
async def test_R04_grid_rules_are_set_and_cleared(gateway: Gateway, case: Case) -> None:
    await asked(gateway, case)


async def test_R04_grid_rules_that_were_asked_for_are_found_by_their_request(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V21) as staff:
        command = {"type": "get_der_control", "is_default": True, "control_type": "FreqDroop"}
        _, ((action, sent),) = await staff.send(command)
        number = sent.pop("requestId")
        assert (action, sent) == (
            "GetDERControl", {"isDefault": True, "controlType": "FreqDroop"},
        )  # fmt: skip
        found = {"id": "c-1", "freqDroop": DROOP, "isDefault": True, "isSuperseded": False}
        for one in (number, number + 1000):
            report = {"requestId": one, "freqDroop": [found], "tbc": False}
            assert await staff.wire.send("ReportDERControl", report) == {}
        (kept,) = await staff.notifications(request_id=number)
        assert (kept["action"], kept["payload"]["freqDroop"]) == ("ReportDERControl", [found])


@pytest.mark.parametrize(
    ("status", "state"), [("Accepted", "accepted"), ("TxNotFound", "rejected")]
)
async def test_I11_the_tariff_of_a_running_session_is_changed(
    gateway: Gateway, status: str, state: str
) -> None:
    tariff = {"tariffId": "T-2", "currency": "EUR"}
    async with staffed(gateway, V21) as staff:
        await staff.wire.event(
            "Started", 0, "Authorized", transaction="t-i11", token="GOOD", evse=EVSE, wh=0,
            info={"tariffId": "T-1"},
        )  # fmt: skip
        command = {"type": "change_transaction_tariff", "transaction_id": "t-i11", "tariff": tariff}
        done, calls = await staff.send(command, {"status": status})
        payload = {"transactionId": "t-i11", "tariff": tariff}
        assert calls == [("ChangeTransactionTariff", payload)]
        assert done["state"] == state
        if status == "Accepted":  # the station tells that it took it
            await staff.wire.event(
                "Updated", 1, "TariffChanged", transaction="t-i11", info={"tariffId": "T-2"}
            )
        (row,) = await gateway.transactions(station_id=staff.station_id)
        assert row["details"]["tariffId"] == ("T-2" if status == "Accepted" else "T-1")


@pytest.mark.parametrize(("status", "state"), [("Accepted", "accepted"), ("NoProfile", "rejected")])
async def test_K21_priority_charging_is_asked_for_and_may_have_no_profile(
    gateway: Gateway, status: str, state: str
) -> None:
    async with staffed(gateway, V21) as staff:
        command = {"type": "use_priority_charging", "transaction_id": "t-1", "activate": True}
        done, calls = await staff.send(command, {"status": status})
        assert calls == [("UsePriorityCharging", {"transactionId": "t-1", "activate": True})]
        assert (done["state"], done["result"]) == (state, {"status": status})


async def test_S02_S03_a_swap_that_we_began_is_followed_by_its_request(gateway: Gateway) -> None:
    token = {"idToken": "GOOD", "type": "ISO14443"}
    async with staffed(gateway, V21) as staff:
        command = {"type": "request_battery_swap", "id_token": token}
        done, ((action, sent),) = await staff.send(command, ACCEPTED)
        number = sent.pop("requestId")
        assert (action, sent, done["state"]) == (
            "RequestBatterySwap", {"idToken": token}, "accepted",
        )  # fmt: skip
        battery = {"evseId": 1, "serialNumber": "B-1", "soC": 20.0, "soH": 95.0}
        for kind in ("BatteryIn", "BatteryOut"):
            told = {
                "requestId": number, "eventType": kind, "idToken": token, "batteryData": [battery],
            }  # fmt: skip
            assert await staff.wire.send("BatterySwap", told) == {}
        kept = await staff.notifications(request_id=number)
        assert [one["payload"]["eventType"] for one in kept] == ["BatteryOut", "BatteryIn"]
