from typing import Any

import pytest
from stack import Running, eventually

from common.events import LocationChanged
from services.registry.tests.conftest import Operator

ADDRESS = {"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
PLACE: dict[str, Any] = {"name": "P20", "address": ADDRESS}


async def test_a_location_is_made_read_listed_and_told(operator: Operator) -> None:
    body = PLACE | {"latitude": "52.5200000", "longitude": 13.405}
    made = await operator.http.post("/v1/locations", json=body)
    assert made.status_code == 201, made.text
    location = made.json()
    assert location["time_zone"] == "Europe/Berlin"
    assert (location["latitude"], location["longitude"]) == ("52.52", "13.405")
    read = await operator.http.get(f"/v1/locations/{location['id']}")
    assert read.json() == location
    assert read.headers["etag"] == made.headers["etag"] == '"1"'
    assert (await operator.http.get("/v1/locations")).json()["items"] == [location]
    [told] = await eventually(lambda: operator.told(LocationChanged))
    assert told["location_id"] == location["id"]
    assert (told["version"], told["name"], told["time_zone"]) == (1, "P20", "Europe/Berlin")


async def test_a_change_needs_the_version_it_is_based_on(operator: Operator) -> None:
    made = await operator.http.post("/v1/locations", json=PLACE)
    path = f"/v1/locations/{made.json()['id']}"
    rename = {"name": "P21"}
    assert (await operator.http.patch(path, json=rename)).status_code == 428
    based = {"If-Match": made.headers["etag"]}
    changed = await operator.http.patch(path, json=rename, headers=based)
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["version"]) == ("P21", 2)
    assert changed.headers["etag"] == '"2"'
    stale = await operator.http.patch(path, json={"name": "P22"}, headers=based)
    assert stale.status_code == 412
    assert stale.json()["type"] == "urn:openlade:problem:version-changed"
    same = await operator.http.patch(path, json=rename, headers={"If-Match": '"1", "2"'})
    assert same.json()["version"] == 2, "nothing changed"

    async def told() -> bool:
        return [e["version"] for e in await operator.told(LocationChanged)] == [1, 2]

    await eventually(told)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"time_zone": "Europe/Bielefeld"}, "/body/time_zone"),
        ({"time_zone": "localtime"}, "/body/time_zone"),
        ({"latitude": "52"}, "/body"),
        ({"latitude": "91", "longitude": "1"}, "/body/latitude"),
        ({"latitude": "1E+999999", "longitude": "1"}, "/body/latitude"),
        ({"latitude": "NaN", "longitude": "1"}, "/body/latitude"),
        ({"latitude": "52,52", "longitude": "13.4"}, "/body/latitude"),
        ({"latitude": "13.4", "longitude": "52.52"}, "/body"),
        ({"latitude": 0, "longitude": 0}, "/body"),
        ({"latitude": "48.2", "longitude": "16.4"}, "/body"),
        ({"opening_times": {"twentyfourseven": False}}, "/body/opening_times"),
        ({"access": {"parking_type": "CELLAR"}}, "/body/access/parking_type"),
        ({"facilities": ["CAFE", "CAFE"]}, "/body/facilities"),
        ({"contacts": {"phone": "030 1234"}}, "/body/contacts/phone"),
        ({"contacts": {"website": "javascript:alert(1)"}}, "/body/contacts/website"),
        ({"name": "a\0b"}, "/body/name"),
        ({"name": " "}, "/body/name"),
        ({"name": None}, "/body/name"),
        ({"address": ADDRESS | {"country": "XX"}}, "/body/address/country"),
        ({"colour": "red"}, "/body/colour"),
    ],
)
async def test_a_wrong_location_is_refused_with_the_place_of_the_mistake(
    operator: Operator, wrong: dict[str, Any], pointer: str
) -> None:
    refused = await operator.http.post("/v1/locations", json=PLACE | wrong)
    assert refused.status_code == 422, refused.text
    assert pointer in [error["pointer"] for error in refused.json()["errors"]]
    made = await operator.http.post("/v1/locations", json=PLACE)
    path = f"/v1/locations/{made.json()['id']}"
    unchanged = await operator.http.patch(path, json=wrong, headers={"If-Match": '"1"'})
    assert unchanged.status_code == 422, unchanged.text
    assert (await operator.http.get(path)).json()["version"] == 1


