"""Station groups in station groups: who is in which, what is told, and what is refused."""

import asyncio
import random
from collections import defaultdict
from itertools import pairwise
from typing import Any

import httpx
import pytest
from stack import Running, eventually

from common.events import StationGroupMembersChanged
from registry.groups.nesting import DEPTH_MAX

from .conftest import SCOPES, Operator
from .test_location_limits import OUTSIDE, place
from .test_station_groups import PATH, group, ids, refusal


@pytest.fixture
async def staff(registry: Running, operator: Operator) -> Any:
    async with registry.as_(operator.id, *SCOPES) as client:
        yield client


async def nest(staff: httpx.AsyncClient, outer: str, inner: str) -> None:
    answer = await staff.put(f"{PATH}/{outer}/groups/{inner}")
    assert answer.status_code == 204, answer.text


async def put(staff: httpx.AsyncClient, of: str, *stations: str) -> None:
    answer = await staff.post(f"{PATH}/{of}/stations", json={"station_ids": list(stations)})
    assert answer.status_code == 204, answer.text


async def inside(staff: httpx.AsyncClient, of: str, **params: Any) -> list[str]:
    return await ids(staff, f"{PATH}/{of}/stations", **params)


async def as_told(operator: Operator) -> dict[str, set[str]]:
    """Who is in each group, as another service keeps it."""
    newest: dict[tuple[str, str], tuple[int, bool]] = {}
    for event in await operator.told(StationGroupMembersChanged):
        told = dict.fromkeys(event["removed"], False) | dict.fromkeys(event["added"], True)
        for station, member in told.items():
            key = (event["group_id"], station)
            newest[key] = max(newest.get(key, (0, False)), (event["version"], member))
    found: dict[str, set[str]] = {}
    for (of, station), (_, member) in newest.items():
        if member:
            found.setdefault(of, set()).add(station)
    return found


async def test_a_group_has_what_the_groups_in_it_have(
    operator: Operator, staff: httpx.AsyncClient
) -> None:
    one, two, three = sorted([await operator.station() for _ in range(3)])
    city, garage, level = [await group(staff, name) for name in ("city", "garage", "level")]
    await put(staff, level, one)
    await nest(staff, garage, level)
    await nest(staff, city, garage)
    await nest(staff, city, garage)  # again is the same
    assert await inside(staff, city) == [one]
    await put(staff, level, two)
    await put(staff, garage, three, one)
    assert await inside(staff, city) == [one, two, three]
    assert await inside(staff, city, own=True) == []
    assert await inside(staff, garage, own=True) == sorted([one, three])
    assert await inside(staff, garage, own=False) == [two]
    assert await ids(staff, PATH, station_id=two) == sorted([city, garage, level])
    assert await ids(staff, f"{PATH}/{city}/groups") == [garage]
    # It stays while a group that is in the group has it.
    stays = await staff.delete(f"{PATH}/{garage}/stations/{one}")
    assert refusal(stays) == (409, "in-a-subgroup")
    assert (await staff.delete(f"{PATH}/{level}/stations/{one}")).status_code == 204
    assert await inside(staff, city) == [one, two, three], "garage has it by itself"
    assert (await staff.delete(f"{PATH}/{garage}/stations/{one}")).status_code == 204
    assert await inside(staff, city) == sorted([two, three])
    assert (await staff.delete(f"{PATH}/{garage}/groups/{level}")).status_code == 204
    assert (await staff.delete(f"{PATH}/{garage}/groups/{level}")).status_code == 204
    assert await inside(staff, city) == [three]
    # With a group goes what others had by it.
    based = {"If-Match": '"1"'}
    assert (await staff.delete(f"{PATH}/{garage}", headers=based)).status_code == 204
    assert await inside(staff, city) == []
    assert await ids(staff, f"{PATH}/{city}/groups") == []

    async def told() -> bool:
        found = await as_told(operator)
        return found.get(city) is None and found[level] == {two}

    await eventually(told)


