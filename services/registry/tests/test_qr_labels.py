"""Label sheets, rasterised and read by another program than those that drew them."""

import asyncio
import io
import time
from typing import Any
from uuid import uuid4

import pypdfium2
import pytest
from PIL import Image
from stack import Running

from registry.qr import labels
from registry.qr.layouts import LAYOUTS

from .conftest import Operator
from .qr_operator import (
    link_of,
    new_code,
    pages,
    png,
    problem,
    read,
    set_up,
    take_down,
    texts,
    with_evse,
)

PATH = "/v1/qr-label-sheets"
MM = 25.4


async def printed(operator: Operator, **body: Any) -> bytes:
    answer = await operator.http.post(PATH, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")
    return answer.content


async def many(operator: Operator, number: int, **more: Any) -> list[str]:
    """Codes of one station's EVSEs, in their order."""
    codes = [new_code() for _ in range(number)]
    evses = [{"evse_id": at, "code": code} for at, code in enumerate(codes, 1)]
    await operator.station(evses=evses, **more)
    return codes


async def a_location(operator: Operator) -> str:
    address = {"street": "A", "postal_code": "1", "city": "B", "country": "DE"}
    made = await operator.http.post("/v1/locations", json={"name": "P", "address": address})
    return str(made.json()["id"])


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_every_label_says_its_link_code_and_domain_where_the_sheet_has_it(
    operator: Operator, layout: str
) -> None:
    domain = await set_up(operator)
    await operator.http.put("/v1/qr-settings/logo", content=png(300, 90, "red"))
    number = LAYOUTS[layout].per_page + 1  # type: ignore[index]
    codes = await many(operator, number)
    pdf = await printed(operator, evse_codes=codes, layout=layout, languages=["de", "en"])
    links = [await link_of(operator, code) for code in codes]
    found, words = pages(pdf), texts(pdf)
    assert len(found) == len(words) == 2
    assert read(found[0]) == links[:-1]
    assert read(found[1]) == links[-1:]
    for page, shown in zip(words, (codes[:-1], codes[-1:]), strict=True):
        flat = "".join(page.split())
        for code in shown:
            assert code in flat
        assert flat.count(domain) == len(shown)
        assert page.count("Laden und bezahlen") == page.count("Charge and pay") == len(shown)
    width, height = LAYOUTS[layout].page  # type: ignore[index]
    assert found[0].width == pytest.approx(width / MM * 200, abs=2)
    assert found[0].height == pytest.approx(height / MM * 200, abs=2)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("code", ["DE*ABC*E1", f"DE*ABC*E{'W' * 30}", f"DE*ABC*E1{'*2' * 15}"])
@pytest.mark.parametrize("domain", ["q.de", f"{'w' * 48}.example.org"])
async def test_nothing_is_outside_of_its_label_and_its_symbol_is_read(
    layout: Any, code: str, domain: str
) -> None:
    """What is drawn of one label is where that label is, whatever is on it."""
    link = f"https://{domain}/q/{code.replace('*', '')}/0123456789ABC"
    one = labels.Label(code=code, link=link)
    job = labels.Job(layout=layout, languages=["de", "en"], skip=0, brand="W" * 60, domain=domain,
                     logo=png(100, 300, "black"), labels=[one])  # fmt: skip
    [image] = pages(await asyncio.to_thread(labels.pdf, job))
    assert read(image) == [link]
    box = Image.eval(image.convert("L"), lambda value: 255 - value).getbbox()
    assert box is not None
    left, top, right, bottom = (side / 200 * MM for side in box)
    place = LAYOUTS[layout]
    least = 4.2  # that office printers leave white
    assert left >= place.first[0] + least
    assert top >= place.first[1] + least
    assert right <= place.first[0] + place.label[0] - least
    assert bottom <= place.first[1] + place.label[1] - least


async def test_labels_that_are_gone_already_are_skipped(operator: Operator) -> None:
    await set_up(operator, layout="a4-2x4-99.1x67.7")
    codes = await many(operator, 3)
    [page] = pages(await printed(operator, evse_codes=codes, skip=5))
    left, top = LAYOUTS["a4-2x4-99.1x67.7"].first
    lines = [round((top + 67.7 * row) / MM * 200) for row in range(5)]
    rows = [page.crop((0, lines[row], page.width, lines[row + 1])) for row in range(4)]
    links = [await link_of(operator, code) for code in codes]
    assert [read(row) for row in rows] == [[], [], links[:1], links[1:]]
    half = rows[2].crop((0, 0, round((left + 99.1) / MM * 200), rows[2].height))
    assert read(half) == [], "the sixth label is on the right"
    answer = await operator.http.post(PATH, json={"evse_codes": codes, "skip": 8})
    problem(answer, 422, "skips-too-many")


async def test_labels_are_chosen_by_codes_location_or_group(operator: Operator) -> None:
    await set_up(operator)
    location_id = await a_location(operator)
    here, code = await with_evse(operator, location_id=location_id, name="A")
    _, second = await with_evse(operator, location_id=location_id, name="B")
    grouped, third = await with_evse(operator)
    closed, _ = await with_evse(operator, location_id=location_id)
    inner, outer = [
        (await operator.http.post("/v1/station-groups", json={"name": name})).json()["id"]
        for name in ("inner", "outer")
    ]
    await operator.http.put(f"/v1/station-groups/{inner}/stations/{grouped}")
    await operator.http.put(f"/v1/station-groups/{inner}/stations/{closed}")
    await operator.http.put(f"/v1/station-groups/{outer}/groups/{inner}")
    await take_down(operator, closed)
    typed = [third.lower(), code.replace("*", ""), third]
    for body, codes in (
        ({"evse_codes": typed}, [third, code]), ({"location_id": location_id}, [code, second]),
        ({"station_group_id": outer}, [third]),
    ):  # fmt: skip
        [page] = pages(await printed(operator, **body))
        assert read(page) == [await link_of(operator, one) for one in codes]
    without = [{"evse_id": 1, "code": code}, {"evse_id": 2}]
    await operator.http.patch(
        f"/v1/stations/{here}", json={"evses": without}, headers={"If-Match": "*"}
    )
    refused = await operator.http.post(PATH, json={"location_id": location_id})
    body = problem(refused, 409, "evses-without-code")
    assert body["evses"] == [{"station_id": here, "evse_id": 2}]
    left_out = {"location_id": location_id, "leave_out_without_code": True}
    [page] = pages(await printed(operator, **left_out))
    assert len(read(page)) == 2


async def test_what_cannot_be_printed_is_refused_whole(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    location = await a_location(operator)
    group = (await operator.http.post("/v1/station-groups", json={"name": "G"})).json()["id"]
    _, code = await with_evse(operator, location_id=location)
    closed, out = await with_evse(operator)
    await take_down(operator, closed)

    async def refused(who: Operator, body: Any, status: int, kind: str) -> dict[str, Any]:
        return problem(await who.http.post(PATH, json=body), status, kind)

    await refused(operator, {"evse_codes": [code]}, 409, "no-qr-settings")
    await set_up(operator)
    await set_up(stranger)
    unknown = new_code()
    told = await refused(operator, {"evse_codes": [code, unknown, out]}, 422, "no-such-evses")
    assert told["evse_codes"] == [unknown, out]
    await refused(operator, {"station_group_id": group}, 422, "nothing-to-print")
    await refused(stranger, {"evse_codes": [code]}, 422, "no-such-evses")
    await refused(stranger, {"location_id": location}, 404, "not-found")
    await refused(stranger, {"station_group_id": group}, 404, "not-found")
    await refused(operator, {"location_id": str(uuid4())}, 404, "not-found")
    await refused(operator, {}, 422, "invalid-request")
    bodies: tuple[dict[str, Any], ...] = (
        {"evse_codes": []}, {"evse_codes": [code], "location_id": location},
        {"evse_codes": [code], "languages": []}, {"evse_codes": [code], "languages": ["de", "de"]},
        {"evse_codes": [code], "languages": ["fr"]}, {"evse_codes": [code], "skip": -1},
        {"evse_codes": [code], "layout": "a5"}, {"evse_codes": ["x"] * 1001},
    )  # fmt: skip
    for bad in bodies:
        await refused(operator, bad, 422, "invalid-request")
    async with registry.as_(operator.id, "stations:read", locations=[str(uuid4())]) as elsewhere:
        answer = await elsewhere.post(PATH, json={"evse_codes": [code]})
        problem(answer, 422, "no-such-evses")
        problem(await elsewhere.post(PATH, json={"location_id": location}), 404, "not-found")


async def test_a_thousand_labels_are_drawn_while_others_are_served(operator: Operator) -> None:
    await set_up(operator)
    location_id = await a_location(operator)
    for _ in range(5):
        await many(operator, 200, location_id=location_id)
    printing = asyncio.create_task(printed(operator, location_id=location_id))
    slowest, began = 0.0, time.perf_counter()
    while not printing.done():
        begun = time.perf_counter()
        assert (await operator.http.get("/v1/qr-settings")).status_code == 200
        slowest = max(slowest, time.perf_counter() - begun)
        await asyncio.sleep(0.05)
    pdf = await printing
    drawn_s = time.perf_counter() - began
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 42
    last = document[41].render(scale=200 / 72).to_pil()
    document.close()
    assert len(read(last)) == 1000 - 41 * 24
    assert len(pdf) < 6_000_000
    # Alone it is some milliseconds; on a busy machine far less than all of the drawing.
    assert slowest < max(2.0, drawn_s / 2), (slowest, drawn_s)
    await with_evse(operator, location_id=location_id)
    answer = await operator.http.post(PATH, json={"location_id": location_id})
    problem(answer, 422, "too-many-labels")


async def test_the_file_asks_to_be_printed_at_its_own_size_and_embeds_its_fonts() -> None:
    one = labels.Label(code="DE*ABC*E1", link="https://q.de/q/DEABCE1/0123456789ABC")
    job = labels.Job(layout="single-100x100", languages=["de"], skip=0, brand="Müller & Söhne ß",
                     domain="q.de", logo=None, labels=[one])  # fmt: skip
    pdf = labels.pdf(job)
    assert pdf == labels.pdf(job), "the same labels are the same file"
    assert b"/PrintScaling /None" in pdf and b"/FontFile2" in pdf and b"/Lang (de)" in pdf
    assert "Müller & Söhne ß" in texts(pdf)[0]
    assert len(io.BytesIO(pdf).getvalue()) < 60_000
