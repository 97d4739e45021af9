"""Whose price counts, which tariff is meant, who pays: pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing.choosing import (
    Agreed,
    Assigned,
    Choice,
    Customer,
    Entry,
    HolderKind,
    Strategy,
    choose,
    overlapping,
    payer,
)
from common.closest import in_force
from common.ids import uuid7

CARD, USER, COMPANY, PARTNER, GROUP = (uuid7() for _ in range(5))
STRATEGIES = {
    name: Strategy(uuid7(), name, True, "monthly", "as_tariff")
    for name in ("card", "company", "user", "user_group", "everybody")
}
AGREED = Agreed(uuid7(), frozenset({("everywhere", "")}), None, None, uuid7(), "A")


def given_to(*kinds: HolderKind) -> dict[HolderKind, Sequence[Assigned]]:
    return {kind: [Assigned(uuid7(), None, 0, STRATEGIES[kind])] for kind in kinds}


def everything(**more: object) -> Customer:
    facts = {"card_id": CARD, "user_id": USER, "user_group_ids": (GROUP,)}
    return Customer(**facts | {"partner_id": PARTNER} | more)  # type: ignore[arg-type]


def strategy_name(choice: Choice) -> str | None:
    return choice.strategy.name if choice.strategy else None


def test_the_sources_have_their_turn_in_order_and_each_says_why() -> None:
    own = everything(card_strategy_id=STRATEGIES["card"].id)
    kinds: list[HolderKind] = ["user", "user_group", "everybody"]
    found = []
    for customer, carried, there, agreed in (
        (own, STRATEGIES["card"], kinds, AGREED),
        (everything(), None, kinds, AGREED),
        (everything(), None, kinds[1:], AGREED),
        (everything(), None, kinds[2:], AGREED),
        (everything(), None, kinds[2:], None),
        (everything(), None, [], None),
    ):
        choice = choose(customer, carried, given_to(*there), agreed)
        assert [step.taken for step in choice.steps] == [False] * (len(choice.steps) - 1) + [True]
        assert all(step.why.endswith(".") for step in choice.steps)
        found.append((choice.source, strategy_name(choice)))
    assert found == [
        ("card", "card"),
        ("user", "user"),
        ("user_group", "user_group"),
        ("partner", None),
        ("ad_hoc", "everybody"),
        ("ad_hoc", None),
    ]


def test_a_companys_card_follows_its_company_whatever_its_user_has() -> None:
    customer = Customer(CARD, USER, COMPANY, user_group_ids=(GROUP,))
    choice = choose(customer, None, given_to("company", "user", "user_group", "everybody"), None)
    assert (choice.source, strategy_name(choice)) == ("company", "company")
    assert payer(customer, choice) == ("company", COMPANY)
    choice = choose(customer, None, given_to("user", "user_group", "everybody"), None)
    assert (choice.source, strategy_name(choice)) == ("ad_hoc", "everybody")
    assert payer(customer, choice) == ("company", COMPANY)
    # Identity forbids it; were it told, the company would be billed by it.
    carrying = Customer(CARD, USER, COMPANY, card_strategy_id=STRATEGIES["card"].id)
    assert choose(carrying, STRATEGIES["card"], given_to("company"), None).source == "company"


def test_a_master_cards_strategy_is_its_companys() -> None:
    customer = Customer(CARD, None, COMPANY, True, card_strategy_id=STRATEGIES["card"].id)
    choice = choose(customer, STRATEGIES["card"], given_to("company"), None)
    assert (choice.source, strategy_name(choice)) == ("company", "card")
    assert payer(customer, choice) == ("company", COMPANY)


@pytest.mark.parametrize(
    ("customer", "kinds", "owner"),
    [
        (Customer(CARD, USER), ("user",), ("user", USER)),
        (Customer(CARD, USER), ("everybody",), ("user", USER)),
        (Customer(CARD), ("everybody",), ("card", CARD)),
        (Customer(None, USER), ("user",), ("user", USER)),
        (Customer(CARD, USER), (), None),  # no strategy says how
        (Customer(CARD, partner_id=PARTNER), ("everybody",), None),
        (Customer(), ("everybody",), None),
    ],
)
def test_who_pays(
    customer: Customer, kinds: Sequence[HolderKind], owner: tuple[str, UUID] | None
) -> None:
    assert payer(customer, choose(customer, None, given_to(*kinds), None)) == owner


def test_the_card_pays_itself_where_the_strategy_is_its_own() -> None:
    customer = everything(card_strategy_id=STRATEGIES["card"].id)
    choice = choose(customer, STRATEGIES["card"], given_to("user"), AGREED)
    assert payer(customer, choice) == ("card", CARD)


def test_what_is_free_nobody_owes() -> None:
    free = Strategy(uuid7(), "free", True, "free", "as_tariff")
    given: dict[HolderKind, Sequence[Assigned]] = {"user": [Assigned(uuid7(), USER, 0, free)]}
    customer = Customer(CARD, USER)
    assert payer(customer, choose(customer, None, given, None)) is None


def test_a_strategy_that_is_switched_off_or_unknown_leaves_it_to_the_next() -> None:
    off = Strategy(uuid7(), "off", False, "free", "as_tariff")
    customer = everything(card_strategy_id=off.id, partner_id=None)
    given: dict[HolderKind, Sequence[Assigned]] = {
        "user": [Assigned(uuid7(), USER, 0, off)],
        **given_to("user_group"),
    }
    for carried in (off, None):
        choice = choose(customer, carried, given, None)
        assert (choice.source, strategy_name(choice)) == ("user_group", "user_group")


def test_of_several_groups_the_higher_priority_counts_then_the_later() -> None:
    first, second, third = (
        Assigned(uuid7(), GROUP, priority, Strategy(uuid7(), name, True, "monthly", "net"))
        for name, priority in (("high", 2), ("low", 1), ("later", 2))
    )
    customer = Customer(CARD, USER, user_group_ids=(GROUP,))
    for held, expected in (((first, second), "high"), ((first, second, third), "later")):
        assert strategy_name(choose(customer, None, {"user_group": held}, None)) == expected


DAYS = st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 8))
PLACES = st.sampled_from(
    [("everywhere", ""), ("station", "CP-1"), ("station", "CP-2"), ("location", str(COMPANY))]
)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    return [
        Entry(number, frozenset({draw(PLACES)}), draw(DAYS), draw(DAYS), None)
        for number in range(draw(st.integers(0, 5)))
    ]


@given(entries())
def test_two_tariffs_overlap_if_both_hold_at_one_place_on_one_day(listed: list[Entry]) -> None:
    valid = [
        one for one in listed
        if one.valid_from is None or one.valid_until is None or one.valid_from <= one.valid_until
    ]  # fmt: skip
    days = [date(2026, 1, 1) + timedelta(days=day) for day in range(-1, 9)]
    twice = any(
        one.places == other.places and in_force(one, day) and in_force(other, day)
        for one, other in combinations(valid, 2)
        for day in days
    )
    found = overlapping(valid)
    assert (found is not None) == twice
    if found is not None:
        assert found[0].places == found[1].places
