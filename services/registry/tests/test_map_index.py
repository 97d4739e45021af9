"""The index of the public map against one that looks at each station by itself."""

import math
from dataclasses import dataclass, replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from registry.public_map.index import BIT, Entry, Found, Index, Offer, Wanted
from registry.public_map.sphere import EARTH_M, FARTHEST_M, Box, Point, metres, squared_chord

OPERATORS = [UUID(int=n) for n in (1, 2, 3)]
REPLICAS = [UUID(int=n) for n in (10, 11)]
STANDARDS = list(BIT)[:4] + list(BIT)[-1:]
NEAR_ENOUGH_M = 0.5  # two formulas, at the other side of the earth

# Round ones too: poles, the date line, and many at the same distance or at one point.
# No finer than a billionth of a degree: nearer to the edge of a square two formulas may differ.
latitudes = st.one_of(
    st.sampled_from([-90.0, -89.9999, -45.0, 0.0, 52.5, 52.5000001, 89.9999, 90.0]),
    st.floats(-90, 90, allow_nan=False).map(lambda degrees: round(degrees, 9)),
)
longitudes = st.one_of(
    st.sampled_from([-180.0, -179.9999, -90.0, 0.0, 13.4, 13.4000001, 179.9999, 180.0]),
    st.floats(-180, 180, allow_nan=False).map(lambda degrees: round(degrees, 9)),
)
points = st.builds(Point, latitudes, longitudes)
masks = st.sets(st.sampled_from(STANDARDS), min_size=1, max_size=3).map(
    lambda found: sum(BIT[one] for one in found)
)
offers = st.builds(
    lambda standards, free, power: Offer(standards, standards & free, power),
    masks,
    st.one_of(st.just(0), masks),
    st.sampled_from([0, 11_000, 22_000, 150_000]),
)
entries = st.builds(
    Entry,
    id=st.integers(0, 9).map("S-{}".format),
    operator_id=st.sampled_from(OPERATORS),
    at=st.one_of(points, st.sampled_from([Point(52.5, 13.4), Point(0.0, 180.0)])),
    replica=st.sampled_from([None, *REPLICAS]),
    offers=st.lists(offers, min_size=0, max_size=4),
    shown=st.just(b"{}"),
)
wanted = st.builds(
    Wanted,
    standards=st.one_of(st.just(0), masks),
    power_w=st.sampled_from([0, 22_000, 150_000]),
    available=st.booleans(),
    operator_id=st.one_of(st.none(), st.sampled_from(OPERATORS)),
)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    south, north = sorted((draw(latitudes), draw(latitudes)))
    return Box.of(draw(longitudes), south, draw(longitudes), north)


@dataclass(frozen=True)
class World:
    """The index, and what must be in it."""

    index: Index
    stations: dict[str, Entry]
    alive: frozenset[UUID]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Stations that come, change, and go."""
    index = Index()
    stations: dict[str, Entry] = {}
    alive: frozenset[UUID] = frozenset()
    for step in draw(st.lists(st.one_of(entries, st.sets(st.sampled_from(REPLICAS))), max_size=40)):
        if isinstance(step, set):
            alive = frozenset(step)
            index.set_alive(alive)
        elif step.id in stations and not step.offers:
            index.remove(step.id)
            del stations[step.id]
        else:
            index.put(step)
            stations[step.id] = step
    return World(index, stations, alive)


def haversine_m(one: Point, other: Point) -> float:
    """By another formula than the index's."""
    phi, theta = math.radians(one.latitude), math.radians(other.latitude)
    turned = math.radians(other.longitude - one.longitude)
    half = (
        math.sin((theta - phi) / 2) ** 2
        + math.cos(phi) * math.cos(theta) * math.sin(turned / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(half)))


def fits(entry: Entry, asked: Wanted, alive: frozenset[UUID]) -> bool:
    if asked.operator_id not in (None, entry.operator_id):
        return False
    if asked.available and entry.replica not in alive:
        return False
    if not (asked.standards or asked.power_w or asked.available):
        return True
    for offer in entry.offers:
        plugs = offer.free if asked.available else offer.standards
        plugs &= asked.standards or plugs
        if plugs and offer.power_w >= asked.power_w:
            return True
    return False


