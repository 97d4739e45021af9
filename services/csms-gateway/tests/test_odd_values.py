"""What the schemas allow, or nearly, and poor chargers send: it is taken, not refused."""

import json
from typing import Any
from uuid import uuid4

import pytest
from asked_station import station
from gateway_wire import Gateway, stamp
from hypothesis import given
from hypothesis import strategies as st

from csms_gateway import frames
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
