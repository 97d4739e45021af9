"""The price that each station shows whoever has no contract: when it is told, and as what."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack import eventually

from billing.pricing import display
from billing.pricing.displayed import next_change, shown_at
from billing.rating.model import Component, Element, Modifier, Restrictions, Tariff, Window
from common.clock import now
from common.events import DisplayPricesChanged, Evse, StationChanged
from common.ids import uuid7
from services.billing.tests.conftest import Billing
from services.billing.tests.strategy_place import Place, placed

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = datetime(2026, 3, 27, tzinfo=UTC)  # on the 29th the clock is put


def kwh(price: str, **restricted: Any) -> Element:
    component = Component("ENERGY", Decimal(price), Decimal(19))
    return Element((component,), Restrictions(**restricted))


def tariff(*elements: Element) -> Tariff:
    return Tariff("T", "EUR", True, elements)


NIGHT = tariff(kwh("0.30", start_minute=22 * 60, end_minute=6 * 60), kwh("0.50"))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "price", "changes"),
    [
        ("2026-03-02T21:59", "0.50", "2026-03-02T22:00"),
        ("2026-03-02T22:00", "0.30", "2026-03-03T06:00"),
        ("2026-03-03T05:59", "0.30", "2026-03-03T06:00"),
        ("2026-03-03T06:00", "0.50", "2026-03-03T22:00"),
        ("2026-03-28T23:00", "0.30", "2026-03-29T06:00"),  # the clock is put meanwhile
    ],
)
def test_the_price_of_the_time_of_day_and_when_it_changes(
    at: str, price: str, changes: str
) -> None:
    assert shown_at(NIGHT, (), local(at), BERLIN).energy == Decimal(price)
    assert next_change(NIGHT, (), local(at), BERLIN) == local(changes)


def test_what_depends_on_the_session_is_shown_as_it_begins() -> None:
    tiers = tariff(
        kwh("0.10", min_power_w=Decimal(50_000)),
        kwh("0.39", max_wh=Decimal(10_000)),
        kwh("0.59"),
    )
    at = local("2026-03-02T12:00")
    assert shown_at(tiers, (), at, BERLIN).energy == Decimal("0.39")
    assert next_change(tiers, (), at, BERLIN) is None
    version = at + timedelta(hours=5)
    assert next_change(tiers, (), at, BERLIN, [at, version]) == version
    for power_w, price in ((22_000, "0.39"), (150_000, "0.10")):
        assert shown_at(tiers, (), at, BERLIN, power_w).energy == Decimal(price)


def test_what_is_for_everybody_is_taken_off_in_its_window() -> None:
    begins = local("2026-03-02T12:00").astimezone(UTC)
    window = Window(from_at=begins, until_at=begins + timedelta(hours=6))
    event = Modifier(uuid7(), "Spring", "event", "free", window=window)
    percent = Modifier(uuid7(), "Tenth", "station", "percent", Decimal(10))
    found = [
        (shown_at(tariff(kwh("0.50")), (event, percent), at, BERLIN).energy,
         next_change(tariff(kwh("0.50")), (event, percent), at, BERLIN))
        for at in (begins - timedelta(hours=1), begins, begins + timedelta(hours=6))
    ]  # fmt: skip
    assert found == [
        (Decimal("0.45"), begins),
        (Decimal(0), begins + timedelta(hours=6)),
        (Decimal("0.45"), None),
    ]


def test_step_sizes_and_hours_do_not_spoil_the_price_of_a_unit() -> None:
    component = Component("ENERGY", Decimal("0.25"), Decimal(19), step_size=500)
    hour = Component("TIME", Decimal("6.00"), Decimal(19), step_size=900)
    once = Component("FLAT", Decimal("1.00"), Decimal(19))
    found = shown_at(
        tariff(Element((component, hour, once))), (), local("2026-03-02T12:00"), BERLIN
    )
    assert (found.energy, found.time, found.session) == (
        Decimal("0.25"), Decimal("6.00"), Decimal("1.00"),
    )  # fmt: skip


@given(
    st.lists(
        st.tuples(st.integers(0, 1439), st.integers(0, 1439), st.sampled_from("12345")),
        max_size=3,
    ),
    st.integers(0, 4 * 24 * 3600).map(lambda after_s: MARCH + timedelta(seconds=after_s)),
)
def test_until_the_next_change_nothing_changes(
    windows: list[tuple[int, int, str]], begins: datetime
) -> None:
    elements = [
        kwh(f"0.{price}", start_minute=start, end_minute=end) for start, end, price in windows
    ]
    of_it = tariff(*elements, kwh("0.9"))
    changes = next_change(of_it, (), begins, BERLIN)
    shown = shown_at(of_it, (), begins, BERLIN)
    until = changes or begins + timedelta(days=1)
    for step in range(1, 40):
        # Sessions are reckoned in whole seconds, half up.
        moment = (begins + (until - begins) * step / 40).replace(microsecond=0)
        assert shown_at(of_it, (), moment, BERLIN) == shown
    if changes is not None:
        assert shown_at(of_it, (), changes, BERLIN) != shown


@pytest.fixture
async def place(billing: Billing) -> AsyncIterator[Place]:
    async with placed(billing) as found:
        yield found


async def told(place: Place) -> list[tuple[int, tuple[str, ...], dict[str, Any] | None]]:
    return [
        (one["version"], tuple(one["station_ids"]), one["price"])
        for one in await place.billing.told(DisplayPricesChanged)
    ]


async def shows(place: Place, energy: str) -> dict[str, Any]:
    """What was told last of the place's station, once it is this price a kWh."""

    async def found() -> dict[str, Any] | None:
        of_it = [price for _, ids, price in await told(place) if place.station in ids]
        last = of_it[-1] if of_it else None
        return last if last and last["energy_price"] == energy else None

    last: dict[str, Any] = await eventually(found, 15)
    return last


