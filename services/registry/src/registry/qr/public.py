"""What anybody may ask who scanned a QR code, and what phones ask to open it in the app.

An unknown EVSE, a tag that is not ours, another operator's and another domain's are one answer: it
tells nothing about which codes there are. A tag that was ours until it was issued again has its own
answer, for who sends it has read it off a charging station.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import sealed
from common.database import PLATFORM, Connections
from common.problems import NotFound, Problem
from common.public_limits import limited
from registry.fields import Latitude, Longitude
from registry.hardware.models import Connector
from registry.qr import codes, links, pages
from registry.qr.links import Standing
from registry.qr.words import Page, preferred
from registry.tables import Evse, Location, QrSettings, Station

router = APIRouter(tags=["qr"], dependencies=[limited("qr")])

HELD_MAX: Final = 20  # EVSEs that one code was of, the last ones
APPS_CACHED: Final = {"Cache-Control": "public, max-age=3600"}
_HTML: Final[dict[int | str, dict[str, Any]]] = {
    302: {"description": "genuine: to the pay page"},
    404: {"description": "not one of ours", "content": {"text/html": {}}},
    410: {"description": "no longer good, or out of service", "content": {"text/html": {}}},
}


class QrCodeUnknown(Problem):
    """Also: the tag is forged."""

    status = 404
    title = "This QR code is not one of ours"


class QrCodeSuperseded(Problem):
    status = 410
    title = "This QR code was replaced by a new one"


class EvseOutOfService(Problem):
    """The code is genuine."""

    status = 410
    title = "This charge point is out of service"


_PAGES: Final[dict[type[Problem], Page]] = {
    QrCodeUnknown: "unknown",
    QrCodeSuperseded: "superseded",
    EvseOutOfService: "out-of-service",
}


class PublicPlaceOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    street: str
    postal_code: str
    city: str
    country: str
    latitude: Latitude | None
    longitude: Longitude | None
    time_zone: str


class PublicEvseOut(BaseModel):
    evse_code: str = Field(examples=["DE*ABC*E1234"])
    operator_id: UUID
    brand: str = Field(description="whom drivers know the operator as")
    domain: str = Field(description="what is printed beside the QR code")
    location: PublicPlaceOut | None
    max_power_w: int | None
    connectors: list[Connector]


def host_of(request: Request) -> str:
    """The name that was asked for, as domains are stored."""
    return request.headers.get("host", "").partition(":")[0].rstrip(".").lower()


async def _genuine(
    request: Request, code: str, sent: str, *, host: str | None = None
) -> tuple[Evse, Location | None, QrSettings]:
    """host: where it was asked for, if it must be the operator's.

    Raises QrCodeUnknown, QrCodeSuperseded or EvseOutOfService.
    """
    wanted = links.stripped(code) if len(code) <= codes.CODE_MAX else ""
    rows = await _with_code(request, wanted, host) if wanted else ()
    superseded = False
    for evse, revision, _, station, location, settings in rows:
        key = sealed.opened(request, settings.sealed_key)
        match links.standing(key, evse.operator_id, wanted, revision or 1, sent):
            case Standing.GENUINE if evse.retired or not station.active:
                raise EvseOutOfService("the QR code is genuine, but nobody charges here now")
            case Standing.GENUINE:
                return evse, location, settings
            case Standing.SUPERSEDED:
                superseded = True
    if superseded:
        raise QrCodeSuperseded("scan the new one on the charging station")
    raise QrCodeUnknown("do not pay by it: somebody may have put it over the real one")


async def _with_code(request: Request, code: str, host: str | None) -> Sequence[Any]:
    """The EVSE that has the code, and then those of stations taken down that had it."""
    query = (
        codes.query()
        .add_columns(Station, Location, QrSettings)
        .join(QrSettings, QrSettings.operator_id == Evse.operator_id)
        .outerjoin(Location, Location.id == Station.location_id)
        .where(Evse.bare_code == code)
        .order_by(Evse.retired, Station.decommissioned_at.desc())
        .limit(HELD_MAX)
    )
    if host is not None:
        query = query.where(QrSettings.domain == host)
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        return (await db.execute(query)).all()


@router.get("/v1/qr/{code}/{tag}", summary="What a scanned QR code is of")
async def read_scanned(code: str, tag: str, request: Request, response: Response) -> PublicEvseOut:
    """For apps and the pay page, before anybody pays. Nothing is told of people or sessions."""
    response.headers["Cache-Control"] = "no-store"
    evse, location, settings = await _genuine(request, code, tag)
    return PublicEvseOut(
        evse_code=evse.code or "",
        operator_id=evse.operator_id,
        brand=settings.brand,
        domain=settings.domain,
        location=PublicPlaceOut.model_validate(location) if location else None,
        max_power_w=evse.max_power_w,
        connectors=[Connector.model_validate(one) for one in evse.connectors],
    )


@router.get(
    "/q/{code}/{tag}",
    summary="A QR code's own link: to the pay page, or a page that warns",
    response_class=Response,
    responses=_HTML,
)
async def follow(code: str, tag: str, request: Request) -> Response:
    """Only under the operator's own domain; phones with the app open that instead."""
    host = host_of(request)
    try:
        evse, _, settings = await _genuine(request, code, tag, host=host)
    except (QrCodeUnknown, QrCodeSuperseded, EvseOutOfService) as refusal:
        row = await _of_host(request, host)
        language = preferred(request.headers.get("accept-language", ""))
        page = pages.html(_PAGES[type(refusal)], language, row.brand if row else None)
        headers = pages.HEADERS | {"Content-Language": language}
        return HTMLResponse(page, refusal.status, headers)
    to = httpx.URL(settings.pay_url).copy_merge_params({"evse": evse.code or "", "tag": tag})
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(str(to), 302, headers)


async def _of_host(request: Request, host: str) -> QrSettings | None:
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        row: QrSettings | None = await db.scalar(
            select(QrSettings).where(QrSettings.domain == host)
        )
    return row


@router.get(
    "/.well-known/apple-app-site-association",
    summary="Which apps open the links of this domain on iOS",
    response_class=JSONResponse,
)
async def apple_apps(request: Request) -> JSONResponse:
    """By the host that is asked. Source: Apple, Supporting associated domains."""
    row = await _of_host(request, host_of(request))
    if row is None or not row.apple_apps:
        raise NotFound("no app for iOS is set for this domain")
    paths = [{"/": "/q/*", "comment": "QR codes of charge points"}]
    links = {"details": [{"appIDs": row.apple_apps, "components": paths}]}
    return JSONResponse({"applinks": links}, headers=APPS_CACHED)


@router.get(
    "/.well-known/assetlinks.json",
    summary="Which apps open the links of this domain on Android",
    response_class=JSONResponse,
)
async def android_apps(request: Request) -> JSONResponse:
    """By the host that is asked. Source: Digital Asset Links, statement lists."""
    row = await _of_host(request, host_of(request))
    if row is None or not row.android_apps:
        raise NotFound("no app for Android is set for this domain")
    statements = [
        {
            "relation": ["delegate_permission/common.handle_all_urls"],
            "target": {
                "namespace": "android_app",
                "package_name": app["package"],
                "sha256_cert_fingerprints": app["fingerprints"],
            },
        }
        for app in row.android_apps
    ]
    return JSONResponse(statements, headers=APPS_CACHED)