async def test_one_coordinate_changes_while_the_other_stays(operator: Operator) -> None:
    place = PLACE | {"latitude": "52.5", "longitude": "13.4"}
    made = await operator.http.post("/v1/locations", json=place)
    path = f"/v1/locations/{made.json()['id']}"
    moved = await operator.http.patch(path, json={"latitude": "52.6"}, headers={"If-Match": '"1"'})
    assert (moved.json()["latitude"], moved.json()["longitude"]) == ("52.6", "13.4")
    gone = {"latitude": None, "longitude": None}
    cleared = await operator.http.patch(path, json=gone, headers={"If-Match": '"2"'})
    assert cleared.json()["latitude"] is None


async def test_a_platform_admin_names_the_operator_of_a_new_location(registry: Running) -> None:
    async with registry.as_(None, "locations:write", role="platform-admin") as admin:
        assert (await admin.post("/v1/locations", json=PLACE)).status_code == 400


WHOLE: dict[str, Any] = {
    "publish": False,
    "opening_times": {
        "twentyfourseven": False,
        "regular_hours": [{"weekday": 1, "period_begin": "08:00", "period_end": "24:00"}],
        "exceptional_openings": [],
        "exceptional_closings": [
            {"period_begin": "2026-12-24T00:00:00Z", "period_end": "2026-12-27T00:00:00Z"}
        ],
    },
    "access": {
        "directions": [
            {"language": "de", "text": "Einfahrt Süd,\nSchranke öffnet von selbst"},
            {"language": "en", "text": "South entrance"},
        ],
        "parking_type": "UNDERGROUND_GARAGE",
        "parking_restrictions": ["EV_ONLY", "PLUGGED"],
        "barrier": True,
    },
    "facilities": ["CAFE", "TRAIN_STATION"],
    "contacts": {
        "phone": "+49301234567", "email": "help@example.org", "website": "https://example.org",
    },
}  # fmt: skip


async def test_what_drivers_are_told_of_a_place_is_kept_and_replaced_as_a_whole(
    operator: Operator,
) -> None:
    made = await operator.http.post("/v1/locations", json=PLACE | WHOLE)
    assert made.status_code == 201, made.text
    path = f"/v1/locations/{made.json()['id']}"
    read = (await operator.http.get(path)).json()
    assert read == made.json()
    assert {name: read[name] for name in WHOLE} == WHOLE
    plain = (await operator.http.post("/v1/locations", json=PLACE)).json()
    assert (plain["publish"], plain["facilities"]) == (True, [])
    assert [plain[name] for name in ("opening_times", "access", "contacts")] == [None] * 3
    always = {"opening_times": {"twentyfourseven": True}, "contacts": None, "publish": True}
    changed = await operator.http.patch(path, json=always, headers={"If-Match": '"1"'})
    assert changed.json()["opening_times"] == {
        "twentyfourseven": True,
        "regular_hours": [],
        "exceptional_openings": [],
        "exceptional_closings": [],
    }
    assert (changed.json()["contacts"], changed.json()["access"]) == (None, WHOLE["access"])
    assert (await operator.http.get(path)).json() == changed.json()
    again = await operator.http.patch(path, json=always, headers={"If-Match": '"2"'})
    assert again.json()["version"] == 2, "nothing changed"


async def test_a_mistake_in_coordinates_is_called_by_its_name(operator: Operator) -> None:
    for latitude, longitude, word in (
        ("13.4", "52.52", "swapped"),
        ("52,52", "13.4", "decimal point, not a comma"),
        ("0", "0", "leave out what is not known"),
        ("48.2", "16.4", "is not in DE"),
    ):
        body = PLACE | {"latitude": latitude, "longitude": longitude}
        refused = await operator.http.post("/v1/locations", json=body)
        assert refused.status_code == 422
        assert word in refused.json()["errors"][0]["detail"]
    good = PLACE | {"latitude": "52.52", "longitude": "13.4"}
    path = f"/v1/locations/{(await operator.http.post('/v1/locations', json=good)).json()['id']}"
    # A new address alone may leave the point behind.
    vienna = {"address": ADDRESS | {"country": "AT"}}
    refused = await operator.http.patch(path, json=vienna, headers={"If-Match": '"1"'})
    assert refused.status_code == 422
    assert "is not in AT" in refused.json()["errors"][0]["detail"]
