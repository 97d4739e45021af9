"""The map of each replica is what the database says, whatever is committed when."""

import random
from typing import Any

import pytest
from sqlalchemy import text
from stack import Running

from common.database import PLATFORM
from registry.public_map.keeping import PRUNE, MapNotReady, PublicMap
from registry.public_map.sphere import Point
from services.registry.tests.conftest import Operator
from services.registry.tests.mapped import located, online, placed, reported, somewhere


async def read(registry: Running) -> PublicMap:
    public_map = PublicMap(registry.app.state.connections)
    await public_map._read_all()
    await public_map._catch_up()
    return public_map


def told(public_map: PublicMap, station: str) -> dict[str, Any] | None:
    slot = public_map.index.find(station)
    return None if slot is None else public_map.told(slot)


async def test_what_is_committed_late_is_not_missed(operator: Operator, registry: Running) -> None:
    at = somewhere()
    early, late = await placed(operator, at), await placed(operator, at)
    public_map = await read(registry)
    rename = text("update station set name = :name where id = :id")
    connections = registry.app.state.connections
    async with connections.begin(operator.id) as slow:
        await slow.execute(rename, {"name": "late", "id": late})
        async with connections.begin(operator.id) as quick:
            await quick.execute(rename, {"name": "early", "id": early})
        await public_map._catch_up()
        assert (told(public_map, early) or {})["name"] == "early"
        assert (told(public_map, late) or {})["name"] == "Level 2"
    await public_map._catch_up()
    assert (told(public_map, late) or {})["name"] == "late"


async def test_what_is_old_is_pruned(operator: Operator, registry: Running) -> None:
    connections = registry.app.state.connections
    count = text("select count(*) from map_change where key = :id")
    station = await operator.station()
    await placed(operator, somewhere())
    async with connections.begin(PLATFORM) as db:
        old = text("update map_change set at = at - interval '2 hours' where key = :id")
        await db.execute(old, {"id": station})
    async with connections.begin(PLATFORM) as db:
        before = text("select clock_timestamp() - interval '1 hour'")
        await db.execute(PRUNE, {"before": await db.scalar(before)})
        assert await db.scalar(count, {"id": station}) == 0
        assert await db.scalar(text("select count(*) from map_change")) > 0


async def something_happens(dice: random.Random, step: int, who: Operator, station: str) -> None:
    kind = dice.randrange(5)
    if kind == 3:
        await online(who, station)
    elif kind == 4:
        await reported(who, station, dice.choice(("available", "charging", "faulted")))
    else:
        evses = [{"evse_id": n + 1, "max_power_w": 1000 * step + 1} for n in range(3)]
        place = await located(who, somewhere()) if dice.random() < 0.5 else None
        changes: list[dict[str, Any]] = [
            {"active": dice.random() < 0.5, "name": f"N{step}"},
            {"location_id": place},
            {"evses": evses[: dice.randint(1, 3)]},
        ]
        path = f"/v1/stations/{station}"
        answer = await who.http.patch(path, json=changes[kind], headers={"If-Match": "*"})
        assert answer.status_code == 200, answer.text


async def test_a_map_that_followed_is_one_that_was_read_anew(
    operator: Operator, stranger: Operator, registry: Running
) -> None:
    dice = random.Random(7)
    followed = await read(registry)
    stations: list[tuple[Operator, str]] = []
    for step in range(40):
        if step % 4 == 0 or not stations:
            who = dice.choice((operator, stranger))
            stations.append((who, await placed(who, somewhere())))
        await something_happens(dice, step, *dice.choice(stations))
        if dice.random() < 0.3:
            await followed._catch_up()
    # Events are handled in their own time; the two maps look at one and the same moment.
    while True:
        await followed._catch_up()
        seen = followed._seen
        anew = await read(registry)
        await followed._catch_up()
        if anew._seen == seen == followed._seen:
            break
    shown = [told(followed, station) for _, station in stations]
    assert shown == [told(anew, station) for _, station in stations]
    assert any(shown)
    assert not all(shown)
    for at in (Point(0, 0), Point(50, 170), Point(-70, -20)):
        ours, theirs = (
            [(m.index.shown(f.slot), f.distance_m) for f in m.index.nearest(at, limit=50)]
            for m in (followed, anew)
        )
        assert ours == theirs


async def test_an_old_map_is_not_shown(operator: Operator, registry: Running) -> None:
    station = await placed(operator, somewhere())
    unread = PublicMap(registry.app.state.connections)
    with pytest.raises(MapNotReady):
        unread.index.find(station)
    public_map = await read(registry)
    assert public_map.index.find(station) is not None
    public_map.stale_s = -1
    with pytest.raises(MapNotReady):
        public_map.index.find(station)
