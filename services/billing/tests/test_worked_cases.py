"""Cases of the trade, reckoned by hand; 0.49 EUR a kWh gross unless said otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

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
from billing.rating.periods import by_the_course
from common.money import to_cents

BERLIN = ZoneInfo("Europe/Berlin")
VAT = Decimal(19)


def energy(kwh_price: str, **restrictions: object) -> Element:
    component = Component("ENERGY", Decimal(kwh_price), VAT)
    return Element((component,), Restrictions(**restrictions))  # type: ignore[arg-type]


def tariff(*elements: Element, **fields: object) -> Tariff:
    return Tariff("house", "EUR", True, elements or (energy("0.49"),), **fields)  # type: ignore[arg-type]


def told(start: str, end: str, kwh: str, **fields: object) -> Told:
    """Local times of Berlin."""
    moments = [
        datetime.fromisoformat(one).replace(tzinfo=BERLIN).astimezone(UTC) for one in (start, end)
    ]
    wh = int(Decimal(kwh) * 1000)
    return Told(moments[0], moments[1], BERLIN, wh, 0, **fields)  # type: ignore[arg-type]


def gross(priced: Priced) -> str:
    assert to_cents(sum((line.amount for line in priced.lines), Decimal(0))) == priced.total.gross
    return str(priced.total.gross)


def modifier(name: str, scope: str, kind: str, amount: str = "0", **fields: object) -> Modifier:
    return Modifier(uuid4(), name, scope, kind, Decimal(amount), **fields)  # type: ignore[arg-type]


HOUR_OF_20 = told("2026-03-02T10:00", "2026-03-02T11:00", "20")


def test_the_price_of_the_night_begins_at_local_midnight() -> None:
    by_time = tariff(
        energy("0.50", start_minute=360, end_minute=0),
        energy("0.30", start_minute=0, end_minute=360),
    )
    priced = price(told("2026-01-05T23:30", "2026-01-06T00:30", "10"), by_time)
    assert gross(priced) == "4.00"
    assert [(str(one.quantity), str(one.amount)) for one in priced.lines] == [
        ("5", "2.5000"),
        ("5", "1.5000"),
    ]


@pytest.mark.parametrize(
    ("day", "expected"), [("2026-10-25", "12.00"), ("2026-03-29", "0.00"), ("2026-10-26", "6.00")]
)
def test_the_hour_between_two_and_three_is_twice_there_in_autumn_and_never_in_spring(
    day: str, expected: str
) -> None:
    hourly = Component("TIME", Decimal("6.00"), VAT)
    night = tariff(Element((hourly,), Restrictions(start_minute=120, end_minute=180)))
    assert gross(price(told(f"{day}T00:00", f"{day}T05:00", "1"), night)) == expected


@pytest.mark.parametrize("counts", ["parking", "connected"])
def test_blocking_the_place_costs_after_four_hours_not_at_night_and_not_without_end(
    counts: str,
) -> None:
    fee = IdleFee(
        Decimal("0.10"), VAT, after_min=240, counts=counts, quiet=(22 * 60, 7 * 60),  # type: ignore[arg-type]
        max_amount=Decimal(12),
    )  # fmt: skip
    charged_at = datetime(2026, 3, 2, 17, 30, tzinfo=BERLIN)
    session = told(
        "2026-03-02T15:00", "2026-03-02T23:00", "20",
        readings=[Reading(charged_at, Decimal(20_000))],
        states=[(charged_at, "suspended_ev")],
    )  # fmt: skip
    priced = price(session, tariff(idle_fee=fee))
    assert gross(priced) == "21.80"
    idle = [line for line in priced.lines if line.kind == "idle"]
    assert [(str(one.quantity), str(one.amount)) for one in idle] == [("180.0000", "18.0000")]
    if counts == "parking":
        by_the_grid = replace(session, states=[(charged_at, "suspended_evse")])
        assert gross(price(by_the_grid, tariff(idle_fee=fee))) == "9.80", "load management"


def test_the_first_ten_kwh_are_cheaper() -> None:
    tiers = tariff(energy("0.39", max_wh=Decimal(10_000)), energy("0.59"))
    assert gross(price(told("2026-03-02T10:00", "2026-03-02T11:00", "25"), tiers)) == "12.75"


def test_an_event_that_is_over_in_mid_session_frees_what_was_before() -> None:
    free = modifier("Saturday", "event", "free", window=Window(start_minute=720, end_minute=1080))
    priced = price(told("2026-03-07T17:30", "2026-03-07T18:30", "12"), tariff(), [free])
    assert gross(priced) == "2.94"
    assert [line.modifier_id for line in priced.lines if line.kind == "event"] == [free.id]


def test_discounts_work_on_what_the_ones_before_have_left() -> None:
    discounts = [
        modifier("group", "user_group", "percent", "5"),
        modifier("regular", "user", "percent", "10"),
        modifier("site", "station", "absolute", "0.05"),
    ]
    priced = price(HOUR_OF_20, tariff(), discounts)
    assert gross(priced) == "7.52"
    assert [str(line.amount) for line in priced.lines] == [
        "9.8000",
        "-1.0000",
        "-0.4400",
        "-0.8360",
    ]


def test_an_exclusive_discount_stands_alone_or_not_at_all() -> None:
    alone = modifier("alone", "user", "percent", "50", exclusive=True, priority=5)
    beside = modifier("beside", "station", "percent", "10", priority=1)
    assert gross(price(HOUR_OF_20, tariff(), [beside, alone])) == "4.90"
    assert gross(price(HOUR_OF_20, tariff(), [beside, replace(alone, priority=0)])) == "8.82"


def test_a_discount_never_makes_a_price_negative() -> None:
    priced = price(HOUR_OF_20, tariff(), [modifier("more", "user", "absolute", "3")])
    assert gross(priced) == "0.00"


def test_a_free_quota_covers_what_is_left_of_it() -> None:
    quota = Quota("wh", Decimal(7_500))
    free = modifier("first 10 kWh of a month", "user", "free", quota=quota)
    priced = price(HOUR_OF_20, tariff(), [free])
    assert gross(priced) == "6.13"  # 12.5 kWh
    assert priced.used == {free.id: Decimal(7_500)}
    money = modifier("5 EUR", "user", "free", quota=Quota("amount", Decimal(5)))
    assert gross(price(HOUR_OF_20, tariff(), [money])) == "4.80"


@pytest.mark.parametrize("quota", [Quota("wh", Decimal(10_000)), Quota("amount", Decimal("4.90"))])
def test_more_off_than_the_price_frees_what_the_quota_covers_and_no_more(quota: Quota) -> None:
    """Either quota is for half of it."""
    assert gross(price(HOUR_OF_20, tariff(), [modifier("X", "user", "absolute", "0.98")])) == "0.00"
    off = modifier("X", "user", "absolute", "0.98", quota=quota)
    assert gross(price(HOUR_OF_20, tariff(), [off])) == "4.90"


def test_an_event_whose_quota_is_used_up_makes_nothing_dearer() -> None:
    event = modifier("fair", "event", "price", "0.20", quota=Quota("amount", Decimal(0)))
    assert gross(price(HOUR_OF_20, tariff(), [event])) == "9.80"
    assert gross(price(HOUR_OF_20, tariff(energy("0")), [event])) == "0.00"


def test_of_two_currents_within_a_second_the_later_counts() -> None:
    hourly = Component("TIME", Decimal("6.00"), VAT)
    of = tariff(Element((hourly,), Restrictions(min_current_a=Decimal(8))))
    began_at = HOUR_OF_20.started_at
    told = [(600, Decimal(10)), (1200, Decimal(5))]
    currents = [(began_at + timedelta(milliseconds=at), ampere) for at, ampere in told]
    assert gross(price(replace(HOUR_OF_20, currents=currents), of)) == "0.00"


def test_caps_hold_before_the_least_and_the_most() -> None:
    capped = tariff(caps={"ENERGY": Decimal(6)}, min_price=Limit(None, Decimal("6.50")))
    priced = price(HOUR_OF_20, capped)
    assert gross(priced) == "6.50"
    assert [line.kind for line in priced.lines] == ["energy", "cap", "minimum"]
    assert gross(price(HOUR_OF_20, tariff(max_price=Limit(None, Decimal(5))))) == "5.00"


def test_below_50_wh_or_60_s_nothing_is_charged_not_even_the_start() -> None:
    start = Element((Component("FLAT", Decimal("0.35"), VAT),))
    with_fee = tariff(energy("0.49"), start)
    few = told("2026-03-02T10:00", "2026-03-02T11:00", "0.049")
    short = replace(HOUR_OF_20, ended_at=HOUR_OF_20.started_at + timedelta(seconds=59))
    assert [gross(price(one, with_fee)) for one in (few, short)] == ["0.00", "0.00"]
    assert gross(price(HOUR_OF_20, with_fee)) == "10.15"


def test_a_company_pays_net_and_abroad_without_vat() -> None:
    net = price(HOUR_OF_20, tariff(), tax="net").total
    assert (str(net.net), str(net.vat), str(net.gross)) == ("8.24", "1.57", "9.81")
    abroad = price(HOUR_OF_20, tariff(), tax="reverse_charge").total
    assert (str(abroad.net), str(abroad.vat), str(abroad.gross)) == ("8.24", "0.00", "8.24")


def test_every_rate_of_vat_is_told_and_they_sum_to_the_cent() -> None:
    mixed = Tariff(
        "mixed", "EUR", True,
        (Element((
            Component("ENERGY", Decimal("0.333"), Decimal(19)),
            Component("TIME", Decimal("1.111"), Decimal(7)),
            Component("FLAT", Decimal("0.105"), None),
        )),),
    )  # fmt: skip
    total = price(HOUR_OF_20, mixed).total
    assert [one.vat_percent for one in total.taxes] == [None, Decimal(7), Decimal(19)]
    assert total.gross == Decimal("7.88") == sum(one.gross for one in total.taxes)
    assert total.net + total.vat == total.gross


def test_a_price_event_costs_its_own_price() -> None:
    event = modifier("fair", "event", "price", "0.20")
    assert gross(price(HOUR_OF_20, tariff(), [event])) == "4.00"
    assert isinstance(event.id, UUID)


@pytest.mark.parametrize(
    ("of", "off", "expected"),
    [
        # What counts is the first element that has the dimension, not the last.
        ([("TIME", "1"), ("PARKING_TIME", "2"), ("TIME", "2")], [], "3.00"),
        ([("TIME", "2"), ("PARKING_TIME", "2")], ["TIME"], "3.00"),
    ],
)
def test_parked_time_is_told_from_charging_time_wherever_it_costs_something_else(
    of: list[tuple[str, str]], off: list[str], expected: str
) -> None:
    """An hour of each; details_of loads the states only if they matter, and so does this."""
    elements = [Element((Component(kind, Decimal(a), VAT),)) for kind, a in of]  # type: ignore[arg-type]
    half = [modifier("half", "user", "percent", "50", components=frozenset(off))] if off else []
    parked_at = datetime(2026, 3, 2, 11, tzinfo=BERLIN)
    session = told(
        "2026-03-02T10:00", "2026-03-02T12:00", "1", states=[(parked_at, "suspended_ev")]
    )
    hourly = tariff(*elements)
    assert by_the_course(hourly, half)
    assert gross(price(session, hourly, half)) == expected


@pytest.mark.parametrize("microseconds", [0, 499_999, 500_000, 700_000, 999_999])
def test_a_clock_with_fractions_of_a_second_is_on_the_same_side_of_midnight(
    microseconds: int,
) -> None:
    by_time = tariff(
        energy("0.50", start_minute=360, end_minute=0),
        energy("0.30", start_minute=0, end_minute=360),
    )
    session = told("2026-01-05T23:30", "2026-01-06T00:30", "10")
    by = timedelta(microseconds=microseconds)
    later = replace(session, started_at=session.started_at + by, ended_at=session.ended_at + by)
    assert gross(price(later, by_time)) == "4.00"
    fee = IdleFee(Decimal("0.10"), VAT, after_min=240, counts="connected", quiet=(1320, 420))
    day = told("2026-03-02T15:00", "2026-03-02T23:00", "20")
    later = replace(day, started_at=day.started_at + by, ended_at=day.ended_at + by)
    assert gross(price(later, tariff(idle_fee=fee))) == "27.80"  # 180 minutes


def test_the_least_that_a_session_costs_has_its_vat_even_if_the_session_is_free() -> None:
    least = Limit(None, Decimal(5))
    free = modifier("free", "event", "free")
    for of, off in ((tariff(min_price=least), [free]), (tariff(energy("0"), min_price=least), [])):
        total = price(HOUR_OF_20, of, off).total
        assert (str(total.net), str(total.vat), str(total.gross)) == ("4.20", "0.80", "5.00")
        of_net = price(HOUR_OF_20, of, off, "net").total
        assert (str(of_net.net), str(of_net.gross)) == ("4.20", "5.00")
    net = replace(tariff(energy("0"), min_price=Limit(Decimal(5), None)), tax_included=False)
    assert str(price(HOUR_OF_20, net).total.gross) == "5.95"


def test_what_blocking_the_place_cost_stays_when_the_car_charges_on() -> None:
    fee = IdleFee(Decimal("0.10"), VAT, after_min=10, after="charging_end")
    states = [
        (datetime(2026, 3, 2, hour, tzinfo=BERLIN), state)
        for hour, state in ((11, "suspended_ev"), (12, "charging"))
    ]
    of = tariff(idle_fee=fee)
    parked = told("2026-03-02T10:00", "2026-03-02T12:00", "10", states=states[:1])
    assert gross(price(parked, of)) == "9.90"  # 4.90 and 50 minutes
    on = told("2026-03-02T10:00", "2026-03-02T12:35", "10", states=states)
    assert gross(price(on, of)) == "9.90"
    again = [*states, (datetime(2026, 3, 2, 12, 30, tzinfo=BERLIN), "suspended_ev")]
    both = told("2026-03-02T10:00", "2026-03-02T13:00", "10", states=again)
    assert gross(price(both, of)) == "11.90"  # and 20 more


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (Quota("wh", Decimal(0)), "8.82"),
        (Quota("wh", Decimal(10_000)), "4.41"),
        (Quota("amount", Decimal("2.45")), "6.62"),  # a quarter of it
        (Quota("wh", Decimal(20_000)), "0.00"),
    ],
)
def test_what_is_over_an_exclusive_quota_costs_as_without_it(quota: Quota, expected: str) -> None:
    alone = modifier("alone", "user", "free", exclusive=True, priority=5, quota=quota)
    beside = modifier("beside", "station", "percent", "10")
    priced = price(HOUR_OF_20, tariff(), [beside, alone])
    assert gross(priced) == expected
    assert priced.used == {alone.id: quota.left}
    assert sum(one.quantity for one in priced.lines if one.kind == "energy") == 20


def test_energy_that_has_no_price_uses_up_no_quota() -> None:
    start = tariff(Element((Component("FLAT", Decimal("0.35"), VAT),)))
    quota = Quota("wh", Decimal(7_500))
    alone = modifier("alone", "user", "free", exclusive=True, quota=quota)
    priced = price(HOUR_OF_20, start, [alone])
    assert (gross(priced), priced.used) == ("0.35", {alone.id: Decimal(0)})


@pytest.mark.parametrize("parking", [None, "0.00"])
def test_charging_time_is_not_rounded_when_parking_follows_free_or_not(
    parking: str | None,
) -> None:
    components = [Component("TIME", Decimal("6.00"), VAT, 900)]
    if parking is not None:
        components.append(Component("PARKING_TIME", Decimal(parking), VAT, 900))
    full_at = datetime(2026, 3, 2, 10, 20, tzinfo=BERLIN)
    parked = told("2026-03-02T10:00", "2026-03-02T11:20", "5", states=[(full_at, "suspended_ev")])
    by_time = tariff(Element(tuple(components), Restrictions()))
    assert gross(price(parked, by_time)) == "2.00"
    charged = told("2026-03-02T10:00", "2026-03-02T10:20", "5")
    assert gross(price(charged, by_time)) == "3.00"  # half an hour


def test_what_is_over_a_step_costs_what_the_last_period_costs_also_if_that_is_nothing() -> None:
    """0.20 until five, free after: 4.3 and 1.1 kWh, by steps of half a kWh."""
    component = Component("ENERGY", Decimal("0.20"), VAT, 500)
    until_five = tariff(Element((component,), Restrictions(start_minute=0, end_minute=17 * 60)))
    five = datetime(2026, 3, 2, 17, tzinfo=BERLIN)
    session = told(
        "2026-03-02T16:00", "2026-03-02T18:00", "5.4", readings=[Reading(five, Decimal(4_300))]
    )
    assert gross(price(session, until_five)) == "0.86"
