"""Squares of maps, lines and the stations along them, links: each against a simpler way to it."""

import itertools
import math
from collections import defaultdict
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.public_map import grid
from registry.public_map.along import Line
from registry.public_map.index import ANYTHING, Entry, Index, Offer
from registry.public_map.links import links
from registry.public_map.polyline import decode, encode
from registry.public_map.sphere import EARTH_M, Box, Point, distance_m, mercator, vectors
from services.registry.tests.test_map_index import World, boxes, fits, points, wanted, worlds

ALIVE = UUID(int=10)


def square_of(at: Point, zoom: int) -> tuple[int, int]:
    """By the formula of the slippy map, 64 pixels of 256 a square."""
    side = 4 * 2**zoom
    across = math.floor((at.longitude + 180) / 360 * side) % side
    phi = math.radians(max(-85.0511287798066, min(at.latitude, 85.0511287798066)))
    down = (1 - math.log(math.tan(phi) + 1 / math.cos(phi)) / math.pi) / 2
    return across, min(max(math.floor(down * side), 0), side - 1)


@settings(max_examples=200)
@given(worlds(), boxes(), st.integers(0, 4), wanted)
def test_clusters_are_what_is_in_the_squares_that_the_box_touches(
    world: World, box: Box, zoom: int, asked: object
) -> None:
    where = grid.squares(box, zoom)
    found = grid.clusters(world.index, where, asked)  # type: ignore[arg-type]
    expected: dict[tuple[int, int], list[Entry]] = defaultdict(list)
    for station in world.stations.values():
        if fits(station, asked, world.alive):  # type: ignore[arg-type]
            across, down = square_of(station.at, zoom)
            in_columns = (across - where.left) % where.side < where.columns
            if in_columns and where.top <= down < where.top + where.rows:
                expected[across, down].append(station)
    assert sum(one.stations for one in found) == sum(map(len, expected.values()))
    assert sorted(one.stations for one in found) == sorted(map(len, expected.values()))
    for one in found:
        if one.stations == 1:
            name = world.index.shown(one.slot)[0]
            at = world.stations[name].at
            assert distance_m(at, one.centre) < 0.5
    assert sum(one.available for one in found) == sum(
        any(offer.free for offer in station.offers) and station.replica in world.alive
        for stations in expected.values()
        for station in stations
    )
    strongest = max((o.power_w for s in expected.values() for e in s for o in e.offers), default=0)
    assert max((one.max_power_w for one in found), default=0) == strongest


@given(boxes(), st.integers(0, 3), points)
def test_a_box_lies_in_its_squares(box: Box, zoom: int, at: Point) -> None:
    if box.holds(np.array([at.latitude]), np.array([at.longitude]))[0]:
        where = grid.squares(box, zoom)
        right, down = mercator(at)
        on_date_line = abs(at.longitude) == 180
        column = math.floor(right * where.side) - where.left
        assert column % where.side < where.columns or on_date_line
        assert where.top <= math.floor(down * where.side) < where.top + where.rows


def test_a_box_that_is_no_screen_has_too_many_squares() -> None:
    world = Box(-180, -90, 180, 90)
    assert grid.squares(world, 4).columns == 64
    with pytest.raises(grid.TooManySquares):
        grid.squares(world, 5)


def test_squares_on_both_sides_of_the_date_line() -> None:
    index = Index()
    for n, longitude in enumerate((179.9, -179.9, 180.0, -170.0, 0.0)):
        index.put(Entry(f"S-{n}", ALIVE, Point(10, longitude), ALIVE, [Offer(1, 1, 1)], b""))
    where = grid.squares(Box(179, 5, -179, 15), 4)
    assert where.columns < 5
    found = grid.clusters(index, where, ANYTHING)
    assert sum(one.stations for one in found) == 3
    assert sorted(round(one.centre.longitude, 2) for one in found) == [-179.95, 179.9]


def test_stations_at_one_point_are_one_cluster_with_its_strongest() -> None:
    index = Index()
    for n, power_w in enumerate((22_000, 300_000, 0)):
        offers = [Offer(1, 1, power_w)]
        index.put(Entry(f"S-{n}", ALIVE, Point(52.5, 13.4), ALIVE if n else None, offers, b""))
    index.set_alive(frozenset({ALIVE}))
    [one] = grid.clusters(index, grid.squares(Box(13, 52, 14, 53), 10), ANYTHING)
    assert (one.stations, one.available, one.max_power_w) == (3, 2, 300_000)
    assert one.centre == pytest.approx((52.5, 13.4))


