from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from pictures import png
from public_routes import PUBLIC
from stack import Running, eventually

from common import credentials
from common.events import StationChanged, StationCredentialSet, StationDiscovered
from services.registry.tests.conftest import SCOPES, Operator

ODD_IDS = ["DE*ABC|1:2+3@x=_", "a..b", "x" * 48]


async def test_a_new_station_answers_its_url_and_its_password_once(operator: Operator) -> None:
    made = await operator.http.post("/v1/stations", json={"id": "P20*01", "name": "Left"})
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    station = made.json()
    assert station.pop("ocpp_url") == "wss://csms.example/ocpp/P20%2A01"
    password = station.pop("password")
    assert len(bytes.fromhex(password)) == 20
    assert station["evses"] == [
        {
            "evse_id": 1,
            "code": None,
            "max_power_w": None,
            "phases": None,
            "physical_reference": None,
            "floor_level": None,
            "meter": None,
            "connectors": [
                {
                    "connector_id": 1,
                    "standard": "IEC_62196_T2",
                    "format": "SOCKET",
                    "power_type": "AC_3_PHASE",
                    "max_voltage": None,
                    "max_amperage": None,
                }
            ],
        }
    ]
    read = await operator.http.get("/v1/stations/P20*01")
    assert read.json() == station
    assert (await operator.http.get("/v1/stations")).json()["items"] == [station]

    [changed] = await eventually(lambda: operator.told(StationChanged))
    assert (changed["station_id"], changed["version"], changed["active"]) == ("P20*01", 1, True)
    [evse] = changed["evses"]
    assert (evse["evse_id"], evse["code"], evse["max_power_w"], evse["connectors"]) == (
        1, None, None, 1
    )  # fmt: skip
    [credential] = await eventually(lambda: operator.told(StationCredentialSet))
    assert credential["version"] == 1
    assert credentials.matches(password, credential["password_hash"])
    assert password not in str(credential)


async def test_a_new_password_is_another_and_is_told_with_a_higher_version(
    operator: Operator,
) -> None:
    station_id = await operator.station()
    answer = await operator.http.post(f"/v1/stations/{station_id}/password")
    assert answer.status_code == 200
    assert answer.json()["ocpp_url"].endswith(f"/{station_id}")

    async def told() -> Any:
        found = await operator.told(StationCredentialSet)
        return found if len(found) == 2 else None

    first, second = await eventually(told)
    assert (first["version"], second["version"]) == (1, 2)
    assert credentials.matches(answer.json()["password"], second["password_hash"])
    assert not credentials.matches(answer.json()["password"], first["password_hash"])


async def test_a_taken_id_is_refused_in_the_same_words_whoever_has_it(
    operator: Operator, stranger: Operator
) -> None:
    station_id = await operator.station()
    body = {"id": station_id, "name": "Mine"}
    own = await operator.http.post("/v1/stations", json=body)
    other = await stranger.http.post("/v1/stations", json=body)
    assert own.status_code == other.status_code == 409
    assert own.json() == other.json()
    assert (await stranger.http.get(f"/v1/stations/{station_id}")).status_code == 404


async def test_an_evse_code_is_unique_on_the_platform_whatever_its_separators(
    operator: Operator, stranger: Operator
) -> None:
    first = f"DE*AB1*E{uuid4().hex.upper()[:20]}"
    await operator.station(evses=[{"evse_id": 1, "code": first}])
    body: dict[str, Any] = {"id": "code-2", "name": "Second"}
    body["evses"] = [{"evse_id": 1}, {"evse_id": 2, "code": first.replace("*", "")}]
    for one in (operator, stranger):
        refused = await one.http.post("/v1/stations", json=body)
        assert refused.status_code == 409
        assert refused.json()["codes"] == [first.replace("*", "")]
        assert (await one.http.get("/v1/stations/code-2")).status_code == 404, "nothing was made"


async def test_codes_can_be_swapped_between_the_evses_of_a_station(operator: Operator) -> None:
    one, two = (f"DE*AB1*E{uuid4().hex.upper()[:20]}" for _ in range(2))
    evses = [{"evse_id": 1, "code": one}, {"evse_id": 2, "code": two, "max_power_w": 50000}]
    station_id = await operator.station(evses=evses)
    swapped = [{"evse_id": 1, "code": two}, {"evse_id": 2, "code": one}]
    changed = await operator.http.patch(
        f"/v1/stations/{station_id}", json={"evses": swapped}, headers={"If-Match": '"1"'}
    )
    assert changed.status_code == 200, changed.text
    assert [evse["code"] for evse in changed.json()["evses"]] == [two, one]
    read = await operator.http.get(f"/v1/stations/{station_id}")
    assert read.json() == changed.json()

    async def told() -> Any:
        found = await operator.told(StationChanged)
        return found if len(found) == 2 else None

    _, last = await eventually(told)
    assert [evse["code"] for evse in last["evses"]] == [two, one]
    assert last["version"] == 2


