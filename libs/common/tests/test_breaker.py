"""When an endpoint that does not answer is called again."""

from hypothesis import given
from hypothesis import strategies as st

from common.breaker import FAILURES_MAX, OPEN_S, Breaker


def opened() -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_MAX):
        assert breaker.lets(0)
        breaker.failed(0)
    return breaker


def test_it_opens_after_failures_in_a_row_and_tries_once_in_a_while() -> None:
    breaker = opened()
    assert not breaker.lets(OPEN_S - 0.001)
    assert breaker.lets(OPEN_S)
    assert not breaker.lets(OPEN_S)  # the others wait for the trial
    breaker.failed(OPEN_S + 1)
    assert not breaker.lets(2 * OPEN_S)
    assert breaker.lets(2 * OPEN_S + 1)
    breaker.answered()
    assert not breaker.is_open
    assert breaker.lets(2 * OPEN_S + 1)


def test_a_trial_whose_end_is_never_told_is_followed_by_another() -> None:
    breaker = opened()
    assert breaker.lets(OPEN_S)
    assert breaker.lets(2 * OPEN_S)


@given(st.lists(st.booleans(), max_size=40))
def test_it_is_open_exactly_after_so_many_failures_without_an_answer(answers: list[bool]) -> None:
    breaker = Breaker()
    in_a_row = 0
    for at, good in enumerate(answers):
        if good:
            breaker.answered()
        else:
            breaker.failed(at)
        in_a_row = 0 if good else in_a_row + 1
        assert breaker.is_open == (in_a_row >= FAILURES_MAX)
