"""Live statuses as server-sent events: what is told, to whom, how often; and all of it."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from stack import WAIT_S, eventually

from common import sse
from common.auth import Principal
from common.clock import now
from common.database import PLATFORM
from common.events import GatewayBeat
from common.ids import uuid7
from common.tasks import cancelled
from registry.live import following, news, silence
from services.registry.tests.conftest import Operator
from services.registry.tests.test_statuses import (
    NOON,
    batch,
    connection,
    handled,
    report,
    s,
    started,
)

AT_ONCE_S = 0.6  # long enough for a stream to tell what it would tell too soon


@dataclass
class Seen:
    """What a stream has told: id, event and data."""

    told: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)

    async def first(self, count: int) -> list[tuple[int, str, dict[str, Any]]]:
        async def enough() -> Any:
            return len(self.told) >= count

        await eventually(enough)
        return self.told[:count]

    def stations(self) -> set[str]:
        return {data["station_id"] for _, _, data in self.told}

    def statuses(self, station_id: str) -> list[str]:
        return [
            data["evse"]["connectors"][0]["status"]
            for _, event, data in self.told
            if event == "evse" and data["station_id"] == station_id
        ]


@asynccontextmanager
async def followed(
    operator: Operator,
    last: int | None = None,
    *,
    scopes: tuple[str, ...] = ("status:read",),
    locations: list[str] | None = None,
    **params: Any,
) -> AsyncIterator[Seen]:
    """Within, the stream has begun."""
    seen, begun = Seen(), asyncio.Event()
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    limits = {} if locations is None else {"locations": locations}
    async with (
        operator.registry.as_(operator.id, *scopes, **limits) as api,
        api.stream("GET", "/v1/status/stream", params=params, headers=headers) as stream,
    ):
        assert stream.status_code == 200

        async def read() -> None:
            number, event = 0, ""
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if not name and line:
                    begun.set()
                if name == "id":
                    number = int(value)
                elif name == "event":
                    event = value
                elif name == "data":
                    seen.told.append((number, event, json.loads(value)))

        reading = asyncio.ensure_future(read())
        await asyncio.wait_for(begun.wait(), WAIT_S)
        try:
            yield seen
        finally:
            await cancelled(reading)


async def test_an_evse_and_a_station_are_told_whole_as_they_change(operator: Operator) -> None:
    station_id, replica = await operator.station(), uuid7()
    session = started(operator, station_id, uuid7(), NOON)
    async with followed(operator) as seen:
        await handled(
            operator,
            GatewayBeat(replica=replica),
            connection(operator, station_id, 1, connected=True, replica=replica),
            batch(
                report(
                    operator,
                    station_id,
                    "faulted",
                    NOON,
                    error_code="GroundFailure",
                    vendor_error_code="E17",
                )
            ),
            session,
        )

        async def told() -> Any:
            mine = [
                (event, data) for _, event, data in seen.told if data["station_id"] == station_id
            ]
            return dict(mine) if {event for event, _ in mine} == {"evse", "station"} else None

        found = await eventually(told)
    assert "evses" not in found["station"] and found["station"]["name"] == "Level 2"
    evse = found["evse"]["evse"]
    assert evse["session"]["session_id"] == str(session.session_id)
    [connector] = evse["connectors"]
    assert (connector["status"], connector["error_code"]) == ("faulted", "GroundFailure")
    assert connector["vendor_error_code"] == "E17"
    numbers = [number for number, _, _ in seen.told]
    assert numbers == sorted(numbers)


async def test_a_change_that_commits_after_a_later_one_is_told_too(operator: Operator) -> None:
    early, late = await operator.station(), await operator.station()
    connections = operator.registry.app.state.connections
    async with followed(operator) as seen:
        async with connections.begin(PLATFORM) as first:
            await first.execute(news._NOTE, noted(operator, early))
            async with connections.begin(PLATFORM) as second:
                news.note(second, [news.Key(operator.id, late, 0)])
            await asyncio.sleep(AT_ONCE_S)
            assert seen.told == [], "it would be the last that was seen, and the early one missed"
        told = await seen.first(2)
    assert [data["station_id"] for _, _, data in told] == [early, late]
    # Who had seen the early one alone takes up the late one.
    async with followed(operator, told[0][0]) as seen:
        assert [data["station_id"] for _, _, data in await seen.first(1)] == [late]


def noted(operator: Operator, station_id: str) -> dict[str, Any]:
    return {"operator_ids": [operator.id], "station_ids": [station_id], "evse_ids": [0]}


async def test_a_stream_taken_up_again_tells_what_changed_meanwhile_and_no_more(
    operator: Operator,
) -> None:
    one, two, three = [await operator.station() for _ in range(3)]
    async with followed(operator) as seen:
        await handled(
            operator, batch(*(report(operator, x, "available", NOON) for x in (one, two)))
        )
        await seen.first(3)  # and the marker's
    last = max(number for number, _, _ in seen.told)
    for minute in range(3):
        moment = NOON + s(60 * minute)
        await handled(operator, batch(report(operator, two, "charging", moment)))
    await handled(operator, batch(report(operator, three, "faulted", NOON)))
    async with followed(operator, last) as again:

        async def all_told() -> Any:
            return {two, three} <= again.stations()

        await eventually(all_told)
        assert one not in again.stations()
        assert again.statuses(two) == ["charging"], "each once, as it is now"
        # And it goes on with what comes.
        await handled(operator, batch(report(operator, one, "reserved", NOON + s(900))))

        async def goes_on() -> Any:
            return again.statuses(one) == ["reserved"]

        await eventually(goes_on)
    async with followed(operator, 0) as whole:

        async def everything() -> Any:
            return {one, two, three} <= whole.stations()

        await eventually(everything)
        assert whole.statuses(two) == ["charging"]


async def test_an_id_that_was_never_given_resets_the_follower(operator: Operator) -> None:
    station_id = await operator.station()
    await handled(operator, batch(report(operator, station_id, "available", NOON)))
    async with followed(operator, 2**62) as seen:

        async def told() -> Any:
            return station_id in {data.get("station_id") for _, _, data in seen.told}

        await eventually(told)
    assert seen.told[0] == (0, "reset", {})


async def test_a_stream_is_filtered_by_place_group_and_station(operator: Operator) -> None:
    address = {"street": "A", "postal_code": "1", "city": "B", "country": "DE"}
    place = (
        await operator.http.post("/v1/locations", json={"name": "P", "address": address})
    ).json()
    there, grouped, other = (
        await operator.station(location_id=place["id"]),
        await operator.station(),
        await operator.station(),
    )
    group = (await operator.http.post("/v1/station-groups", json={"name": "G"})).json()["id"]
    await operator.http.post(
        f"/v1/station-groups/{group}/stations", json={"station_ids": [grouped]}
    )
    reports = batch(*(report(operator, x, "charging", NOON) for x in (there, grouped, other)))
    wanted: list[tuple[dict[str, Any], set[str]]] = [
        ({"location_id": place["id"]}, {there}),
        ({"group_id": group}, {grouped}),
        ({"station_id": other}, {other}),
        ({"locations": [place["id"]]}, {there}),
        ({"locations": [place["id"]], "group_id": group}, set()),
        ({"location_id": place["id"], "group_id": group}, set()),
    ]
    streams = [followed(operator, **params) for params, _ in wanted]
    live = [await one.__aenter__() for one in streams]
    await handled(operator, reports)
    async with followed(operator) as all_of_it:
        later = now()
        await handled(
            operator,
            batch(*(report(operator, x, "available", later) for x in (there, grouped, other))),
        )

        async def told() -> Any:
            return {there, grouped, other} <= all_of_it.stations()

        await eventually(told)
    expected_of_each = [expected for _, expected in wanted]

    async def read() -> bool:  # each by a socket of its own, so not at the same moment
        return all(
            one.stations() >= expected for one, expected in zip(live, expected_of_each, strict=True)
        )

    await eventually(read)
    for stream in streams:
        await stream.__aexit__(None, None, None)
    assert [one.stations() for one in live] == expected_of_each
    for params, expected in wanted:
        async with followed(operator, 0, **params) as seen:
            if expected:
                await seen.first(1)
            await asyncio.sleep(AT_ONCE_S)
            assert seen.stations() == expected, params


async def test_nobody_is_told_of_anothers_stations(operator: Operator, stranger: Operator) -> None:
    mine, theirs = await operator.station(), await stranger.station()
    async with followed(operator) as seen, followed(stranger, station_id=mine) as nothing:
        await handled(
            operator,
            batch(
                report(operator, mine, "charging", NOON), report(stranger, theirs, "faulted", NOON)
            ),
        )

        async def told() -> bool:
            return mine in seen.stations()

        await eventually(told)
        await asyncio.sleep(AT_ONCE_S)
        assert theirs not in seen.stations()
        assert nothing.told == []
    async with followed(stranger, 0) as seen:
        await seen.first(1)
        await asyncio.sleep(AT_ONCE_S)
        assert mine not in seen.stations()
    async with stranger.registry.as_(stranger.id, "stations:read") as api:
        refused = await api.get("/v1/status/stream")
    assert refused.status_code == 403


async def test_a_station_that_floods_is_told_a_few_times_and_holds_up_nobody(
    operator: Operator,
) -> None:
    """5,000 reports, a thousand a second, while another station says something each half second."""
    flooding, quiet = await operator.station(), await operator.station()
    delays: list[float] = []
    async with followed(operator) as seen:
        began = time.monotonic()

        async def flood() -> None:
            for number in range(50):
                told = [
                    report(
                        operator,
                        flooding,
                        ("available", "faulted")[n % 2],
                        NOON + timedelta(milliseconds=number * 100 + n),
                    )
                    for n in range(100)
                ]
                # As the gateway does it: what comes while a batch is acknowledged is the next.
                batches = [batch(*told[n : n + 20]) for n in range(0, 100, 20)]
                await operator.registry.publish(*batches)
                await asyncio.sleep(max(0.0, began + (number + 1) * 0.1 - time.monotonic()))

        async def speak() -> None:
            for number in range(8):
                status = ("charging", "finishing")[number % 2]
                sent = time.monotonic()
                await operator.registry.publish(
                    batch(report(operator, quiet, status, NOON + s(number)))
                )

                async def heard(count: int = number + 1) -> Any:
                    return len(seen.statuses(quiet)) >= count

                await eventually(heard)
                delays.append(time.monotonic() - sent)
                await asyncio.sleep(0.5)

        await asyncio.gather(flood(), speak())
        last = report(operator, flooding, "reserved", NOON + s(3600))
        await handled(operator, batch(last))

        async def last_told() -> Any:
            return seen.statuses(flooding)[-1:] == ["reserved"]

        await eventually(last_told)
        lasted_s = time.monotonic() - began
    assert len(seen.statuses(flooding)) <= 5 * lasted_s + 1
    # Half of them: a machine that is shared may stop for a moment. One that is slow takes longer
    # for all of it; who waited for the flood to end would wait for the most of it.
    assert statistics.median(delays) < max(1.0, lasted_s / 5), (delays, lasted_s)
    connections = operator.registry.app.state.connections
    async with connections.begin(operator.id) as db:
        kept = await db.scalar(text("select count(*) from connector_standing"))
    assert kept <= 5, "what was is kept a row each ten seconds"


async def test_followers_hear_of_a_gateway_that_fell_silent_and_of_its_return(
    operator: Operator,
) -> None:
    station_id, replica = await operator.station(), uuid7()
    await handled(
        operator,
        GatewayBeat(replica=replica),
        connection(operator, station_id, 1, connected=True, replica=replica, at=now() - s(300)),
    )
    connections = operator.registry.app.state.connections
    await silence.look(connections)
    assert (await operator.status(station_id))["online"]
    older = text("update gateway_replica set last_beat_at = :at where replica = :replica")
    async with followed(operator, station_id=station_id) as seen:

        async def told(online: bool) -> Any:
            return [data["online"] for _, event, data in seen.told if event == "station"][-1:] == [
                online
            ]

        async with connections.begin(PLATFORM) as db:  # the 45 s are over
            await db.execute(older, {"at": now() - s(46), "replica": replica})
        await eventually(lambda: told(online=False))
        await operator.registry.publish(GatewayBeat(replica=replica))
        await eventually(lambda: told(online=True))


async def test_many_followers_are_told_the_same(operator: Operator) -> None:
    station_id = await operator.station()
    async with followed(operator) as first:
        others = [followed(operator) for _ in range(10)]
        seen = [await one.__aenter__() for one in others]
        await handled(operator, batch(report(operator, station_id, "charging", NOON)))
        for one in (first, *seen):

            async def told(one: Seen = one) -> Any:
                return one.statuses(station_id)

            await eventually(told)

        async def the_same() -> bool:  # what is handed to all at once is read one by one
            return all(one.told == first.told for one in seen)

        await eventually(the_same)
        for other in others:
            await other.__aexit__(None, None, None)


async def test_a_follower_that_takes_nothing_is_let_go_and_costs_no_more(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "WAITING_MAX", 3)
    wanted = following.Wanted(
        Principal(sub="s", role="r", operator_id=operator.id, scopes=frozenset())
    )
    follower = following.Follower(wanted)

    def told(evse_id: int, number: int) -> following.News:
        key = news.Key(operator.id, "A", evse_id)
        return following.News(key, None, frozenset(), sse.Event(number, "evse", "{}"))

    follower.hand([told(1, 1), told(2, 2), told(3, 3)])
    follower.hand([told(1, 4), told(2, 5)])
    assert [one.id for one in await follower.take()] == [3, 4, 5], "the newest of each, in order"
    follower.hand([told(evse_id, evse_id) for evse_id in range(9)])
    with pytest.raises(following.FellBehind):
        await follower.take()
    follower.hand([told(1, 9)])
    with pytest.raises(following.FellBehind):
        await follower.take()
