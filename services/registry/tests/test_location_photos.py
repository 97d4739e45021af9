"""Photos: which are taken, how many, and who sees them."""

from typing import Any

import pytest
from pictures import SVG, jpeg, png
from stack import Running

from registry.places import location_photos

from .conftest import SCOPES, Operator

ADDRESS = {"street": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}


async def place(operator: Operator, **more: Any) -> str:
    body = {"name": "P20", "address": ADDRESS, **more}
    made = await operator.http.post("/v1/locations", json=body)
    assert made.status_code == 201, made.text
    return f"/v1/locations/{made.json()['id']}"


async def test_a_photo_is_added_listed_seen_by_anybody_and_removed(
    registry: Running, operator: Operator
) -> None:
    path = await place(operator)
    about = {"category": "ENTRANCE", "caption": "Einfahrt"}
    first = await operator.http.post(f"{path}/photos", content=png(300, 200), params=about)
    assert first.status_code == 201, first.text
    second = (await operator.http.post(f"{path}/photos", content=jpeg(4, 3))).json()
    photo = first.json()
    assert (photo["category"], photo["caption"]) == ("ENTRANCE", "Einfahrt")
    assert photo["media_type"] == "image/png"
    assert (photo["width"], photo["height"]) == (300, 200)
    assert photo["size_bytes"] == len(png(300, 200))
    listed = (await operator.http.get(f"{path}/photos")).json()["items"]
    assert listed == [photo, second]
    seen = await registry.http.get(photo["url"])
    assert seen.content == png(300, 200)
    assert seen.headers["content-type"] == "image/png"
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert seen.headers["cache-control"].startswith("public")
    known = {"If-None-Match": seen.headers["etag"]}
    assert (await registry.http.get(photo["url"], headers=known)).status_code == 304
    gone = await operator.http.delete(f"{path}/photos/{photo['id']}")
    assert gone.status_code == 204
    assert (await operator.http.delete(f"{path}/photos/{photo['id']}")).status_code == 404
    assert (await registry.http.get(photo["url"])).status_code == 404
    assert (await operator.http.get(f"{path}/photos")).json()["items"] == [second]


async def test_of_a_place_that_is_not_published_nobody_sees_a_photo(
    registry: Running, operator: Operator
) -> None:
    path = await place(operator, publish=False)
    url = (await operator.http.post(f"{path}/photos", content=png())).json()["url"]
    assert (await registry.http.get(url)).status_code == 404
    match = {"If-Match": '"1"'}
    await operator.http.patch(path, json={"publish": True}, headers=match)
    assert (await registry.http.get(url)).status_code == 200
    elsewhere = (await place(operator)).removeprefix("/v1/locations/")
    photo = url.split("?")[0].split("/")[-1]
    wrong = f"/v1/public/locations/{elsewhere}/photos/{photo}"
    assert (await registry.http.get(wrong)).status_code == 404


async def test_kind_size_and_number_are_bounded(operator: Operator) -> None:
    path = f"{await place(operator)}/photos"
    refused = await operator.http.post(path, content=SVG)
    assert (refused.status_code, refused.json()["type"]) == (
        415,
        "urn:openlade:problem:not-a-photo",
    )
    large = png() + bytes(location_photos.PHOTO_BYTES_MAX)
    assert (await operator.http.post(path, content=large)).status_code == 413
    odd = await operator.http.post(path, content=png(), params={"category": "SELFIE"})
    assert odd.status_code == 422
    for _ in range(location_photos.PHOTOS_MAX):
        assert (await operator.http.post(path, content=png())).status_code == 201
    full = await operator.http.post(path, content=png())
    assert (full.status_code, full.json()["type"]) == (409, "urn:openlade:problem:too-many-photos")
    assert len((await operator.http.get(path)).json()["items"]) == location_photos.PHOTOS_MAX


@pytest.mark.parametrize("may", [True, False])
async def test_staff_of_some_locations_has_the_photos_of_these(
    registry: Running, operator: Operator, may: bool
) -> None:
    mine, other = await place(operator), await place(operator)
    photo = (await operator.http.post(f"{mine}/photos", content=png())).json()
    theirs = [(mine if may else other).rpartition("/")[2]]
    async with registry.as_(operator.id, *SCOPES, locations=theirs) as limited:
        expected = 200 if may else 404
        assert (await limited.get(f"{mine}/photos")).status_code == expected
        added = await limited.post(f"{mine}/photos", content=png())
        assert added.status_code == (201 if may else 404)
        gone = await limited.delete(f"{mine}/photos/{photo['id']}")
        assert gone.status_code == (204 if may else 404)
