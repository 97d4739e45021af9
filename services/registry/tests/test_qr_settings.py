"""An operator's domain, pay page, apps and logo."""

import io
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import select
from stack import Issuer, Running, Servers, one_service

from common.database import PLATFORM
from registry.qr import logos
from registry.tables import QrSettings

from .conftest import Operator
from .qr_operator import link_of, new_domain, png, problem, set_up, with_evse

PATH = "/v1/qr-settings"


def body(**more: Any) -> dict[str, Any]:
    return {"domain": new_domain(), "pay_url": "https://pay.example.org/", "brand": "X"} | more


async def test_settings_are_set_read_and_changed_by_version(operator: Operator) -> None:
    problem(await operator.http.get(PATH), 404, "not-found")
    wanted = body(domain=f"  QR-{uuid4().hex[:8].upper()}.Example.ORG ")
    made = await operator.http.put(PATH, json=wanted)
    assert made.status_code == 200, made.text
    assert made.headers["etag"] == '"1"'
    assert made.json() == wanted | {
        "domain": wanted["domain"].strip().lower(), "version": 1, "apple_apps": [],
        "android_apps": [], "layout": "a4-3x8-70x36",
    }  # fmt: skip
    read = await operator.http.get(PATH)
    assert read.json() == made.json() and read.headers["etag"] == '"1"'
    stale = await operator.http.put(PATH, json=wanted, headers={"If-Match": '"7"'})
    problem(stale, 412, "version-changed")
    changed = await operator.http.put(PATH, json=body(), headers={"If-Match": '"1"'})
    assert changed.json()["version"] == 2


