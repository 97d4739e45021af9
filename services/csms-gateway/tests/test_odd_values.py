"""What the schemas allow, or nearly, and poor chargers send: it is taken, not refused."""

import json
from typing import Any
from uuid import uuid4

import pytest
from asked_station import station
from gateway_wire import Gateway, stamp
from hypothesis import given
from hypothesis import strategies as st

from csms_gateway import frames, notifications
from csms_gateway.tables import Transaction, TransactionEvent

VERSIONS = pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
SECOND = pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])


@SECOND
async def test_R3_a_session_is_stored_though_its_whole_numbers_are_written_with_a_point(
    gateway: Gateway, protocol: str
) -> None:
    """1.0 is an integer to JSON schema, and how some languages write every number."""
    transaction = str(uuid4())
    async with station(gateway, protocol) as charger:
        evse = {"id": 1.0, "connectorId": 1.0}
        for number, kind in enumerate(("Started", "Updated", "Ended")):
            answer = await charger.event(
                kind, number, "Trigger", seqNo=float(number), transaction=transaction, token="GOOD",
                evse=evse, wh=1000.0 + number, numberOfPhasesUsed=3.0,
            )  # fmt: skip
            assert isinstance(answer, dict), answer
        (row,) = await gateway.rows(Transaction, charger.id)
        assert (row.evse_id, row.meter_start_wh, row.meter_stop_wh) == (1, 1000, 1002)
        events = await gateway.rows(TransactionEvent, charger.id)
        assert sorted(event.seq_no for event in events) == [0, 1, 2]