# --- along a line

lines = st.lists(points, min_size=2, max_size=40)


def walked(line: list[Point], steps: int) -> list[tuple[float, Point]]:
    """Points of the line, close together, with their distance from its beginning."""
    found: list[tuple[float, Point]] = []
    gone_m = 0.0
    for one, other in itertools.pairwise(line):
        long_m = distance_m(one, other)
        a, b = np.array(one.vector()), np.array(other.vector())
        for step in range(steps + 1):
            along = a + (b - a) * step / steps
            size = float(np.linalg.norm(along))
            if size > 1e-6:
                x, y, z = along / size
                at = Point(
                    math.degrees(math.asin(max(-1, min(z, 1)))), math.degrees(math.atan2(y, x))
                )
                found.append((gone_m + distance_m(one, at), at))
        gone_m += long_m
    return found


@st.composite
def roads(draw: st.DrawFn) -> list[Point]:
    """Steps of some kilometres, also across the date line and near a pole."""
    latitude = draw(st.sampled_from([0.0, 52.5, -33.0, 89.9, -89.95]))
    longitude = draw(st.sampled_from([13.4, 179.99, -179.99, 0.0]))
    steps = draw(st.lists(st.tuples(*[st.floats(-0.05, 0.05)] * 2), min_size=1, max_size=60))
    line = [Point(latitude, longitude)]
    for up, right in steps:
        latitude = max(-90.0, min(90.0, latitude + up))
        longitude = (longitude + right + 180) % 360 - 180
        line.append(Point(latitude, longitude))
    return line


@settings(max_examples=150, deadline=None)
@given(roads(), st.lists(st.tuples(*[st.floats(-0.1, 0.1)] * 2), max_size=12), st.data())
def test_stations_along_a_line_as_a_walk_along_it_finds_them(
    line: list[Point], offsets: list[tuple[float, float]], data: st.DataObject
) -> None:
    corridor_m = data.draw(st.sampled_from([50.0, 2_000.0, 20_000.0]))
    stations = []
    for up, right in offsets:
        near = data.draw(st.sampled_from(line))
        longitude = (near.longitude + right + 180) % 360 - 180
        stations.append(Point(max(-90.0, min(90.0, near.latitude + up)), longitude))
    degrees = np.array(stations, np.float64).reshape(-1, 2)
    found = {
        one.slot: one
        for one in Line(line).beside(vectors(degrees[:, 0], degrees[:, 1]), corridor_m)
    }
    steps = walked(line, 40)
    longest_m = max(distance_m(one, other) for one, other in itertools.pairwise(line))
    coarse_m = longest_m / 40 + 0.2
    for slot, station in enumerate(stations):
        away_m = min(distance_m(station, at) for _, at in steps)
        if slot in found:
            one = found[slot]
            assert one.away_m <= min(away_m + 0.2, corridor_m + 0.2)
            assert one.away_m >= away_m - coarse_m
            # And there it is: the walk comes by at that place, that near.
            close = [at for gone, at in steps if abs(gone - one.position_m) <= coarse_m]
            assert min(distance_m(station, at) for at in close) <= one.away_m + 2 * coarse_m
        else:
            assert away_m >= corridor_m - 0.2
    assert [one.position_m for one in found.values()] == sorted(
        one.position_m for one in found.values()
    )


@given(lines)
def test_a_line_is_as_long_as_its_parts(line: list[Point]) -> None:
    parts = sum(distance_m(one, other) for one, other in itertools.pairwise(line))
    assert math.isclose(Line(line).length_m, parts, rel_tol=1e-9, abs_tol=0.5)


def test_a_line_that_stands_still_and_comes_back() -> None:
    there, far = Point(52.5, 13.4), Point(52.6, 13.4)
    line = Line([there, there, far, far, there, there])
    degrees = np.array([Point(52.55, 13.401), there, Point(52.7, 13.4), Point(40, 0)])
    found = line.beside(vectors(degrees[:, 0], degrees[:, 1]), 5_000)
    assert [one.slot for one in found] == [1, 0]
    half_m = math.radians(0.05) * EARTH_M
    assert found[1].position_m == pytest.approx(half_m, abs=1)
    assert found[1].away_m == pytest.approx(67.6, abs=0.5)
    assert line.length_m == pytest.approx(4 * half_m)


