"""Staff who may see some locations only: a wall beneath the code, for reading and for writing."""

from uuid import UUID

from stack import Running

from common.ids import uuid7

from .conftest import SCOPES, Operator

OUTSIDE = "urn:openlade:problem:outside-your-locations"
UNKNOWN = "urn:openlade:problem:location-unknown"  # what is not seen is not there


async def place(operator: Operator, name: str) -> str:
    address = {"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
    made = await operator.http.post("/v1/locations", json={"name": name, "address": address})
    assert made.status_code == 201, made.text
    found: str = made.json()["id"]
    return found


async def test_staff_of_one_location_sees_and_changes_nothing_of_others(
    registry: Running, operator: Operator
) -> None:
    mine, other = await place(operator, "P20"), await place(operator, "P21")
    here = await operator.station(location_id=mine)
    there = await operator.station(location_id=other)
    nowhere = await operator.station()
    async with registry.as_(operator.id, *SCOPES, locations=[mine]) as limited:
        locations = (await limited.get("/v1/locations")).json()["items"]
        assert [one["id"] for one in locations] == [mine]
        for path in ("stations", "statuses"):
            found = (await limited.get(f"/v1/{path}")).json()["items"]
            assert {one.get("station_id", one.get("id")) for one in found} <= {here}, path
        assert (await limited.get(f"/v1/stations/{here}")).status_code == 200
        for station in (there, nowhere):
            for path in (f"/v1/stations/{station}", f"/v1/stations/{station}/status"):
                assert (await limited.get(path)).status_code == 404, path
            url = f"/v1/stations/{station}"
            tagged = {"If-Match": (await operator.http.get(url)).headers["etag"]}
            changed = await limited.patch(url, json={"name": "taken"}, headers=tagged)
            assert changed.status_code == 404, changed.text
            assert (await limited.post(f"{url}/password")).status_code == 404
        renamed = await limited.patch(
            f"/v1/stations/{here}", json={"name": "mine"}, headers={"If-Match": '"1"'}
        )
        assert renamed.status_code == 200, renamed.text


async def test_staff_of_one_location_makes_and_moves_nothing_elsewhere(
    registry: Running, operator: Operator
) -> None:
    mine, other = await place(operator, "P20"), await place(operator, "P21")
    here = await operator.station(location_id=mine)
    async with registry.as_(operator.id, *SCOPES, locations=[mine]) as limited:
        for elsewhere, refusal in ((other, (422, UNKNOWN)), (None, (403, OUTSIDE))):
            body = {"id": f"S-{uuid7().hex[-12:]}", "name": "new", "location_id": elsewhere}
            refused = await limited.post("/v1/stations", json=body)
            assert (refused.status_code, refused.json()["type"]) == refusal, refused.text
            moved = await limited.patch(
                f"/v1/stations/{here}",
                json={"location_id": elsewhere},
                headers={"If-Match": '"1"'},
            )
            assert (moved.status_code, moved.json()["type"]) == refusal, moved.text
        body = {"id": f"S-{uuid7().hex[-12:]}", "name": "new", "location_id": mine}
        assert (await limited.post("/v1/stations", json=body)).status_code == 201
        address = {"street": "S 1", "postal_code": "1", "city": "B", "country": "DE"}
        refused = await limited.post("/v1/locations", json={"name": "P22", "address": address})
        assert (refused.status_code, refused.json()["type"]) == (403, OUTSIDE)
    still = await operator.http.get(f"/v1/stations/{here}")
    assert still.json()["location_id"] == mine


async def test_staff_of_no_location_sees_none(registry: Running, operator: Operator) -> None:
    await operator.station(location_id=await place(operator, "P20"))
    async with registry.as_(operator.id, *SCOPES, locations=[]) as limited:
        assert (await limited.get("/v1/locations")).json()["items"] == []
        assert (await limited.get("/v1/stations")).json()["items"] == []


async def test_a_limit_does_not_open_another_operators_location(
    registry: Running, operator: Operator
) -> None:
    mine = await place(operator, "P20")
    station = await operator.station(location_id=mine)
    rival: UUID = uuid7()
    async with registry.as_(rival, *SCOPES, locations=[mine]) as stranger:
        assert (await stranger.get("/v1/locations")).json()["items"] == []
        assert (await stranger.get(f"/v1/stations/{station}")).status_code == 404
