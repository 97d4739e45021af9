"""An EVSE's QR code: read by another program than the one that draws it, and issued again."""

import asyncio
import io
import re
import xml.etree.ElementTree as ET
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from stack import Running

from .conftest import Operator
from .qr_operator import link_of, new_code, problem, read, scanned, set_up, with_evse


async def picture(operator: Operator, code: str, **params: Any) -> Image.Image:
    answer = await operator.http.get(f"/v1/evses/{code}/qr.png", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize("correction", "LMQH")
async def test_the_png_says_the_link_whatever_its_size_and_correction(
    operator: Operator, correction: str
) -> None:
    domain = await set_up(operator)
    _, code = await with_evse(operator)
    link = await link_of(operator, code)
    assert link.startswith(f"https://{domain}/q/{code.replace('*', '')}/")
    for size_px in (100, 333, 2000):
        image = await picture(operator, code, size_px=size_px, error_correction=correction)
        assert size_px / 2 < image.width == image.height <= size_px
        # A phone's camera has more than a pixel a module; so has the reader.
        assert read(image.resize((image.width * 4, image.height * 4), 0)) == [link]


async def test_the_quiet_zone_is_white_and_at_least_four_modules(operator: Operator) -> None:
    await set_up(operator)
    _, code = await with_evse(operator)
    for quiet_zone in (4, 10):
        image = (await picture(operator, code, quiet_zone=quiet_zone)).convert("L")
        dark = [(x, y) for x in range(image.width) for y in range(image.height)
                if image.getpixel((x, y)) == 0]  # fmt: skip
        module = next(x for x in range(image.width) if image.getpixel((dark[0][0] + x, dark[0][1])))
        left, top = min(x for x, _ in dark), min(y for _, y in dark)
        assert left == top == quiet_zone * module / 7, "a finder's edge is 7 modules"
    for bad in ({"quiet_zone": 3}, {"quiet_zone": 21}, {"size_px": 99}, {"size_px": 4001},
                {"error_correction": "X"}):  # fmt: skip
        answer = await operator.http.get(f"/v1/evses/{code}/qr.png", params=bad)
        problem(answer, 422, "invalid-request")


async def test_the_svg_says_the_link(operator: Operator) -> None:
    await set_up(operator)
    _, code = await with_evse(operator)
    answer = await operator.http.get(f"/v1/evses/{code}/qr.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].endswith(f'qr-{code.replace("*", "")}.svg"')
    assert read(_drawn(answer.text)) == [await link_of(operator, code)]


def _drawn(svg: str) -> Image.Image:
    """By its path: what segno writes is one of m, h and M with whole and half numbers."""
    root = ET.fromstring(svg)
    side = int(root.attrib["viewBox"].split()[2])
    image = Image.new("L", (side * 8, side * 8), 255)
    path = next(one for one in root if "stroke" in one.attrib)
    x = y = 0.0
    for command, numbers in re.findall(r"([mMhv])([^mMhv]*)", path.attrib["d"]):
        given = [float(one) for one in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            x, y = given
        elif command == "m":
            x, y = x + given[0], y + given[1]
        else:
            assert command == "h"
            left, top, right = round(x * 8), round((y - 0.5) * 8), round((x + given[0]) * 8)
            image.paste(0, (left, top, right, top + 8))
            x += given[0]
    return image


async def test_a_reissued_code_replaces_the_old_one_for_good(operator: Operator) -> None:
    await set_up(operator)
    station_id, code = await with_evse(operator)
    path = f"/v1/evses/{code}/qr"
    before = await operator.http.get(path)
    assert before.headers["etag"] == '"1"' and before.json()["reissued_at"] is None
    again = await operator.http.post(f"{path}/reissue", headers={"If-Match": '"1"'})
    assert again.status_code == 200, again.text
    old, new = before.json()["link"], again.json()["link"]
    assert (again.json()["revision"], again.headers["etag"]) == (2, '"2"') and old != new
    assert read(await picture(operator, code)) == [new]
    assert (await scanned(operator, new)).status_code == 302
    assert (await scanned(operator, old)).status_code == 410
    # What is sent again after its answer was lost does not replace the new one.
    problem(
        await operator.http.post(f"{path}/reissue", headers={"If-Match": '"1"'}),
        412, "version-changed",
    )  # fmt: skip
    # Nor does the old one come back when the station's EVSEs are entered anew.
    for evses in ([{"evse_id": 1}], [{"evse_id": 2, "code": code.replace("*", "")}]):
        changed = await operator.http.patch(
            f"/v1/stations/{station_id}", json={"evses": evses}, headers={"If-Match": "*"}
        )
        assert changed.status_code == 200, changed.text
    assert (await scanned(operator, old)).status_code == 410
    assert await link_of(operator, code) == new


async def test_of_reissues_at_once_each_counts_or_with_a_version_only_one(
    operator: Operator,
) -> None:
    await set_up(operator)
    _, code = await with_evse(operator)
    path = f"/v1/evses/{code}/qr/reissue"
    answers = await asyncio.gather(*(operator.http.post(path) for _ in range(5)))
    assert sorted(one.json()["revision"] for one in answers) == [2, 3, 4, 5, 6]
    same = {"If-Match": '"6"'}
    answers = await asyncio.gather(*(operator.http.post(path, headers=same) for _ in range(5)))
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412, 412]


async def test_a_code_that_moves_to_another_station_keeps_what_is_printed(
    operator: Operator,
) -> None:
    """A charger that is replaced: the code stands on the wall, not in the hardware."""
    await set_up(operator)
    old, code = await with_evse(operator)
    link = await link_of(operator, code)
    await operator.http.patch(
        f"/v1/stations/{old}", json={"evses": [{"evse_id": 1}]}, headers={"If-Match": "*"}
    )
    problem(await operator.http.get(f"/v1/evses/{code}/qr"), 404, "not-found")
    assert (await scanned(operator, link)).status_code == 404
    new, _ = await with_evse(operator, code)
    assert await link_of(operator, code) == link
    assert (await operator.http.get(f"/v1/evses/{code}/qr")).json()["station_id"] == new
    assert (await scanned(operator, link)).status_code == 302


async def test_a_code_that_goes_to_another_operator_has_another_tag_there(
    operator: Operator, stranger: Operator
) -> None:
    domain = await set_up(operator)
    await set_up(stranger)
    station_id, code = await with_evse(operator)
    link = await link_of(operator, code)
    await operator.http.patch(
        f"/v1/stations/{station_id}", json={"evses": [{"evse_id": 1}]}, headers={"If-Match": "*"}
    )
    await with_evse(stranger, code)
    theirs = await link_of(stranger, code)
    assert theirs.rpartition("/")[2] != link.rpartition("/")[2]
    assert (await scanned(operator, link)).status_code == 404
    assert (await scanned(operator, theirs, host=domain)).status_code == 404
    assert (await scanned(operator, theirs)).status_code == 302


async def test_what_has_no_qr_code_is_refused_with_the_reason(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    station_id, code = await with_evse(operator)
    for path in ("qr", "qr.svg", "qr.png"):
        problem(await operator.http.get(f"/v1/evses/{code}/{path}"), 409, "no-qr-settings")
    await set_up(operator)
    await set_up(stranger)
    for path in ("qr", "qr.svg", "qr.png"):
        problem(await operator.http.get(f"/v1/evses/{new_code()}/{path}"), 404, "not-found")
        problem(await operator.http.get(f"/v1/evses/**/{path}"), 404, "not-found")
        problem(await operator.http.get(f"/v1/evses/ü/{path}"), 404, "not-found")
        problem(await stranger.http.get(f"/v1/evses/{code}/{path}"), 404, "not-found")
    problem(await stranger.http.post(f"/v1/evses/{code}/qr/reissue"), 404, "not-found")
    assert (await operator.http.get(f"/v1/evses/{code}/qr")).json()["revision"] == 1
    await operator.http.patch(
        f"/v1/stations/{station_id}", json={"active": False}, headers={"If-Match": "*"}
    )
    problem(await operator.http.get(f"/v1/evses/{code}/qr"), 409, "station-not-in-service")
    elsewhere = registry.as_(operator.id, "stations:read", locations=[str(uuid4())])
    problem(await elsewhere.get(f"/v1/evses/{code}/qr"), 404, "not-found")
    await elsewhere.aclose()


async def test_case_and_separators_of_the_code_do_not_matter(operator: Operator) -> None:
    await set_up(operator)
    _, code = await with_evse(operator)
    link = await link_of(operator, code)
    for same in (code.lower(), code.replace("*", ""), code.replace("*", "-")):
        assert await link_of(operator, same) == link
