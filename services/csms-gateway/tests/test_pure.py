"""Frames, schemas, clocks, plausibility and meter values: pure rules."""

import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms_gateway import clocks, frames, plausibility, readings, schemas
from csms_gateway.commands import mirrored, verdict
from csms_gateway.v16 import VERSION, meter_values

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text() | json_values.map(json.dumps))
def test_any_text_is_a_frame_or_a_bad_frame(text: str) -> None:
    with contextlib.suppress(frames.BadFrame):
        assert frames.parse(text)


@given(st.text(min_size=1, max_size=36), st.dictionaries(st.text(), json_values, max_size=3))
def test_a_call_reads_back_as_it_was_written(message_id: str, payload: dict[str, Any]) -> None:
    try:
        text = frames.call(message_id, "Heartbeat", payload)
    except TypeError:  # integers over 64 bits, lone surrogates: never in what we send
        return
    assert frames.parse(text) == frames.Call(message_id, "Heartbeat", json.loads(text)[3])


@given(json_values)
def test_no_payload_breaks_the_schema_check(payload: Any) -> None:
    if not isinstance(payload, dict):
        return
    for action in VERSION.actions:
        with contextlib.suppress(schemas.Violation):
            schemas.check_incoming("v16", action, payload)


def test_what_we_send_is_checked_by_the_schema() -> None:
    with pytest.raises(schemas.Violation):
        schemas.check_outgoing("v16", "RemoteStartTransaction", {"idTag": "x" * 21})
    with pytest.raises(schemas.Violation):
        schemas.check_outgoing("v16", "HeartbeatResponse", {"currentTime": "22.11.2026 12:00"})


def test_thousands_of_harmless_deviations_do_not_hold_up_the_others() -> None:
    odd = [{"value": 1, "context": "Odd", "phase": "Odd"} for _ in range(3000)]
    event = {
        "eventType": "Updated", "timestamp": "2026-11-24T12:00:00Z", "seqNo": 1,
        "triggerReason": "MeterValuePeriodic", "transactionInfo": {"transactionId": "T"},
        "meterValue": [{"timestamp": "2026-11-24T12:00:00Z", "sampledValue": odd}],
    }  # fmt: skip
    started_s = time.process_time()
    assert len(schemas.check_incoming("v201", "TransactionEvent", event)) == 6000
    assert time.process_time() - started_s < 3  # a tenth of a second


def test_an_answer_says_whether_the_command_was_taken() -> None:
    answer: dict[str, Any]
    for answer in (
        {},
        {"status": "Accepted"},
        {"status": "Scheduled"},
        {"status": "RebootRequired"},
        {"listVersion": 3},
        {"configurationKey": [], "unknownKey": ["X"]},
        {"setVariableResult": [{"attributeStatus": "Accepted"}]},
    ):
        assert verdict.taken(answer), answer
    for answer in (
        {"status": "Rejected"},
        {"status": "NotSupported"},
        {"status": "Occupied"},
        {
            "setVariableResult": [
                {"attributeStatus": "Accepted"},
                {"attributeStatus": "UnknownVariable"},
            ]
        },
        {"setMonitoringResult": [{"status": "Duplicate"}]},
        {"setVariableResult": []},
    ):
        assert not verdict.taken(answer), answer


def test_names_of_calls_become_names_of_commands() -> None:
    for action, kind in (
        ("GetBaseReport", "get_base_report"),
        ("AFRRSignal", "afrr_signal"),
        ("SetDERControl", "set_der_control"),
        ("Get15118EVCertificate", "get15118_ev_certificate"),
    ):
        assert mirrored.snake(action) == kind


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR_AGO = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("raw", "connected_at", "at", "doubted", "late"),
    [
        ("2026-11-22T11:59:30Z", HOUR_AGO, NOW - timedelta(seconds=30), False, False),
        ("2026-11-22T13:00:30+01:00", HOUR_AGO, NOW + timedelta(seconds=30), False, False),
        ("2026-11-22T12:00:00", HOUR_AGO, NOW, False, False),
        # Connected for an hour, so it is no offline message: the clock is 30 minutes slow.
        ("2026-11-22T11:30:00Z", HOUR_AGO, NOW, True, False),
        # Before it connected: an offline session, in the charger's own time.
        ("2026-11-22T10:00:00Z", HOUR_AGO, NOW - timedelta(hours=2), False, True),
        ("2026-11-22T14:00:00Z", HOUR_AGO, NOW, True, False),
        ("1970-01-01T00:00:00Z", NOW, NOW, True, False),
        ("", HOUR_AGO, NOW, True, False),
        ("9999-99-99", HOUR_AGO, NOW, True, False),
    ],
)
def test_whose_time_counts(
    raw: str, connected_at: datetime, at: datetime, doubted: bool, late: bool
) -> None:
    settled = clocks.settle(raw, NOW, connected_at)
    assert (settled.at, settled.doubt is not None, settled.late) == (at, doubted, late)