async def test_a_change_needs_the_version_it_is_based_on(operator: Operator) -> None:
    station_id = await operator.station(vendor="ABB")
    path = f"/v1/stations/{station_id}"
    off = {"active": False, "vendor": None}
    assert (await operator.http.patch(path, json=off)).status_code == 428
    done = await operator.http.patch(path, json=off, headers={"If-Match": '"1"'})
    assert (done.json()["active"], done.json()["vendor"]) == (False, None)
    assert done.headers["etag"] == '"2"'
    late = await operator.http.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'})
    assert late.status_code == 412
    again = await operator.http.patch(path, json=off, headers={"If-Match": '"2"'})
    assert again.json()["version"] == 2, "nothing changed"
    inactive = await operator.http.get("/v1/stations", params={"active": False})
    assert [one["id"] for one in inactive.json()["items"]] == [station_id]


async def test_a_station_stands_at_a_location_of_its_own_operator_only(
    operator: Operator, stranger: Operator, registry: Running
) -> None:
    address = {"street": "A", "postal_code": "1", "city": "B", "country": "AT"}
    place = {"name": "P20", "address": address}
    mine, theirs = [
        (await one.http.post("/v1/locations", json=place)).json()["id"]
        for one in (operator, stranger)
    ]
    station_id = await operator.station(location_id=mine)
    await operator.station()
    there = await operator.http.get("/v1/stations", params={"location_id": mine})
    assert [one["id"] for one in there.json()["items"]] == [station_id]
    change = {"location_id": theirs}
    # A platform admin sees both operators, and still may not mix them.
    async with registry.as_(None, *SCOPES, role="platform-admin") as admin:
        for client in (operator.http, admin):
            refused = await client.patch(
                f"/v1/stations/{station_id}", json=change, headers={"If-Match": '"1"'}
            )
            assert refused.status_code == 422
            assert refused.json()["type"] == "urn:openlade:problem:location-unknown"
    body = {"id": f"{station_id}-b", "name": "x", "location_id": theirs}
    assert (await operator.http.post("/v1/stations", json=body)).status_code == 422


@pytest.mark.parametrize("station_id", ODD_IDS)
async def test_an_odd_but_legal_id_works_in_every_path(operator: Operator, station_id: str) -> None:
    assert await operator.station(id=station_id) == station_id
    for shape in (station_id, quote(station_id, safe="")):
        path = f"/v1/stations/{shape}"
        assert (await operator.http.get(path)).json()["id"] == station_id
        assert (await operator.http.get(f"{path}/status")).json()["station_id"] == station_id
        assert (await operator.http.post(f"{path}/password")).status_code == 200


CODE = "DE*ABC*E1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "a/b"},
        {"id": ""},
        {"id": "ä"},
        {"id": "a\n"},
        {"id": ".."},
        {"id": "x" * 49},
        {"name": "a\0"},
        {"evses": []},
        {"evses": None},
        {"evses": [{"evse_id": 0}]},
        {"evses": [{"evse_id": 1}, {"evse_id": 1}]},
        {"evses": [{"evse_id": 1, "code": CODE}, {"evse_id": 2, "code": "DEABCE1"}]},
        {"evses": [{"evse_id": 1, "code": "de*abc*e1"}]},
        {"evses": [{"evse_id": 1, "connectors": []}]},
        {"evses": [{"evse_id": 1, "connectors": [{"connector_id": 1}, {"connector_id": 1}]}]},
        {"evses": [{"evse_id": 1, "connectors": [{"standard": "SCHUKO"}]}]},
        {"password": "mine"},
    ],
)
async def test_a_wrong_station_is_refused(operator: Operator, wrong: dict[str, Any]) -> None:
    refused = await operator.http.post("/v1/stations", json={"id": "w", "name": "x"} | wrong)
    assert refused.status_code == 422, refused.text
    assert (await operator.http.get("/v1/stations")).json()["items"] == []


