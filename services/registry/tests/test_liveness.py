from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import StatusReport
from registry.live.liveness import Connection, newest_of_connectors, plausible, standing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPERATOR = UUID(int=1)


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def report(status: str, at_s: float, *, generation: int = 1, evse_id: int = 1) -> StatusReport:
    at = NOON + s(at_s)
    return StatusReport.model_validate(
        {
            "operator_id": OPERATOR,
            "station_id": "A",
            "generation": generation,
            "evse_id": evse_id,
            "connector_id": 1,
            "status": status,
            "reported_at": at,
            "received_at": at + s(1),
        }
    )


@pytest.mark.parametrize(
    ("connected", "beat_age_s", "online", "since_s"),
    [
        (True, 0, True, -300),
        (True, 44.9, True, -300),
        (True, 45, False, -45),
        (True, 200, False, -200),
        (True, 900, False, -300),  # the beat is older than the connection
        (True, None, False, -300),
        (False, 0, False, -300),
    ],
)
def test_a_station_is_online_while_it_is_connected_and_its_gateway_beats(
    connected: bool, beat_age_s: float | None, online: bool, since_s: float
) -> None:
    beat_at = None if beat_age_s is None else NOON - s(beat_age_s)
    found = standing(Connection(connected, NOON - s(300), beat_at), [], NOON)
    assert (found.online, found.since_at) == (online, NOON + s(since_s))


def test_a_dead_gateways_stations_are_offline_before_a_minute_has_passed() -> None:
    lost = standing(Connection(True, NOON - s(300), NOON - s(60)), [], NOON)
    assert not lost.online


def test_a_station_was_last_seen_when_it_was_last_heard_or_its_gateway_last_beat() -> None:
    heard = [NOON - s(100), None, NOON - s(7)]
    assert standing(None, [], NOON).last_seen_at is None
    assert standing(None, heard, NOON).last_seen_at == NOON - s(7)
    beating = Connection(True, NOON - s(300), NOON - s(2))
    assert standing(beating, heard, NOON).last_seen_at == NOON - s(2)
    # A beat says nothing of a station whose socket is closed.
    closed = Connection(False, NOON - s(300), NOON - s(2))
    assert standing(closed, heard, NOON).last_seen_at == NOON - s(7)


def test_of_many_reports_of_a_connector_the_newest_of_the_newest_generation_is_news() -> None:
    [told] = newest_of_connectors([report("charging", 5), report("available", 1, generation=2)])
    assert told.report.status == "available"
    [told] = newest_of_connectors([report("charging", 5), report("available", 1)])
    assert told.report.status == "charging"


def test_a_status_that_came_back_within_a_batch_is_since_its_return() -> None:
    [told] = newest_of_connectors(
        [report("available", 1), report("faulted", 2), report("available", 3)]
    )
    assert (told.previous_status, told.since_at) == ("faulted", NOON + s(3))
    [told] = newest_of_connectors([report("available", 1), report("available", 3)])
    assert (told.previous_status, told.since_at) == (None, NOON + s(1))


reports = st.builds(
    report,
    st.sampled_from(["available", "charging", "faulted"]),
    st.integers(0, 50),
    generation=st.integers(1, 3),
    evse_id=st.integers(1, 3),
)


@given(st.lists(reports, unique_by=lambda r: (r.evse_id, r.generation, r.received_at)))
def test_the_order_within_a_batch_does_not_matter(batch: list[StatusReport]) -> None:
    found = newest_of_connectors(batch)
    assert found == newest_of_connectors(list(reversed(batch)))
    keys = [told.report.evse_id for told in found]
    assert keys == sorted(set(keys)) == sorted({one.evse_id for one in batch})


def test_a_charger_that_counts_its_connectors_up_is_not_believed() -> None:
    assert plausible(report("available", 0, evse_id=1000))
    assert not plausible(report("available", 0, evse_id=2**40))