async def test_a_domain_is_one_operators_and_its_key_is_made_once_and_sealed(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    domain = await set_up(operator)
    taken = await stranger.http.put(PATH, json=body(domain=domain.upper()))
    problem(taken, 409, "domain-taken")
    problem(await stranger.http.get(PATH), 404, "not-found")
    _, code = await with_evse(operator)
    before = await link_of(operator, code)
    moved = await set_up(operator)
    assert await link_of(operator, code) == before.replace(domain, moved), "the tag stays"
    await set_up(stranger, domain=domain)
    async with registry.app.state.connections.begin(PLATFORM) as db:
        of_two = select(QrSettings).where(QrSettings.operator_id.in_([operator.id, stranger.id]))
        rows = (await db.scalars(of_two)).all()
    opened = {registry.app.state.sealer.open(row.sealed_key) for row in rows}
    assert len(opened) == 2 and all(len(key) == 32 for key in opened)
    assert not any(key in row.sealed_key for key in opened for row in rows)


@pytest.mark.parametrize(
    "bad",
    [
        {"domain": "lädt.example"}, {"domain": "xn--ldt-qla.example"}, {"domain": "localhost"},
        {"domain": "192.0.2.1"}, {"domain": "qr.example.org:8443"}, {"domain": "-a.example"},
        {"domain": "https://qr.example.org"}, {"domain": "qr..org"}, {"domain": "qr.example.org."},
        {"domain": "q" * 50 + ".example.org"}, {"domain": "a_b.example"}, {"domain": ""},
        {"pay_url": "ftp://pay.example.org"}, {"pay_url": "javascript:alert(1)"},
        {"pay_url": "https://pay.example.org/ x"}, {"brand": ""}, {"brand": "x" * 61},
        {"brand": "工作"}, {"brand": "a\nb"}, {"apple_apps": ["org.example.charge"]},
        {"apple_apps": ["A1B2C3D4E5.org.example/charge"]}, {"layout": "a5"},
        {"android_apps": [{"package": "charge", "fingerprints": [":".join(["AB"] * 32)]}]},
        {"android_apps": [{"package": "org.example", "fingerprints": ["AB" * 32]}]},
        {"android_apps": [{"package": "org.example", "fingerprints": []}]},
        {"surprise": 1},
        {"domain": "qr.example.org", "pay_url": "https://qr.example.org/q/"},
    ],
)  # fmt: skip
async def test_what_no_domain_page_brand_or_app_is_is_refused(
    operator: Operator, bad: dict[str, Any]
) -> None:
    problem(await operator.http.put(PATH, json=body(**bad)), 422, "invalid-request")
    problem(await operator.http.get(PATH), 404, "not-found")


@pytest.mark.parametrize(
    "bad",
    [
        "http://pay.example.org", "https://user:password@pay.example.org", "https://user@pay.example",
        "https://127.0.0.1/", "https://pay/", "https://pay.example.org/#start",
    ],
)  # fmt: skip
async def test_a_pay_page_is_public_by_https_and_carries_no_credentials(
    operator: Operator, bad: str
) -> None:
    problem(await operator.http.put(PATH, json=body(pay_url=bad)), 422, "pay-url-not-good")


async def test_without_a_secret_key_nothing_is_set_up(servers: Servers, issuer: Issuer) -> None:
    async with one_service(servers, issuer, "registry") as registry:
        operator = Operator(registry)
        problem(await operator.http.put(PATH, json=body()), 503, "not-configured")
        problem(await operator.http.get(PATH), 404, "not-found")
        await operator.http.aclose()


async def test_the_settings_are_for_those_who_may_change_the_operators(
    registry: Running, operator: Operator
) -> None:
    lesser = registry.as_(operator.id, "stations:read", "stations:write", "settings:read")
    for answer in (
        await lesser.put(PATH, json=body()), await lesser.put(f"{PATH}/logo", content=png(9, 9)),
        await lesser.delete(f"{PATH}/logo"),
    ):  # fmt: skip
        problem(answer, 403, "missing-scope")
    await lesser.aclose()


async def test_a_logo_is_drawn_anew_on_white_and_no_larger_than_labels_need(
    operator: Operator, stranger: Operator
) -> None:
    path = f"{PATH}/logo"
    problem(await operator.http.get(path), 404, "not-found")
    clear = Image.new("RGBA", (2400, 600), (0, 0, 0, 0))
    clear.paste((0, 128, 0, 255), (0, 0, 1200, 600))
    file = io.BytesIO()
    clear.save(file, "PNG", pnginfo=_secret())
    told = await operator.http.put(path, content=file.getvalue())
    assert told.status_code == 200, told.text
    assert (told.json()["width"], told.json()["height"]) == (1200, 300)
    kept = await operator.http.get(path)
    assert kept.headers["content-type"] == "image/png"
    assert b"secret" not in kept.content
    image = Image.open(io.BytesIO(kept.content))
    assert image.mode == "RGB"
    assert (image.getpixel((5, 5)), image.getpixel((1190, 5))) == ((0, 128, 0), (255, 255, 255))
    assert (await operator.http.put(path, content=png(80, 40, kind="JPEG"))).status_code == 200
    problem(await stranger.http.get(path), 404, "not-found")
    for _ in "12":
        assert (await operator.http.delete(path)).status_code == 204
    problem(await operator.http.get(path), 404, "not-found")


def _secret() -> Any:
    info = PngInfo()
    info.add_text("Comment", "secret")
    return info


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"", 415, "not-a-label-logo"), (b"<svg/>", 415, "not-a-label-logo"),
        (png(40, 40)[:60], 415, "not-a-label-logo"),
        (b"GIF89a" + b"0" * 50, 415, "not-a-label-logo"),
        (png(40, 40, kind="WEBP"), 415, "not-a-label-logo"),
        (png(4097, 1), 415, "not-a-label-logo"),
        (b"\x89PNG" + b"0" * logos.BYTES_MAX, 413, "label-logo-too-large"),
    ],
)  # fmt: skip
async def test_what_is_no_logo_is_refused(
    operator: Operator, sent: bytes, status: int, kind: str
) -> None:
    problem(await operator.http.put(f"{PATH}/logo", content=sent), status, kind)


async def test_a_bomb_is_refused_before_it_is_decoded(operator: Operator) -> None:
    header = png(1, 1)
    bomb = header[:16] + (60_000).to_bytes(4) * 2 + header[24:]
    answer = await operator.http.put(f"{PATH}/logo", content=bomb)
    problem(answer, 415, "not-a-label-logo")