async def test_a_list_walks_by_cursor_and_misses_nothing(operator: Operator) -> None:
    made = sorted([await operator.station() for _ in range(7)])
    for path, key in (("/v1/stations", "id"), ("/v1/statuses", "station_id")):
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            page = (await operator.http.get(path, params=params)).json()
            found += [one[key] for one in page["items"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert (sorted(found), len(found), pages) == (made, 7, 3)


async def test_every_route_is_closed_to_strangers_and_to_lesser_scopes(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    address = {"street": "A", "postal_code": "1", "city": "B", "country": "DE"}
    place = {"name": "P20", "address": address}
    location_id = (await operator.http.post("/v1/locations", json=place)).json()["id"]
    station_id = await operator.station(location_id=location_id)
    one, match = {"name": "x"}, {"If-Match": '"1"'}
    group_id = (await operator.http.post("/v1/station-groups", json=one)).json()["id"]
    group = f"/v1/station-groups/{group_id}"
    template = {"name": "T", "vendor": "V", "model": "M"}
    made = await operator.http.post("/v1/station-templates", json=template)
    template_id = made.json()["id"]
    pending = "/v1/pending-stations"
    unknown = StationDiscovered(
        operator_id=operator.id, station_id=f"{station_id}-2", accepted=False, address="192.0.2.1"
    )
    await registry.publish(unknown)

    async def appeared() -> Any:
        return (await operator.http.get(pending)).json()["items"]

    await eventually(appeared)
    routes: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/v1/locations/{location_id}", {}),
        ("PATCH", f"/v1/locations/{location_id}", {"json": one, "headers": match}),
        ("GET", f"/v1/stations/{station_id}", {}),
        ("PATCH", f"/v1/stations/{station_id}", {"json": one, "headers": match}),
        ("POST", f"/v1/stations/{station_id}/password", {}),
        ("POST", f"/v1/stations/{station_id}/decommission", {"json": {"reason": "x"}}),
        ("POST", f"/v1/stations/{station_id}/reactivate", {}),
        ("GET", f"/v1/stations/{station_id}/status", {}),
        ("GET", f"/v1/locations/{location_id}/photos", {}),
        ("POST", f"/v1/locations/{location_id}/photos", {"content": png()}),
        ("DELETE", f"/v1/locations/{location_id}/photos/{location_id}", {}),
        ("GET", f"/v1/station-templates/{template_id}", {}),
        ("PATCH", f"/v1/station-templates/{template_id}", {"json": one, "headers": match}),
        ("DELETE", f"/v1/station-templates/{template_id}", {"headers": match}),
        ("POST", f"{pending}/{station_id}-2/adopt", {"json": {}}),
        ("DELETE", f"{pending}/{station_id}-2", {}),
        ("GET", group, {}),
        ("PATCH", group, {"json": one, "headers": match}),
        ("GET", f"{group}/stations", {}),
        ("POST", f"{group}/stations", {"json": {"station_ids": [station_id]}}),
        ("PUT", f"{group}/stations/{station_id}", {}),
        ("DELETE", f"{group}/stations/{station_id}", {}),
        ("GET", f"{group}/groups", {}),
        ("PUT", f"{group}/groups/{group_id}", {}),
        ("DELETE", f"{group}/groups/{group_id}", {}),
        ("DELETE", group, {"headers": match}),
    ]
    for method, path, more in routes:
        answer = await stranger.http.request(method, path, **more)
        assert answer.status_code == 404, (method, path)
    lists = [
        "/v1/locations", "/v1/stations", "/v1/station-groups", "/v1/statuses", pending,
        "/v1/station-templates",
    ]  # fmt: skip
    for path in lists:
        assert (await stranger.http.get(path)).json()["items"] == []
        assert len((await operator.http.get(path)).json()["items"]) == 1
    makers: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/locations", {"json": place}),
        ("POST", "/v1/stations", {"json": {}}),
        ("POST", "/v1/station-groups", {"json": one}),
        ("POST", "/v1/station-templates", {"json": template}),
        ("GET", "/v1/evses/DE*ABC*E1/qr", {}),
        ("POST", "/v1/evses/DE*ABC*E1/qr/reissue", {}),
        ("POST", "/v1/qr-label-sheets", {"json": {}}),
        ("PUT", "/v1/qr-settings", {"json": {}}),
        ("PUT", "/v1/qr-settings/logo", {}),
        ("DELETE", "/v1/qr-settings/logo", {}),
        ("POST", "/v1/station-imports", {"content": "station_id"}),
        ("POST", "/v1/station-imports/preview", {"content": "station_id"}),
    ]
    async with registry.as_(operator.id, "users:read") as weak:
        everything = [*routes, *makers, *(("GET", path, {}) for path in lists)]
        for method, path, more in everything:
            assert (await weak.request(method, path, **more)).status_code == 403
            assert (await registry.http.request(method, path, **more)).status_code == 401
    covered = {(method, path.count("/")) for method, path, _ in everything}
    offered = {
        (method.upper(), path.count("/"))
        for path, methods in (await registry.http.get("/openapi.json")).json()["paths"].items()
        for method in methods
        if (method, path) not in PUBLIC
    }
    assert covered == offered