@pytest.mark.parametrize(
    ("raw", "message", "ago_s"),
    [
        # Connected for an hour, and telling of the last half of it at the end.
        ("2026-11-22T11:30:00Z", "2026-11-22T11:59:30Z", 30 * 60),
        ("2026-11-22T11:59:40Z", "2026-11-22T11:59:30Z", 20),
        # The clock is 40 minutes slow: the message is from now, the reading from before it.
        ("2026-11-22T11:10:00Z", "2026-11-22T11:20:00Z", 10 * 60),
        ("1970-01-01T00:10:00Z", "1970-01-01T00:20:00Z", 10 * 60),
        # It was set in between, so the two have nothing to do with each other.
        ("1970-01-01T00:10:00Z", "2026-11-22T11:59:30Z", 0),
        ("2026-11-22T11:30:00Z", "9999-12-31T00:00:00Z", 0),
        ("2026-11-22T11:30:00Z", None, 0),
        ("2026-11-22T11:30:00Z", "", 0),
        ("", "2026-11-22T11:59:30Z", 0),
        # An old session, in the charger's own time.
        ("2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z", 3 * 3600),
    ],
)
def test_a_reading_was_taken_as_long_before_its_message_as_the_charger_says(
    raw: str, message: str | None, ago_s: int
) -> None:
    at = clocks.settle_reading(raw, message, NOW, HOUR_AGO)
    assert NOW - at == timedelta(seconds=ago_s)


MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z")


@given(st.text() | MOMENTS, st.none() | st.text() | MOMENTS)
def test_no_text_breaks_the_clock(raw: str, message: str | None) -> None:
    settled = clocks.settle(raw, NOW, HOUR_AGO)
    assert settled.at <= NOW + clocks.TOLERANCE
    reading_at = clocks.settle_reading(raw, message, NOW, HOUR_AGO)
    assert clocks.EARLIEST <= reading_at <= NOW + clocks.TOLERANCE


@pytest.mark.parametrize(
    ("start", "stop", "seconds", "energy_wh", "kinds"),
    [
        (0, 11_000, 3600, 11_000, []),
        (5_000, 5_000, 0, 0, []),
        (5_000, 4_999, 60, None, ["register_backwards"]),
        (0, 1_234_567, 3600, None, ["implausible_energy"]),  # the odometer is not a session
        (0, 40_000, 3600, None, ["implausible_energy"]),  # 40 kW at a 22 kW EVSE
        (None, 5_000, 3600, None, []),
        (0, 50_000, 25 * 3600, 50_000, ["eternal_session"]),
    ],
)
def test_how_much_energy_a_session_can_have_taken(
    start: int | None, stop: int, seconds: int, energy_wh: int | None, kinds: list[str]
) -> None:
    ended_at = NOW + timedelta(seconds=seconds)
    found = plausibility.energy(start, stop, NOW, ended_at, 22_000)
    assert found.energy_wh == energy_wh
    assert [incident.kind for incident in found.incidents] == kinds


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_energy_is_the_difference_of_the_registers_or_unknown(
    start: int, stop: int, seconds: int
) -> None:
    ended_at = NOW + timedelta(seconds=seconds)
    found = plausibility.energy(start, stop, NOW, ended_at, None)
    assert found.energy_wh in (stop - start, None)
    assert found.energy_wh is not None or found.incidents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1500", "1500"),
        ("12,5", "12.5"),
        (" 12.50 ", "12.50"),
        ("-3", "-3"),
        ("1e3", "1000"),
        ("", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e999999", None),
        ("OCMF|{}", None),
        ("٣", "3"),
    ],
)
def test_a_value_is_read_as_the_charger_meant_it(text: str, value: str | None) -> None:
    assert readings.number(text) == value


def test_kilowatt_hours_become_watt_hours_exactly() -> None:
    value = {"sampledValue": [{"value": "0,123456", "unit": "kWh"}]}
    (sample,) = meter_values.samples(value, NOW)
    assert (Decimal(sample["value"]), sample["unit"]) == (Decimal("123.456"), "Wh")
