"""The sum of a 2.x transaction's events does not depend on the order in which they come."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from csms_gateway.transaction_fold import Known, Token, missing, news, register

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
FIRST = Token("DRIVER", "ISO14443", "Accepted", None, None)
LAST = Token("GUARD", "ISO14443", "Accepted", None, None)


def events(updates: int) -> list[tuple[dict[str, Any], datetime, Token | None]]:
    found = []
    for seq_no in range(updates + 2):
        kind = "Started" if seq_no == 0 else "Ended" if seq_no == updates + 1 else "Updated"
        at = NOON + timedelta(minutes=seq_no)
        sampled: dict[str, Any] = {"value": 100 * seq_no}
        if kind != "Updated":
            context = "Transaction.Begin" if kind == "Started" else "Transaction.End"
            sampled["context"] = context
        payload = {
            "eventType": kind,
            "timestamp": at.isoformat(),
            "triggerReason": {"Started": "CablePluggedIn", "Ended": "StopAuthorized"}.get(
                kind, "Authorized" if seq_no == 1 else "MeterValuePeriodic"
            ),
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": "T"},
            "evse": {"id": 1, "connectorId": 2},
            "meterValue": [{"timestamp": at.isoformat(), "sampledValue": [sampled]}],
        }
        token = FIRST if seq_no == 1 and kind == "Updated" else LAST if kind == "Ended" else None
        found.append((payload, at, token))
    return found


@given(data=st.data(), updates=st.integers(1, 6))
def test_E04_FR03_any_order_of_the_events_makes_the_same_transaction(
    data: Any, updates: int
) -> None:
    in_order = events(updates)
    shuffled = data.draw(st.permutations(in_order))
    expected = fold(in_order)
    assert fold(shuffled) == expected
    assert (expected.meter_start_wh, expected.meter_stop_wh) == (0, 100 * (updates + 1))
    assert expected.token == FIRST
    assert (expected.started_at, expected.ended_at) == (NOON, in_order[-1][1])
    # And again: a repeat changes nothing.
    again = expected
    for payload, at, token in shuffled:
        again = again._replace(**news(again, payload, at, token))
    assert again == expected


@given(data=st.data())
def test_E05_the_driver_is_who_was_accepted_in_any_order(data: Any) -> None:
    refused = Token("STRANGER", "ISO14443", "Invalid", None, None)
    found = events(3)
    found[1], found[2] = (*found[1][:2], refused), (*found[2][:2], FIRST)
    assert fold(found).token == FIRST
    assert fold(data.draw(st.permutations(found))).token == FIRST


def fold(found: list[tuple[dict[str, Any], datetime, Token | None]]) -> Known:
    known = Known(UUID(int=1), "T", started_at=found[0][1], started_raw=found[0][0]["timestamp"])
    for payload, at, token in found:
        known = known._replace(**news(known, payload, at, token))
    return known


@given(first=st.integers(0, 2), length=st.integers(1, 20), data=st.data())
def test_E04_FR06_what_is_missing_is_what_did_not_come(first: int, length: int, data: Any) -> None:
    numbers = list(range(first, first + length + 1))
    lost = data.draw(st.sets(st.sampled_from(numbers[1:-1]))) if length > 1 else set()
    known = Known(
        UUID(int=1), "T", NOON, "", start_seen=True, start_seq_no=first, end_seq_no=numbers[-1]
    )
    assert missing(known, [n for n in numbers if n not in lost]) == sorted(lost)
    unstarted = known._replace(start_seen=False)
    assert set(missing(unstarted, numbers)) == set(range(first))


def test_J02_only_the_whole_evse_s_energy_register_is_the_session_s() -> None:
    def of(*sampled: dict[str, Any]) -> int | None:
        return register([{"sampledValue": list(sampled)}], "Transaction.Begin", any_context=True)

    assert of({"value": 7, "phase": "L1"}, {"value": 8, "location": "Inlet"}) is None
    assert of({"value": 7, "measurand": "Power.Active.Import"}, {"value": 0.5}) == 1
    assert of({"value": 1.2345, "unitOfMeasure": {"unit": "kWh"}}) == 1235
    assert of({"value": 12, "unitOfMeasure": {"multiplier": 3}}) == 12_000
    assert of({"value": 1e300}) is None
    assert of({"value": 5}, {"value": 6, "context": "Transaction.Begin"}) == 6
    assert of() is None