async def test_a_station_shows_the_operators_own_price_and_is_told_of_each_change(
    place: Place, billing: Billing
) -> None:
    first = await shows(place, "0.49")
    assert (first["currency"], first["tax_included"], first["vat_percent"]) == ("EUR", True, "19")
    assert [line["part"] for line in first["lines"]] == ["energy", "tax"]
    assert first["valid_until"] is None
    await billing.tariff(energy_price="0.59", valid_from=None)
    await shows(place, "0.59")
    soon = now() + timedelta(hours=3)
    mistaken = await billing.tariff(valid_from=(soon - timedelta(hours=1)).isoformat())
    await billing.withdraw(mistaken["id"])
    await billing.tariff(energy_price="0.69", valid_from=soon.isoformat())

    async def ends() -> bool:
        last = (await told(place))[-1][2]
        until = last and last["valid_until"]
        return bool(until and datetime.fromisoformat(until) == soon)

    await eventually(ends, 15)
    # When that moment has come the next one is told, without anything else happening.
    async with billing.app.state.connections.begin(place.operator_id) as db:
        await display.look_at(db, place.operator_id, soon)
    assert (await shows(place, "0.69"))["valid_until"] is None
    versions = [version for version, _, _ in await told(place)]
    assert versions == sorted(set(versions))


async def test_the_default_strategy_says_what_is_shown_where(
    place: Place, billing: Billing
) -> None:
    elsewhere = f"OTHER-{place.operator_id}"
    await billing.handle(
        StationChanged(
            operator_id=place.operator_id, station_id=elsewhere, version=1, name="E", active=True,
            evses=(), location_id=None,
        )
    )  # fmt: skip
    here = {"place": {"kind": "location", "id": str(place.location)}}
    cheap = here | {"tariff_id": await place.tariff("0.25")}
    await place.give(await place.strategy("default", tariffs=[cheap]), "everybody")
    await shows(place, "0.25")

    async def both() -> dict[str, str] | None:
        last: dict[str, str] = {}
        for _, stations, price in await told(place):
            last |= dict.fromkeys(stations, price["energy_price"] if price else "")
        return last if len(last) == 2 else None

    assert await eventually(both, 15) == {place.station: "0.25", elsewhere: "0.49"}


async def test_an_event_for_everybody_is_shown_and_one_for_some_is_not(place: Place) -> None:
    await shows(place, "0.49")
    for name, fields in (
        ("All", {"amount": "10"}),
        ("Some", {"amount": "50", "people": [{"kind": "user", "id": str(place.user)}]}),
        ("First", {"amount": "90", "quota": {"unit": "kwh", "size": "5", "per": "total"}}),
    ):
        made = await place.made("discounts", name=name, kind="percent", **fields)
        path = f"/v1/discounts/{made['id']}/activate"
        assert (await place.staff.post(path, headers={"If-Match": "*"})).status_code == 200
    last = await shows(place, "0.441")
    assert [line["texts"]["en"] for line in last["lines"] if line["part"] == "discount"] == [
        "All: -10 % (energy), from " + _from(last)
    ]  # fmt: skip
    found = (await place.staff.get("/v1/prices", params={"station_id": place.station})).json()
    assert found["example"]["total_gross"]["amount"] != "9.80"


def _from(last: dict[str, Any]) -> str:
    said: str = last["lines"][1]["texts"]["en"].partition(", from ")[2]
    return said


async def test_what_changes_nothing_tells_nothing_and_no_tariff_is_no_price(
    billing: Billing,
) -> None:
    async with placed(Billing.of(billing), tariff=False) as place:

        async def something() -> bool:
            return bool(await told(place))

        await eventually(something, 15)
        assert [price for _, _, price in await told(place)] == [None]
        for _ in range(2):
            async with billing.app.state.connections.begin(place.operator_id) as db:
                await display.look_at(db, place.operator_id, now())
        await place.billing.tariff()
        await shows(place, "0.49")
        assert len(await told(place)) == 2

        async def planned() -> bool:  # anew, if midnight was just now
            [row] = await billing.stored(
                "select due_at from display_round where operator_id = $1", place.operator_id
            )
            tomorrow = now().astimezone(BERLIN).date() + timedelta(days=1)
            return bool(now() < row["due_at"] <= datetime.combine(tomorrow, time(), BERLIN))

        await eventually(planned, 15)


async def test_what_the_strongest_evse_can_give_decides_between_prices_by_power(
    billing: Billing,
) -> None:
    definition = {
        "elements": [
            {
                "price_components": [{"type": "ENERGY", "price": price, "vat": "19"}],
                "restrictions": limits,
            }
            for price, limits in (("0.49", {"max_power": 50}), ("0.69", {"min_power": 50}))
        ]
    }
    async with placed(Billing.of(billing), tariff=False) as place:
        headers = billing.issuer.headers(place.operator_id, "tariffs:write")
        body = {"name": "by power", "currency": "EUR", "definition": definition}
        made = await billing.http.post("/v1/tariffs", json=body, headers=headers)
        assert made.status_code == 201, made.text
        for version, power_w, price in ((2, 22_000, "0.49"), (3, 150_000, "0.69")):
            evses = tuple(
                Evse(evse_id=number, code=None, max_power_w=one)
                for number, one in ((1, 11_000), (2, power_w))
            )
            station = StationChanged(
                operator_id=place.operator_id, version=version, station_id=place.station, name="S",
                active=True, evses=evses, location_id=place.location,
            )  # fmt: skip
            await place.billing.handle(station)
            await shows(place, price)