@VERSIONS
async def test_a_status_is_taken_though_its_numbers_are_written_with_a_point(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        if protocol == "ocpp1.6":
            payload = {"connectorId": 1.0, "errorCode": "NoError", "status": "Available"}
        else:
            payload = {
                "evseId": 1.0, "connectorId": 1.0, "connectorStatus": "Available",
                "timestamp": stamp(),
            }  # fmt: skip
        assert await charger.send("StatusNotification", payload) == {}


@SECOND
async def test_a_report_is_kept_with_its_request_though_its_numbers_are_written_with_a_point(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        item = {
            "component": {"name": "EVSE", "evse": {"id": 1.0}},
            "variable": {"name": "Power"},
            "variableAttribute": [{"value": "22000"}],
        }
        report = {"requestId": 7.0, "seqNo": 0.0, "generatedAt": stamp(), "reportData": [item]}
        assert await charger.send("NotifyReport", report) == {}
        path = f"/v1/stations/{charger.id}/notifications"
        (kept,) = (await charger.get(path, request_id=7))["items"]
        assert kept["payload"]["reportData"] == [item]


def item(**characteristics: Any) -> dict[str, Any]:
    attribute = {"value": "1", "type": "Actual", "mutability": "ReadOnly"}
    return {
        "component": {"name": "X"},
        "variable": {"name": "A"},
        "variableAttribute": [attribute],
        "variableCharacteristics": {
            "dataType": "integer", "supportsMonitoring": False, **characteristics,
        },
    }  # fmt: skip


@SECOND
@pytest.mark.parametrize(
    "odd",
    [
        {"valuesList": "a," * 1000},
        {"unit": "something much longer"},
        {"dataType": "int"},
    ],
    ids=["long list", "long unit", "unknown type"],
)
async def test_a_part_of_the_device_model_is_kept_though_it_breaks_the_schema_s_form(
    gateway: Gateway, protocol: str, odd: dict[str, Any]
) -> None:
    async with station(gateway, protocol) as charger:
        report = {"requestId": 7, "seqNo": 0, "generatedAt": stamp(), "reportData": [item(**odd)]}
        assert await charger.send("NotifyReport", report) == {}
        (kept,) = (await charger.get(f"/v1/stations/{charger.id}/variables"))["items"]
        assert (kept["value"], kept["characteristics"] | odd) == ("1", kept["characteristics"])


@SECOND
async def test_words_that_ocpp_does_not_have_are_no_value_and_no_leak(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        told = item()
        told["variableAttribute"] = [
            {"value": "a", "mutability": "sometimes"},
            {"value": "b", "type": "Default"},
            {"value": "hush", "type": "Target", "mutability": "write-only"},
        ]
        report = {"requestId": 7, "seqNo": 0, "generatedAt": stamp(), "reportData": [told]}
        assert await charger.send("NotifyReport", report) == {}
        found = (await charger.get(f"/v1/stations/{charger.id}/variables"))["items"]
        assert [(one["attribute"], one["value"], one["mutability"]) for one in found] == [
            ("Actual", "a", None),
            ("Target", None, "WriteOnly"),
        ]
        (kept,) = await charger.notified("NotifyReport")
        assert "hush" not in json.dumps(kept)


@SECOND
@pytest.mark.parametrize(
    ("action", "member"),
    [
        ("NotifyReport", "reportData"),
        ("NotifyMonitoringReport", "monitor"),
        ("NotifyDisplayMessages", "messageInfo"),
        ("NotifyEvent", "eventData"),
        ("ReportChargingProfiles", "chargingProfile"),
    ],
)
async def test_a_last_part_with_nothing_in_it_ends_a_report(
    gateway: Gateway, protocol: str, action: str, member: str
) -> None:
    payload = {"requestId": 7, "seqNo": 3, "generatedAt": stamp(), member: []}
    if action == "ReportChargingProfiles":
        payload |= {"chargingLimitSource": "CSO", "evseId": 1, "chargingProfile": []}
    async with station(gateway, protocol) as charger:
        assert await charger.send(action, payload) == {}
        assert await charger.notified(action) == [payload]


@SECOND
async def test_what_an_answer_says_of_other_variables_counts_beside_an_odd_one(
    gateway: Gateway, protocol: str
) -> None:
    def result(name: str, status: str, value: str) -> dict[str, Any]:
        about = {"component": {"name": "X"}, "variable": {"name": name}}
        return about | {"attributeStatus": status, "attributeValue": value}

    names = [{"component": "X", "variable": name} for name in "ABC"]
    answer = [
        result("A", "Accepted", "x" * 2600),
        result("B", "NotThere", "2"),
        result("C", "Accepted", "3"),
    ]
    async with station(gateway, protocol) as charger:
        command = {"type": "get_variables", "variables": names}
        _, done = await charger.ask(command, {"getVariableResult": answer})
        assert done["state"] == "rejected"  # one of them was
        found = (await charger.get(f"/v1/stations/{charger.id}/variables"))["items"]
        assert [(one["variable"], len(one["value"])) for one in found] == [("A", 2600), ("C", 1)]


@SECOND
async def test_a_variable_is_the_same_however_the_station_spells_it(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        name = {"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval"}
        command = {"type": "set_variables", "variables": [name | {"value": "60"}]}
        told = {
            "attributeStatus": "Accepted",
            "component": {"name": "ocppcommctrlr"},
            "variable": {"name": "HEARTBEATINTERVAL"},
        }
        _, done = await charger.ask(command, {"setVariableResult": [told]})
        assert done["state"] == "accepted"
        (found,) = (await charger.get(f"/v1/stations/{charger.id}/variables"))["items"]
        assert (found["variable"], found["value"]) == ("HeartbeatInterval", "60")


async def test_R8_old_notifications_go_however_many_there_are(gateway: Gateway) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        for number in range(25):
            event = {"type": f"E{number}", "timestamp": stamp()}
            await charger.send("SecurityEventNotification", event)
        await gateway.execute(
            "update notification set received_at = now() - interval '1000 days' "
            "where station_id = :station and payload->>'type' <> 'E7'",
            station=charger.id,
        )
        await notifications.prune_once(gateway.service.app.state.beside.gateway, rows=10)
        assert [one["type"] for one in await charger.notified("SecurityEventNotification")] == [
            "E7"
        ]


@given(
    st.recursive(
        st.none()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_no_value_changes_by_how_its_numbers_are_read(value: Any) -> None:
    text = json.dumps([2, "m", "A", {"data": value}])
    read = frames.parse(text)
    assert isinstance(read, frames.Call)
    assert read.payload == {"data": value}


def test_only_what_is_a_whole_number_becomes_an_integer() -> None:
    text = '[2,"m","A",{"a":1.0,"b":[-2.000 ,3.5,{"c":1e300}],"d":"1.0}","e":9007199254740994.0}]'
    read = frames.parse(text)
    assert isinstance(read, frames.Call)
    assert json.dumps(read.payload) == (
        '{"a": 1, "b": [-2, 3.5, {"c": 1e+300}], "d": "1.0}", "e": 9007199254740994.0}'
    )


def test_deeply_nested_numbers_break_nothing() -> None:
    frames.parse('[2,"m","A",{"a":' + "[" * 900 + "1.0" + "]" * 900 + "}]")
