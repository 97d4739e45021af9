"""What must hold of every price, whatever the session, the tariff and its discounts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.rating import Priced, price
from billing.rating.course import Reading, Told
from billing.rating.model import (
    Component,
    Element,
    IdleFee,
    Limit,
    Modifier,
    Quota,
    Restrictions,
    Tariff,
    Window,
)
from common.money import to_cents

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ZERO = Decimal(0)
LINE_DIGIT = Decimal("0.0001")
DIVIDED = Decimal("1e-20")  # a division ends after 28 digits
few = settings(max_examples=50)  # what shows early if it is wrong
DIMENSIONS: tuple[Any, ...] = ("ENERGY", "TIME", "PARKING_TIME", "FLAT")
STATES: tuple[Any, ...] = ("charging", "suspended_ev", "suspended_evse", "connected", "idle")

# Whatever can be written down.
money = st.decimals(0, 10, places=4)
cents = st.decimals(0, 30, places=2)
percents = st.sampled_from([None, Decimal(0), Decimal(7), Decimal(19)])
minutes = st.integers(0, 1439)
days = st.frozensets(st.integers(0, 6), min_size=1)


def whole(most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, most).map(Decimal)


dates = st.dates(START.date(), START.date() + timedelta(days=400))
LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "start_minute": minutes,
    "end_minute": minutes,
    "start_date": dates,
    "end_date": dates,
    "weekdays": days,
    "min_wh": whole(30_000),
    "max_wh": whole(30_000),
    "min_current_a": whole(40),
    "max_current_a": whole(40),
    "min_power_w": whole(30_000),
    "max_power_w": whole(30_000),
    "min_duration_s": st.integers(0, 20_000),
    "max_duration_s": st.integers(0, 20_000),
}


@st.composite
def restrictions(draw: st.DrawFn) -> Restrictions:
    """Few of them: what must be all of that is hardly ever."""
    names = draw(st.lists(st.sampled_from(sorted(LIMITS)), max_size=3, unique=True))
    return Restrictions(**{name: draw(LIMITS[name]) for name in names})


components = st.builds(
    Component,
    type=st.sampled_from(DIMENSIONS),
    price=money,
    vat_percent=percents,
    step_size=st.sampled_from([1, 60, 500]),
)
elements = st.builds(
    Element,
    components=st.lists(components, min_size=1, max_size=4, unique_by=lambda c: c.type).map(tuple),
    restrictions=restrictions(),
)
fees = st.builds(
    IdleFee,
    price_per_min=money,
    vat_percent=percents,
    after_min=st.integers(0, 300),
    after=st.sampled_from(["session_start", "charging_end"]),
    counts=st.sampled_from(["parking", "connected"]),
    quiet=st.none() | st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
    max_amount=st.none() | money,
)
caps: Any = st.dictionaries(st.sampled_from(["ENERGY", "TIME"]), money)
tariffs = st.builds(
    Tariff,
    name=st.just("any"),
    currency=st.just("EUR"),
    tax_included=st.booleans(),
    elements=st.lists(elements, min_size=1, max_size=3).map(tuple),
    caps=caps,
    idle_fee=st.none() | fees,
)


@st.composite
def limited(draw: st.DrawFn) -> tuple[Limit | None, Limit | None]:
    """A least and a greatest price as a tariff is allowed to have them."""
    low, between, high = sorted(draw(cents) for _ in range(3))
    pairs = [(low, None), (None, low), (low, between), (None, None)]
    least = draw(st.sampled_from(pairs))
    most = draw(st.sampled_from([(between, None), (None, high), (between, high), (None, None)]))
    found = [None if pair == (None, None) else Limit(*pair) for pair in (least, most)]
    return found[0], found[1]


@st.composite
def discounts(draw: st.DrawFn) -> Modifier:
    """Quotas of energy are for energy, those of time for time: others are refused."""
    of: dict[Any, tuple[str, ...]] = {
        None: DIMENSIONS, "amount": DIMENSIONS, "wh": ("ENERGY",), "s": ("TIME", "PARKING_TIME"),
    }  # fmt: skip
    unit = draw(st.sampled_from(list(of)))
    left = Decimal(draw(st.integers(0, 1_000 if unit == "amount" else 20_000)))
    parts: dict[str, st.SearchStrategy[Any]] = {
        "from_at": st.integers(-10, 50).map(lambda hours: START + timedelta(hours=hours)),
        "until_at": st.integers(-10, 50).map(lambda hours: START + timedelta(hours=hours)),
        "start_minute": minutes,
        "end_minute": minutes,
        "weekdays": days,
    }
    names = draw(st.lists(st.sampled_from(sorted(parts)), max_size=2, unique=True))
    window = Window(**{name: draw(parts[name]) for name in names})
    return Modifier(
        id=draw(st.uuids()),
        name="less",
        scope=draw(st.sampled_from(["station", "station_group", "user_group", "user", "event"])),
        kind=draw(st.sampled_from(["absolute", "percent", "price", "free"])),
        amount=draw(money),
        components=draw(st.frozensets(st.sampled_from(of[unit]), min_size=1)),
        window=window,
        exclusive=draw(st.booleans()),
        priority=draw(st.integers(0, 3)),
        quota=Quota(unit, left / 100 if unit == "amount" else left) if unit else None,
    )


modifiers = st.lists(discounts(), max_size=3, unique_by=lambda one: one.id)


@st.composite
def sessions(draw: st.DrawFn) -> Told:
    """Also with readings that contradict each other."""
    length_s = draw(st.integers(60, 100_000))
    energy_wh = draw(st.integers(50, 100_000))
    fraction = draw(st.integers(0, 999_999))
    begins = draw(st.integers(0, 3_000) | st.integers(0, 500_000))
    start = START + timedelta(minutes=begins, microseconds=fraction)

    def samples(most: int) -> list[tuple[datetime, Decimal]]:
        moments = draw(st.lists(st.integers(0, length_s), max_size=6))
        return [
            (start + timedelta(seconds=at_s), Decimal(draw(st.integers(0, most))))
            for at_s in moments
        ]

    readings = [Reading(at, wh) for at, wh in samples(energy_wh)]
    states = [
        (start + timedelta(seconds=draw(st.integers(0, length_s))), state)
        for state in draw(st.lists(st.sampled_from(STATES), max_size=3))
    ]
    end = start + timedelta(seconds=length_s)
    currents, powers = samples(40), samples(30_000)
    return Told(start, end, BERLIN, energy_wh, 0, readings, states, currents, powers)


treatments: Any = st.sampled_from(["as_tariff", "net", "reverse_charge"])


@given(sessions(), tariffs, limited(), modifiers, treatments)
def test_the_total_is_the_sum_of_its_explained_lines(
    told: Told,
    tariff: Tariff,
    limits: tuple[Limit | None, Limit | None],
    off: list[Modifier],
    tax: Any,
) -> None:
    tariff = replace(tariff, min_price=limits[0], max_price=limits[1])
    priced = price(told, tariff, off, tax)
    total = priced.total
    rounded = to_cents(sum((line.amount for line in priced.lines), ZERO))
    assert rounded == (total.gross if priced.tax_included else total.net)
    assert total.net + total.vat == total.gross
    for name in ("net", "vat", "gross"):
        assert getattr(total, name) == sum((getattr(one, name) for one in total.taxes), ZERO)
    assert all(one.net + one.vat == one.gross for one in total.taxes)
    assert all(line.rule for line in priced.lines)
    assert min(total.net, total.gross) >= 0, "never below zero"


@few
@given(sessions(), tariffs, modifiers, treatments)
def test_each_rate_of_vat_stands_once_and_its_vat_is_of_its_own_amount(
    told: Told, tariff: Tariff, off: list[Modifier], tax: Any
) -> None:
    priced = price(told, tariff, off, tax)
    rates = [one.vat_percent for one in priced.total.taxes]
    assert len(rates) == len(set(rates))
    for one in priced.total.taxes:
        percent = one.vat_percent or ZERO
        if priced.tax_included:
            assert one.net == to_cents(one.gross * 100 / (100 + percent))
        else:
            assert one.vat == to_cents(one.net * percent / 100)
        of_it = [line.amount for line in priced.lines if line.vat_percent == one.vat_percent]
        own = one.gross if priced.tax_included else one.net
        # What rounding leaves of each goes to the one with the most.
        assert abs(own - sum(of_it, ZERO)) <= Decimal("0.005") * len(rates)


@few
@given(sessions(), tariffs, limited())
def test_a_session_costs_neither_less_than_the_least_nor_more_than_the_most(
    told: Told, tariff: Tariff, limits: tuple[Limit | None, Limit | None]
) -> None:
    least, most = limits
    priced = price(told, replace(tariff, min_price=least, max_price=most))
    for name, net_or_gross in (("excl_vat", "net"), ("incl_vat", "gross")):
        said, exact = getattr(priced.total, net_or_gross), f"exact_{net_or_gross}"
        low, high = getattr(least, name, None), getattr(most, name, None)
        if low is not None:
            assert said >= low and getattr(priced.total, exact) >= low
        if high is not None:
            assert said <= high and getattr(priced.total, exact) <= high


@few
@given(sessions(), tariffs, modifiers)
def test_energy_is_explained_to_the_wh(told: Told, tariff: Tariff, off: list[Modifier]) -> None:
    steps = any(one.step_size > 1 for of in tariff.elements for one in of.components)
    lines = [line for line in price(told, tariff, off).lines if line.kind == "energy"]
    quantity = sum((line.quantity for line in lines), ZERO) * 1000
    assert quantity == told.energy_wh or (steps and quantity > told.energy_wh)


@st.composite
def growing(draw: st.DrawFn) -> Tariff:
    """Prices of one VAT rate (of several, gross goes by the mix), none falling with more energy."""
    limits = sorted(draw(st.sets(st.integers(1, 60_000), max_size=3)))
    steps = {one: draw(st.sampled_from([1, 7, 60, 500, 10_000])) for one in DIMENSIONS}
    rate = draw(percents)
    dimensions = draw(st.sets(st.sampled_from(DIMENSIONS), min_size=1))
    prices = {
        one: sorted(draw(st.lists(money, min_size=len(limits) + 1, max_size=len(limits) + 1)))
        for one in sorted(dimensions)
    }
    below: list[int | None] = [*limits, None]
    tiers = [
        Element(
            tuple(Component(one, prices[one][i], rate, steps[one]) for one in prices),
            Restrictions(max_wh=None if most is None else Decimal(most)),
        )
        for i, most in enumerate(below)
    ]
    if draw(st.booleans()):
        tiers = [
            replace(tier, restrictions=Restrictions(min_wh=Decimal(least)))
            for least, tier in zip([0, *limits], tiers, strict=True)
        ][::-1]
    fee = draw(st.none() | fees.map(lambda one: replace(one, vat_percent=rate)))
    gross, (least, most) = draw(st.booleans()), draw(limited())
    return Tariff("grows", "EUR", gross, tuple(tiers), least, most, draw(caps), fee)


@given(sessions(), st.integers(1, 10_000), growing())
def test_more_energy_never_costs_less(told: Told, more_wh: int, tariff: Tariff) -> None:
    least = price(told, tariff).total
    most = price(replace(told, energy_wh=told.energy_wh + more_wh), tariff).total
    assert most.exact_gross >= least.exact_gross - DIVIDED
    assert most.exact_net >= least.exact_net - DIVIDED
    assert most.gross >= least.gross
    assert most.net >= least.net


@few
@given(sessions(), st.integers(1, 10_000), tariffs, modifiers)
def test_more_energy_costs_less_by_no_more_than_the_wh_that_other_times_take_from_each_other(
    told: Told, more_wh: int, tariff: Tariff, off: list[Modifier]
) -> None:
    """With prices of any hours, but neither steps nor tiers, in which it may be the tariff."""
    plain = replace(
        tariff,
        elements=tuple(
            replace(
                one,
                components=tuple(replace(c, step_size=1) for c in one.components),
                restrictions=replace(
                    one.restrictions, min_wh=None, max_wh=None, min_power_w=None, max_power_w=None
                ),
            )
            for one in tariff.elements
        ),
    )
    evenly = replace(told, readings=())
    least = price(evenly, plain, off).total
    more = price(replace(evenly, energy_wh=told.energy_wh + more_wh), plain, off).total
    # Energy between two readings is split to the Wh, which may shift one to another price.
    assert more.exact_gross >= least.exact_gross - Decimal("0.1")


@st.composite
def straight(draw: st.DrawFn) -> tuple[Told, Told]:
    """A session, and the same with readings more that lie between two others, in whole Wh."""
    minute = timedelta(minutes=draw(st.integers(0, 500_000)))
    start = START + minute + timedelta(microseconds=draw(st.integers(0, 999_999)))
    at_s, wh = 0, 0
    readings, between = [], []
    for _ in range(draw(st.integers(1, 5))):
        parts, part_s, part_wh = (draw(st.integers(*span)) for span in ((2, 60), (1, 600), (0, 99)))
        for part in sorted(draw(st.sets(st.integers(1, parts - 1), min_size=1, max_size=3))):
            moment = start + timedelta(seconds=at_s + part * part_s)
            between.append(Reading(moment, Decimal(wh + part * part_wh)))
        at_s, wh = at_s + parts * part_s, wh + parts * part_wh
        readings.append(Reading(start + timedelta(seconds=at_s), Decimal(wh)))
    states = [
        (start + timedelta(seconds=draw(st.integers(0, at_s))), state)
        for state in draw(st.lists(st.sampled_from(STATES), max_size=3))
    ]
    end = start + timedelta(seconds=at_s)
    told = Told(start, end, BERLIN, wh, 0, readings, states)
    return told, replace(told, readings=[*between, *readings])


@given(straight(), tariffs | growing(), modifiers)
def test_a_reading_between_two_others_changes_no_price(
    told: tuple[Told, Told], tariff: Tariff, off: list[Modifier]
) -> None:
    """Whatever depends on it: hours, days, kWh, power, duration, quotas."""
    assert price(told[1], tariff, off) == price(told[0], tariff, off)


@given(sessions() | straight().map(itemgetter(1)), tariffs | growing(), modifiers, st.randoms())
def test_the_order_of_what_was_told_does_not_matter(
    told: Told, tariff: Tariff, off: list[Modifier], dice: Random
) -> None:
    shuffled: dict[str, Any] = {
        name: dice.sample(getattr(told, name), len(getattr(told, name)))
        for name in ("readings", "states", "currents", "powers")
    }
    # Two states at one moment contradict each other; then the names decide, not the order.
    again = price(replace(told, **shuffled), tariff, dice.sample(off, len(off)))
    assert again == price(told, tariff, off)


def amount(priced: Priced, *kinds: str) -> Decimal:
    return sum((line.amount for line in priced.lines if line.kind in kinds), ZERO)


@given(sessions(), growing(), st.lists(discounts(), min_size=1, max_size=3))
def test_a_discount_takes_no_more_than_its_quota_and_never_more_than_there_is(
    told: Told, tariff: Tariff, off: list[Modifier]
) -> None:
    priced = price(told, tariff, off)
    assert priced.used.keys() <= {one.id for one in off if one.quota}
    for one in off:
        used = priced.used.get(one.id, ZERO)
        of_it = [line.amount for line in priced.lines if line.modifier_id == one.id]
        assert 0 <= used <= (one.quota.left if one.quota else 0)
        if one.quota is not None and one.kind != "price":
            assert used or not any(of_it), "what a quota does not cover costs as without"
        if one.quota is not None and one.quota.unit == "amount" and one.kind in {"percent", "free"}:
            assert -sum(of_it) <= used + LINE_DIGIT * len(of_it)
    prices = amount(priced, "energy", "time", "parking", "start", "discount", "event")
    assert prices >= -LINE_DIGIT * len(priced.lines)
    assert min(priced.total.net, priced.total.gross, priced.total.exact_gross + DIVIDED) >= 0


@few
@given(sessions(), tariffs, modifiers)
def test_what_takes_something_off_never_makes_a_session_dearer(
    told: Told, tariff: Tariff, off: list[Modifier]
) -> None:
    taking = [one for one in off if one.kind != "price"]
    with_it, without = price(told, tariff, taking), price(told, tariff)
    if tariff.tax_included:
        assert with_it.total.exact_gross <= without.total.exact_gross + DIVIDED
    else:
        assert with_it.total.exact_net <= without.total.exact_net + DIVIDED


@few
@given(sessions(), tariffs)
def test_what_is_free_is_free(told: Told, tariff: Tariff) -> None:
    free = Modifier(UUID(int=1), "free", "event", "free", components=frozenset(DIMENSIONS))
    bare = replace(tariff, idle_fee=None)
    assert price(told, bare, [free]).total.gross == 0
