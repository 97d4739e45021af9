"""An operator whose QR codes are set up, and an independent reader of them."""

import io
from typing import Any
from uuid import uuid4

import httpx
import pypdfium2
import zxingcpp
from PIL import Image

from .conftest import Operator

EN = {"Accept-Language": "en"}


def new_domain() -> str:
    return f"q{uuid4().hex[:10]}.example.org"


def new_code() -> str:
    return f"DE*AB1*E{uuid4().hex.upper()[:12]}"


async def set_up(operator: Operator, **more: Any) -> str:
    """The domain."""
    body = {"domain": new_domain(), "pay_url": "https://pay.example.org/start?lang=de",
            "brand": "Stadtwerke Müllhausen"} | more  # fmt: skip
    answer = await operator.http.put("/v1/qr-settings", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["domain"])


async def with_evse(operator: Operator, code: str | None = None, **more: Any) -> tuple[str, str]:
    """Station and code of a new EVSE."""
    code = code or new_code()
    evses = [{"evse_id": 1, "code": code, "max_power_w": 22000}]
    return await operator.station(evses=evses, **more), code


async def link_of(operator: Operator, code: str) -> str:
    answer = await operator.http.get(f"/v1/evses/{code}/qr")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["link"])


async def scanned(
    operator: Operator, link: str, host: str | None = None, **headers: str
) -> httpx.Response:
    """As a phone asks that no app is on, through the ingress of the operator's domain."""
    address = httpx.URL(link)
    headers = {"Host": host or address.host} | headers
    return await operator.registry.http.get(address.raw_path.decode(), headers=headers)


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:openlade:problem:{kind}", body
    return body


def read(image: Image.Image) -> list[str]:
    """What zxing reads in a picture; symbols only, from above and from the left."""
    formats = zxingcpp.barcode_formats_from_str("QRCode")
    found = zxingcpp.read_barcodes(image.convert("L"), formats)
    found.sort(key=lambda one: (round(one.position.top_left.y / 40), one.position.top_left.x))
    return [one.text for one in found]


def pages(pdf: bytes, dpi: int = 200) -> list[Image.Image]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.render(scale=dpi / 72).to_pil() for page in document]
    finally:
        document.close()


def texts(pdf: bytes) -> list[str]:
    """Of each page."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()


def png(width: int, height: int, colour: str = "teal", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, kind)
    return file.getvalue()
