"""When alerts begin and end, when people are told, and in which words: nothing else is needed."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.mail import Voice
from registry.alerts import alert_texts
from registry.alerts.alert_texts import Line, Notice, Part
from registry.alerts.alerting import (
    HOUR,
    LIMITS,
    OF_SOME_KIND,
    Manner,
    may_tell,
    quiet,
    state,
    turn,
    within_hour,
    wrong_limits,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT_VALUES = {"after_s": 60, "error_codes": ["E1"], "days": 3, "failures": 2, "hours": 4}


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


@given(
    flaps=st.lists(st.tuples(st.booleans(), st.integers(1, 900)), min_size=1, max_size=60),
    clear_after_s=st.integers(0, 600),
)
def test_an_alert_ends_once_its_condition_was_away_long_enough(
    flaps: list[tuple[bool, int]], clear_after_s: int
) -> None:
    """Looked at in rounds, an alert is resolved only after so long without its condition."""
    at, known, cleared_at = NOON, False, None
    away_since: datetime | None = None
    for holds, wait_s in flaps:
        at += s(wait_s)
        away_since = None if holds else away_since or at
        what = turn(
            known=known, holds=holds, cleared_at=cleared_at, clear_after_s=clear_after_s, now=at
        )
        if holds:
            assert what == ("raise" if not known else "return" if cleared_at else None)
            known, cleared_at = True, None
        elif known:
            assert away_since is not None
            assert (what == "resolve") == (at - away_since >= s(clear_after_s))
            if what == "resolve":
                known, cleared_at = False, None
            elif what == "clear":
                assert cleared_at is None
                cleared_at = at
            assert cleared_at in (None, away_since)
        else:
            assert what is None


@pytest.mark.parametrize("holds", [True, False])
def test_an_alert_whose_rule_is_gone_ends_at_once(holds: bool) -> None:
    what = turn(known=True, holds=holds, cleared_at=None, clear_after_s=None, now=NOON)
    assert what == "resolve"


def manner(**more: Any) -> Manner:
    usual: dict[str, Any] = {
        "severity": "warning", "bundle_s": 60, "notices_per_hour": 3, "quiet_from": None,
        "quiet_until": None, "time_zone": "UTC",
    }  # fmt: skip
    return Manner(**usual | more)


@given(
    waits=st.lists(st.integers(0, 2400), max_size=80),
    per_hour=st.integers(1, 5),
    bundle_s=st.integers(0, 300),
)
def test_in_no_hour_more_notices_go_out_than_allowed_and_none_is_held_for_longer(
    waits: list[int], per_hour: int, bundle_s: int
) -> None:
    how = manner(notices_per_hour=per_hour, bundle_s=bundle_s)
    at = NOON
    told: list[datetime] = []
    all_told: list[datetime] = []
    waiting_since: datetime | None = None
    for wait_s in waits:
        at += s(wait_s)
        waiting_since = waiting_since or at  # there is always something more
        if may_tell(how, waiting_since, told, at):
            assert at - waiting_since >= s(bundle_s)
            told = [*within_hour(told, at), at]
            all_told.append(at)
            waiting_since = None
        elif at - waiting_since >= s(bundle_s):
            assert sum(one > at - HOUR for one in all_told) == per_hour
    for end in all_told:
        assert sum(end - HOUR < one <= end for one in all_told) <= per_hour
    assert len(told) <= per_hour


@given(
    begins=st.times(), ends=st.times(), minutes=st.integers(0, 3 * 1440),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
)  # fmt: skip
def test_quiet_hours_and_the_others_are_the_whole_day(
    begins: time, ends: time, minutes: int, zone: str
) -> None:
    at = NOON + timedelta(minutes=minutes)
    if begins == ends:
        assert not quiet(begins, ends, zone, at)
    else:
        assert quiet(begins, ends, zone, at) != quiet(ends, begins, zone, at)
    assert not quiet(None, None, zone, at)


def test_quiet_hours_have_their_first_moment_and_not_their_last() -> None:
    for begins, ends in ((time(12), time(14)), (time(12), time(3))):
        assert quiet(begins, ends, "UTC", NOON)
        assert not quiet(begins, ends, "UTC", NOON.replace(hour=ends.hour))


def test_quiet_hours_are_by_the_operators_clock_and_keep_nothing_critical_back() -> None:
    night = {"quiet_from": time(22), "quiet_until": time(6), "time_zone": "Europe/Berlin"}
    before, within = NOON.replace(hour=20, minute=59), NOON.replace(hour=21)
    for at, told in ((before, True), (within, False), (NOON.replace(hour=5), True)):
        assert may_tell(manner(**night), at - s(3600), [], at) == told
        assert may_tell(manner(**night, severity="critical"), at - s(3600), [], at)


@given(kind=st.sampled_from(sorted(LIMITS)), given_=st.sets(st.sampled_from(sorted(OF_SOME_KIND))))
def test_a_rule_has_the_limits_of_its_kind_and_no_other(kind: Any, given_: set[str]) -> None:
    optional = {"error_codes"} if kind == "faulted" else set()
    right = LIMITS[kind] <= given_ <= LIMITS[kind] | optional
    assert (wrong_limits(kind, {name: LIMIT_VALUES[name] for name in given_}) is None) == right


def test_the_state_of_an_alert() -> None:
    assert state(None, None) == "open"
    assert state(None, NOON) == "acknowledged"
    assert state(NOON, None) == state(NOON, NOON) == "resolved"


def line(number: int, **more: Any) -> Line:
    usual: dict[str, Any] = {
        "kind": "offline", "station_id": f"P20-{number:02}", "station_name": "Level 2",
        "location": "Parkhaus Nord", "evse_id": 0, "detail": None, "since_at": NOON,
    }  # fmt: skip
    return Line(**usual | more)


def notice(**parts: Part) -> Notice:
    return Notice("Nachts", "critical", **{
        "raised": Part(), "reminded": Part(), "resolved": Part(), **parts,
    })  # fmt: skip


def test_a_mail_speaks_of_one_station_by_its_name_and_in_the_operators_language() -> None:
    one = notice(raised=Part([line(1, kind="faulted", evse_id=2, detail="GroundFailure E07")], 1))
    subject, text = alert_texts.mail(Voice("Nord", "de"), "Europe/Berlin", one)
    assert subject == "Kritisch: P20-01 gestört"
    assert text == (
        "Nord\nRegel „Nachts“\n\nNeu (1):\n- P20-01 Level 2, Parkhaus Nord, EVSE 2: gestört seit "
        "01.03.2026 13:00 (GroundFailure E07)\n"
    )
    subject, text = alert_texts.mail(Voice("Nord", "fr"), "Europe/Berlin", one)
    assert subject == "Critical: P20-01 faulted"
    assert "faulted since 2026-03-01 13:00" in text
    over = notice(resolved=Part([line(1)], 1))
    assert alert_texts.mail(Voice("Nord", "de"), "UTC", over).subject == (
        "Kritisch: P20-01 offline behoben"
    )


def test_a_mail_of_many_lists_fifty_and_counts_the_rest() -> None:
    many = notice(
        raised=Part([line(number) for number in range(50)], 150_000), resolved=Part([line(99)], 1)
    )
    subject, text = alert_texts.mail(Voice("Nord", "en"), "UTC", many)
    assert subject == "Critical: Nachts, 150000 new, 1 resolved"
    assert text.count("- P20-") == 51
    assert "- and 149950 more\n" in text
    assert "Resolved (1):\n- P20-99" in text
