"""The authorize decision as a pure function, against an oracle that lists every reason."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.access.decision import Facts, decide
from identity.uids import normal_uid

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

moments = (
    st.none()
    | st.sampled_from([NOW - SECOND, NOW, NOW + SECOND])
    | st.datetimes(timezones=st.just(UTC))
)
facts = st.none() | st.builds(
    Facts,
    card_id=st.just(UUID(int=1)),
    active=st.booleans(),
    blocked_reason=st.none() | st.text(max_size=20),
    valid_from=moments,
    valid_until=moments,
    user_id=st.none() | st.just(UUID(int=2)),
    user_active=st.none() | st.booleans(),
    has_tariff=st.booleans(),
    group_id=st.none() | st.just("FLEET"),
    master_pass=st.booleans(),
    unpaid=st.none() | st.sampled_from(["no_credit", "blocked", "chargeback", "closed", "new"]),
)


def oracle(known: Facts | None, now: datetime) -> str:
    """Every reason that holds, by weight; the first counts."""
    if known is None:
        return "Invalid"
    begins = known.valid_from or datetime.min.replace(tzinfo=UTC)
    ends = known.valid_until or datetime.max.replace(tzinfo=UTC)
    reasons = [
        (1, "Blocked", not known.active),
        (2, "Blocked", known.user_active is not None and not known.user_active),
        (3, "Invalid", begins > now),
        (4, "Expired", ends <= now),
        (5, "NoCredit", known.unpaid == "no_credit" and not known.master_pass),
        (6, "Blocked", known.unpaid is not None and not known.master_pass),
        (7, "Blocked", not known.has_tariff and not known.master_pass),
        (9, "Accepted", True),
    ]
    return min((weight, status) for weight, status, holds in reasons if holds)[1]


@given(facts)
def test_a_decision_is_the_first_reason_that_holds(known: Facts | None) -> None:
    decided = decide(known, NOW)
    assert decided.status == oracle(known, NOW)
    assert decided.why.endswith(".")


@given(facts)
def test_nothing_is_accepted_without_a_card_that_is_active_and_a_tariff_unless_it_begins_none(
    known: Facts | None,
) -> None:
    if decide(known, NOW).status == "Accepted":
        assert known and known.active and known.user_active is not False
        assert known.has_tariff or known.master_pass


def test_a_blocked_card_says_why() -> None:
    card = Facts(UUID(int=1), False, "lost", None, None, None, None, True)
    assert decide(card, NOW).why == "The card is blocked: lost."


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        ("04a2b3c4", "04A2B3C4"),
        (" de*abc*c1 ", "DE*ABC*C1"),
        ("x" * 36, "X" * 36),
        ("x" * 37, None),
        ("", None),
        ("   ", None),
        ("ab\0cd", None),
        ("straße", None),  # upper case would make it STRASSE, another card's token
        ("ab\ncd", None),
    ],
)
def test_a_token_is_compared_in_upper_case_and_only_if_a_card_can_have_it(
    raw: str, stored: str | None
) -> None:
    assert normal_uid(raw) == stored