async def test_no_group_is_in_itself_however_deep(
    operator: Operator, staff: httpx.AsyncClient, stranger: Operator, registry: Running
) -> None:
    station = await operator.station()
    chain = [await group(staff, f"{n}") for n in range(DEPTH_MAX + 1)]
    await put(staff, chain[0], station)
    for outer, inner in pairwise(chain[:-1]):
        await nest(staff, outer, inner)
    for lower, upper in ((0, 0), (1, 0), (DEPTH_MAX - 1, 0), (5, 2)):
        refused = await staff.put(f"{PATH}/{chain[lower]}/groups/{chain[upper]}")
        assert refusal(refused) == (409, "group-in-itself")
    deeper = await staff.put(f"{PATH}/{chain[-2]}/groups/{chain[-1]}")
    assert refusal(deeper) == (409, "nested-too-deep")
    assert await inside(staff, chain[1]) == [], "nothing half-applied"
    # Two that go into each other at once: one is refused.
    a, b = await group(staff, "a"), await group(staff, "b")
    answers = await asyncio.gather(
        staff.put(f"{PATH}/{a}/groups/{b}"), staff.put(f"{PATH}/{b}/groups/{a}")
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    async with registry.as_(stranger.id, *SCOPES) as rival:
        theirs = await group(rival, "theirs")
        assert (await rival.put(f"{PATH}/{theirs}/groups/{a}")).status_code == 404
        assert (await rival.put(f"{PATH}/{a}/groups/{theirs}")).status_code == 404
        assert (await rival.get(f"{PATH}/{a}/groups")).status_code == 404
    async with registry.as_(None, *SCOPES, role="platform-admin") as admin:
        assert (await admin.put(f"{PATH}/{theirs}/groups/{a}")).status_code == 404


async def test_staff_of_a_location_change_groups_above_that_they_do_not_see(
    registry: Running, operator: Operator, staff: httpx.AsyncClient
) -> None:
    mine, other = await place(operator, "P20"), await place(operator, "P21")
    here, here_too = [await operator.station(location_id=mine) for _ in range(2)]
    there = await operator.station(location_id=other)
    outer, inner, elsewhere = [await group(staff, n) for n in ("outer", "inner", "elsewhere")]
    await put(staff, inner, here, there)
    await put(staff, elsewhere, there)
    await nest(staff, outer, inner)
    await nest(staff, outer, elsewhere)
    async with registry.as_(operator.id, *SCOPES, locations=[mine]) as limited:
        assert await ids(limited, f"{PATH}/{outer}/groups") == [inner]
        assert (await limited.put(f"{PATH}/{inner}/stations/{here_too}")).status_code == 204
        assert await inside(staff, outer) == sorted([here, here_too, there])
        for station in (here, here_too):
            gone = await limited.delete(f"{PATH}/{inner}/stations/{station}")
            assert gone.status_code == 204, gone.text
        assert await inside(staff, outer) == [there]
        assert (await limited.get(f"{PATH}/{outer}")).status_code == 404
        await put(staff, inner, here)
        outside = (403, OUTSIDE.removeprefix("urn:openlade:problem:"))
        for change in (limited.put, limited.delete):
            assert refusal(await change(f"{PATH}/{outer}/groups/{inner}")) == outside
    assert await ids(staff, f"{PATH}/{outer}/groups") == sorted([inner, elsewhere])


class Naive:
    """What was put where, and nothing worked out in advance."""

    def __init__(self) -> None:
        self.own: dict[str, set[str]] = defaultdict(set)
        self.held: dict[str, set[str]] = defaultdict(set)

    def below(self, of: str) -> set[str]:
        return {of}.union(*(self.below(one) for one in self.held[of]))

    def stations(self, of: str) -> set[str]:
        return set[str]().union(*(self.own[one] for one in self.below(of)))

    def put_station(self, of: str, station: str) -> int:
        self.own[of].add(station)
        return 204

    def take_station(self, of: str, station: str) -> int:
        if any(station in self.stations(one) for one in self.held[of]):
            return 409
        self.own[of].discard(station)
        return 204

    def put_group(self, of: str, other: str) -> int:
        if of in self.below(other):
            return 409
        self.held[of].add(other)
        return 204

    def take_group(self, of: str, other: str) -> int:
        self.held[of].discard(other)
        return 204


async def test_after_any_changes_rows_and_events_say_what_a_naive_reading_says(
    operator: Operator, staff: httpx.AsyncClient
) -> None:
    chance = random.Random(7)
    stations = [await operator.station() for _ in range(5)]
    groups = [await group(staff, f"{n}") for n in range(6)]
    naive = Naive()
    steps = [
        (staff.put, "stations", stations, naive.put_station),
        (staff.delete, "stations", stations, naive.take_station),
        (staff.put, "groups", groups, naive.put_group),
        (staff.delete, "groups", groups, naive.take_group),
    ]
    for _ in range(150):
        call, kind, things, expected = chance.choice(steps)
        of, thing = chance.choice(groups), chance.choice(things)
        answer = await call(f"{PATH}/{of}/{kind}/{thing}")
        assert answer.status_code == expected(of, thing), answer.text
        for one in groups:
            assert set(await inside(staff, one)) == naive.stations(one)

    async def told() -> bool:
        found = await as_told(operator)
        return all(found.get(one, set()) == naive.stations(one) for one in groups)

    await eventually(told)