def test_a_line_around_the_earth_and_a_long_segment() -> None:
    around = Line([Point(0, 0), Point(10, 100), Point(0, -160), Point(-10, -60), Point(0, 0)])
    degrees = np.array([Point(0, 0), Point(9.9, 100), Point(1, -160), Point(80, 0)])
    found = around.beside(vectors(degrees[:, 0], degrees[:, 1]), 200_000)
    assert {one.slot for one in found} == {0, 1, 2}
    # Its ends are far from the middle, and a circle is not a parallel.
    north = Line([Point(60, -40), Point(60, 40)])
    degrees = np.array([Point(66.1, 0), Point(60, 0)])
    [one] = north.beside(vectors(degrees[:, 0], degrees[:, 1]), 10_000)
    assert one.slot == 0
    assert one.position_m == pytest.approx(north.length_m / 2, abs=1)


# --- encoded lines


def test_the_example_of_the_format() -> None:
    line = [Point(38.5, -120.2), Point(40.7, -120.95), Point(43.252, -126.453)]
    assert decode("_p~iF~ps|U_ulLnnqC_mqNvxq`@", 5, most=10) == line
    assert encode(line, 5) == "_p~iF~ps|U_ulLnnqC_mqNvxq`@"


@given(st.lists(points, max_size=30), st.sampled_from([5, 6]))
def test_what_is_encoded_is_decoded(line: list[Point], precision: int) -> None:
    again = decode(encode(line, precision), precision, most=30)  # type: ignore[arg-type]
    assert len(again) == len(line)
    for one, other in zip(line, again, strict=True):
        assert one == pytest.approx(other, abs=0.51 * 10**-precision)


@given(st.one_of(st.text(max_size=60), st.text("?@_~`abcxyz", max_size=400)))
def test_garbage_is_a_line_or_is_refused(text: str) -> None:
    try:
        found = decode(text, 5, most=50)
    except ValueError:
        return
    assert len(found) <= 50
    assert all(abs(one.latitude) <= 90 and abs(one.longitude) <= 180 for one in found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("_", "within a coordinate"),
        ("_p~iF", "within a point"),
        ("\x00", "in no encoded line"),
        ("é", "in no encoded line"),
        ("~" * 1000, "too many letters"),  # or it would be a number of as many digits
        ("~~~~~~??", "not on the earth"),
        ("??" * 51, "more than 50 points"),
    ],
)
def test_lines_that_are_none(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode(text, 5, most=50)


# --- links


@given(points, st.one_of(st.none(), points))
def test_links_lead_to_the_station(to: Point, start: Point | None) -> None:
    found = links(to, start)
    assert found.geo.startswith("geo:")
    assert set(found.geo[4:]) <= set("0123456789.,-")
    google, apple = (
        parse_qs(urlsplit(one).query, strict_parsing=True)
        for one in (found.google_maps, found.apple_maps)
    )
    osm = parse_qs(urlsplit(found.openstreetmap).query, strict_parsing=True)
    begin, _, end = osm["route"][0].partition(";")
    for told in (found.geo[4:], google["destination"][0], apple["daddr"][0], end):
        assert tuple(map(float, told.split(","))) == pytest.approx(to, abs=1e-7)
    if start is None:
        assert "origin" not in google
        assert "saddr" not in apple
        assert begin == ""
    else:
        for told in (google["origin"][0], apple["saddr"][0], begin):
            assert tuple(map(float, told.split(","))) == pytest.approx(start, abs=1e-7)


def test_links_to_the_letter() -> None:
    found = links(Point(52.5170365, -0.00000001), Point(-7, 180))
    assert found.geo == "geo:52.5170365,0"
    assert found.google_maps == (
        "https://www.google.com/maps/dir/?api=1&destination=52.5170365%2C0"
        "&travelmode=driving&origin=-7%2C180"
    )
    assert found.apple_maps == (
        "https://maps.apple.com/?daddr=52.5170365%2C0&dirflg=d&saddr=-7%2C180"
    )
    assert found.openstreetmap == (
        "https://www.openstreetmap.org/directions?engine=fossgis_osrm_car"
        "&route=-7%2C180%3B52.5170365%2C0"
    )
