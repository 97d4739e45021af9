"""Station groups: made, filled, told in pieces that fit into a message, and walled by location."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from stack import Running, eventually

from common.database import PLATFORM
from common.events import StationGroupChanged, StationGroupMembersChanged
from common.ids import uuid7
from registry.groups.group_members import AT_ONCE_MAX

from .conftest import SCOPES, Operator
from .test_location_limits import OUTSIDE, place

PATH = "/v1/station-groups"


@pytest.fixture
async def staff(registry: Running, operator: Operator) -> Any:
    async with registry.as_(operator.id, *SCOPES) as client:
        yield client


async def group(staff: httpx.AsyncClient, name: str = "Level 2") -> str:
    made = await staff.post(PATH, json={"name": name})
    assert (made.status_code, made.headers.get("etag")) == (201, '"1"'), made.text
    found: str = made.json()["id"]
    return found


async def ids(client: httpx.AsyncClient, path: str, **params: Any) -> list[str]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"].removeprefix("urn:openlade:problem:")


async def test_a_group_is_made_read_listed_renamed_deleted_and_told(
    operator: Operator, staff: httpx.AsyncClient
) -> None:
    made = await staff.post(PATH, json={"name": " Level 2 "})
    body = made.json()
    path = f"{PATH}/{body['id']}"
    assert body == {
        "id": body["id"], "operator_id": str(operator.id), "version": 1, "name": "Level 2",
    }  # fmt: skip
    read = await staff.get(path)
    assert (read.json(), read.headers["etag"]) == (body, '"1"')
    assert await ids(staff, PATH, name="Level 2") == [body["id"]]
    assert await ids(staff, PATH, name="Level") == []
    rename = {"name": "Level 3"}
    assert (await staff.patch(path, json=rename)).status_code == 428
    renamed = await staff.patch(path, json=rename, headers={"If-Match": '"1"'})
    assert (renamed.json()["name"], renamed.headers["etag"]) == ("Level 3", '"2"')
    stale = await staff.patch(path, json={"name": "Level 4"}, headers={"If-Match": '"1"'})
    assert refusal(stale) == (412, "version-changed")
    same = await staff.patch(path, json=rename, headers={"If-Match": '"2"'})
    assert same.json()["version"] == 2, "nothing changed"
    assert (await staff.delete(path)).status_code == 428
    assert refusal(await staff.delete(path, headers={"If-Match": '"1"'})) == (
        412, "version-changed",
    )  # fmt: skip
    assert (await staff.delete(path, headers={"If-Match": '"2"'})).status_code == 204
    assert (await staff.get(path)).status_code == 404

    async def told() -> bool:
        found = await operator.told(StationGroupChanged)
        return [(one["version"], one["name"], one["deleted"]) for one in found] == [
            (1, "Level 2", False), (2, "Level 3", False), (3, "Level 3", True),
        ]  # fmt: skip

    await eventually(told)


async def test_a_name_is_unique_with_an_operator_only(
    registry: Running, operator: Operator, staff: httpx.AsyncClient, stranger: Operator
) -> None:
    await group(staff, "A")
    other = await group(staff, "B")
    assert refusal(await staff.post(PATH, json={"name": "A"})) == (
        409, "station-group-name-taken",
    )  # fmt: skip
    taken = await staff.patch(f"{PATH}/{other}", json={"name": "A"}, headers={"If-Match": '"1"'})
    assert refusal(taken) == (409, "station-group-name-taken")
    assert (await staff.get(f"{PATH}/{other}")).json()["name"] == "B"
    async with registry.as_(stranger.id, *SCOPES) as rival:
        await group(rival, "A")
        assert (await rival.get(f"{PATH}/{other}")).status_code == 404
        mine = await stranger.station()
        assert (await rival.put(f"{PATH}/{other}/stations/{mine}")).status_code == 404
        # Nor is another's station put into one's own group.
        theirs = await operator.station()
        own = f"{PATH}/{(await ids(rival, PATH))[0]}/stations"
        assert (await rival.put(f"{own}/{theirs}")).status_code == 404
        refused = await rival.post(own, json={"station_ids": [mine, theirs]})
        assert refusal(refused) == (422, "unknown-station")
        assert refused.json()["station_ids"] == [theirs]
        assert await ids(rival, own) == []
    # A platform admin sees both operators, and mixes them no more than they do.
    async with registry.as_(None, *SCOPES, role="platform-admin") as admin:
        assert (await admin.put(f"{PATH}/{other}/stations/{mine}")).status_code == 404


async def test_stations_are_put_in_and_taken_out_again_and_each_change_is_told_once(
    operator: Operator, staff: httpx.AsyncClient
) -> None:
    one, two, three = sorted([await operator.station() for _ in range(3)])
    mine = await group(staff)
    path = f"{PATH}/{mine}/stations"
    assert (await staff.put(f"{path}/{one}")).status_code == 204
    assert (await staff.put(f"{path}/{one}")).status_code == 204
    many = {"station_ids": [one, three, two, two]}
    assert (await staff.post(path, json=many)).status_code == 204
    assert await ids(staff, path) == [one, two, three]
    first = (await staff.get(path, params={"limit": 2})).json()
    assert [station["id"] for station in first["items"]] == [one, two]
    assert await ids(staff, path, cursor=first["next_cursor"]) == [three]
    assert await ids(staff, PATH, station_id=two) == [mine]
    assert (await staff.delete(f"{path}/{two}")).status_code == 204
    assert (await staff.delete(f"{path}/{two}")).status_code == 204
    assert await ids(staff, path) == [one, three]
    assert await ids(staff, PATH, station_id=two) == []

    async def told() -> bool:
        found = await operator.told(StationGroupMembersChanged)
        return [(event["version"], event["added"], event["removed"]) for event in found] == [
            (1, [one], []), (2, [two, three], []), (3, [], [two]),
        ]  # fmt: skip

    await eventually(told)
    # Who is in it is no new version of the group; with it go its members, and the stations stay.
    group_path = f"{PATH}/{mine}"
    assert (await staff.delete(group_path, headers={"If-Match": '"1"'})).status_code == 204
    assert (await staff.get(path)).status_code == 404
    assert (await staff.get(f"/v1/stations/{one}")).status_code == 200


async def test_of_stations_put_in_at_once_none_is_lost_or_told_with_the_same_version(
    operator: Operator, staff: httpx.AsyncClient
) -> None:
    stations = [await operator.station() for _ in range(8)]
    path = f"{PATH}/{await group(staff)}/stations"
    answers = await asyncio.gather(*(staff.put(f"{path}/{one}") for one in stations))
    assert {answer.status_code for answer in answers} == {204}
    assert await ids(staff, path) == sorted(stations)

    async def told() -> bool:
        found = await operator.told(StationGroupMembersChanged)
        return sorted(event["version"] for event in found) == list(range(1, 9))

    await eventually(told)


async def test_a_group_of_5000_is_told_in_messages_that_nats_takes(
    registry: Running, operator: Operator, staff: httpx.AsyncClient
) -> None:
    prefix = f"{uuid7().hex}-LONG-IDS-"  # with the number behind it 48 characters
    names = [f"{prefix}{n:06}" for n in range(5000)]
    assert {len(name) for name in names} == {48}
    async with registry.app.state.connections.begin(PLATFORM) as db:
        stations = text(
            "insert into station (id, operator_id, version, name, active, credential_version,"
            " password_hash) select id, :operator, 1, id, true, 1, ''"
            " from unnest(cast(:ids as text[])) as id"
        )
        await db.execute(stations, {"operator": operator.id, "ids": names})
    path = f"{PATH}/{await group(staff)}/stations"
    assert (await staff.post(path, json={"station_ids": names[: AT_ONCE_MAX + 1]})).status_code == (
        422
    )
    for start in range(0, len(names), AT_ONCE_MAX):
        some = {"station_ids": names[start : start + AT_ONCE_MAX]}
        assert (await staff.post(path, json=some)).status_code == 204
    assert len(await ids(staff, path, limit=500)) == 500

    async def told() -> list[dict[str, Any]] | None:
        found = await operator.told(StationGroupMembersChanged)
        return found if len(found) == 5 else None

    found = await eventually(told)
    assert sorted(one for event in found for one in event["added"]) == names
    assert max(len(json.dumps(event)) for event in found) < 100_000


async def test_staff_of_one_location_touches_only_its_own_stations_in_groups(
    registry: Running, operator: Operator, staff: httpx.AsyncClient
) -> None:
    mine, other = await place(operator, "P20"), await place(operator, "P21")
    here, here_too = sorted([await operator.station(location_id=mine) for _ in range(2)])
    there = await operator.station(location_id=other)
    mixed, foreign, empty = [await group(staff, name) for name in ("mixed", "foreign", "empty")]
    for of, station in ((mixed, here), (mixed, there), (foreign, there)):
        assert (await staff.put(f"{PATH}/{of}/stations/{station}")).status_code == 204
    async with registry.as_(operator.id, *SCOPES, locations=[mine]) as limited:
        assert await ids(limited, PATH) == [mixed]
        assert await ids(limited, f"{PATH}/{mixed}/stations") == [here]
        assert await ids(limited, PATH, station_id=there) == []
        for unseen in (foreign, empty):
            path = f"{PATH}/{unseen}"
            assert (await limited.get(path)).status_code == 404
            assert (await limited.get(f"{path}/stations")).status_code == 404
            assert (await limited.put(f"{path}/stations/{here}")).status_code == 404
            based = {"If-Match": '"1"'}
            assert (await limited.delete(path, headers=based)).status_code == 404
        path = f"{PATH}/{mixed}/stations"
        assert (await limited.put(f"{path}/{here_too}")).status_code == 204
        assert (await limited.put(f"{path}/{there}")).status_code == 404
        many = await limited.post(path, json={"station_ids": [here, there]})
        assert refusal(many) == (422, "unknown-station")
        assert (await limited.delete(f"{path}/{there}")).status_code == 204  # as if it were not in
        assert await ids(staff, path) == sorted([here, here_too, there])
        outside = (403, OUTSIDE.removeprefix("urn:openlade:problem:"))
        assert refusal(await limited.post(PATH, json={"name": "new"})) == outside
        based = {"If-Match": '"1"'}
        renamed = await limited.patch(f"{PATH}/{mixed}", json={"name": "x"}, headers=based)
        assert refusal(renamed) == outside
        assert refusal(await limited.delete(f"{PATH}/{mixed}", headers=based)) == outside
        for station in (here, here_too):  # the last of theirs as well
            assert (await limited.delete(f"{path}/{station}")).status_code == 204
        assert (await limited.get(f"{PATH}/{mixed}")).status_code == 404
    assert await ids(staff, path) == [there]
    assert (await staff.get(f"{PATH}/{mixed}")).json()["name"] == "mixed"


@pytest.mark.parametrize("wrong", [{}, {"name": ""}, {"name": "a\0"}, {"name": "x", "colour": 1}])
async def test_a_wrong_group_is_refused(staff: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    assert refusal(await staff.post(PATH, json=wrong)) == (422, "invalid-request")
    assert await ids(staff, PATH) == []
    unknown: UUID = uuid7()
    assert (await staff.get(f"{PATH}/{unknown}")).status_code == 404
    assert (await staff.put(f"{PATH}/{unknown}/stations/X")).status_code == 404