def inside(at: Point, box: Box) -> bool:
    """Step by step eastwards from the western edge."""
    if not box.south <= at.latitude <= box.north:
        return False
    sides = {at.longitude, -180.0, 180.0} if abs(at.longitude) == 180 else {at.longitude}
    if box.west <= box.east:
        return any(box.west <= side <= box.east for side in sides)
    return any(side >= box.west or side <= box.east for side in sides)


def ids(index: Index, found: list[Found]) -> list[str]:
    return [index.shown(one.slot)[0] for one in found]


@settings(max_examples=300)
@given(worlds(), points, st.one_of(st.none(), st.floats(0, FARTHEST_M)), wanted)
def test_all_within_a_radius_are_found_by_distance(
    world: World, to: Point, radius_m: float | None, asked: Wanted
) -> None:
    within_m = FARTHEST_M if radius_m is None else radius_m
    found = world.index.nearest(to, within_m=within_m, wanted=asked, limit=100)
    for one in found:
        station = world.stations[world.index.shown(one.slot)[0]]
        assert math.isclose(
            one.distance_m, haversine_m(to, station.at), rel_tol=1e-9, abs_tol=NEAR_ENOUGH_M
        )
    distances = [one.distance_m for one in found]
    assert distances == sorted(distances)
    reach = math.inf if radius_m is None else radius_m
    good = {name for name, one in world.stations.items() if fits(one, asked, world.alive)}
    surely = {n for n in good if haversine_m(to, world.stations[n].at) <= reach - NEAR_ENOUGH_M}
    maybe = {n for n in good if haversine_m(to, world.stations[n].at) <= reach + NEAR_ENOUGH_M}
    names = ids(world.index, found)
    assert len(set(names)) == len(names)
    assert surely <= set(names) <= maybe


@settings(max_examples=200)
@given(worlds(), boxes(), wanted)
def test_all_within_a_box_are_found_across_the_date_line_too(
    world: World, box: Box, asked: Wanted
) -> None:
    found = world.index.nearest(box.centre(), box=box, wanted=asked, limit=100)
    assert set(ids(world.index, found)) == {
        name
        for name, one in world.stations.items()
        if inside(one.at, box) and fits(one, asked, world.alive)
    }


@settings(max_examples=100)
@given(worlds(), points, wanted, st.integers(1, 4))
def test_pages_put_together_are_the_whole_list(
    world: World, to: Point, asked: Wanted, limit: int
) -> None:
    whole = world.index.nearest(to, wanted=asked, limit=100)
    paged: list[Found] = []
    while page := world.index.nearest(
        to, wanted=asked, limit=limit, after=paged[-1].place if paged else None
    ):
        assert len(page) <= limit
        paged += page
    assert paged == whole


@given(st.lists(entries, max_size=20, unique_by=lambda one: one.id), points)
def test_stations_at_one_distance_are_in_one_order_on_every_replica(
    found: list[Entry], to: Point
) -> None:
    there = [replace(one, at=Point(10.0, 20.0)) for one in found]
    one, other = Index(), Index()
    for entry in there:
        one.put(entry)
    for entry in reversed(there):
        other.put(entry)
    orders = [ids(index, index.nearest(to, limit=7)) for index in (one, other)]
    assert orders[0] == orders[1]


@given(points, points)
def test_the_chord_of_a_distance_is_the_distance_of_the_chord(one: Point, other: Point) -> None:
    away_m = haversine_m(one, other)
    assert math.isclose(float(metres(squared_chord(away_m))), away_m, abs_tol=NEAR_ENOUGH_M)


def test_it_holds_more_than_its_first_room_and_gives_rows_back() -> None:
    index = Index()
    for turn in range(12):
        for n in range(3000):
            rows = [Offer(1, 1, 22_000)] * (1 + (n + turn) % 3)
            entry = Entry(f"S-{n}", OPERATORS[0], Point(n / 100, 0), REPLICAS[0], rows, b"{}")
            index.put(entry)
    index.set_alive(frozenset(REPLICAS))
    assert len(index) == 3000
    assert len(index._row_station) < 4 * 6000
    found = index.nearest(Point(0, 0), wanted=Wanted(1, 22_000, available=True), limit=5000)
    assert ids(index, found) == [f"S-{n}" for n in range(3000)]
    for n in range(0, 3000, 2):
        index.remove(f"S-{n}")
    found = index.nearest(Point(0, 0), limit=5000)
    assert ids(index, found) == [f"S-{n}" for n in range(1, 3000, 2)]
