"""What an operator sets for its QR codes: the domain they are under, and where they lead.

Who may change it decides where drivers pay, so its scope is that of the operator's settings.
"""

import asyncio
import re
import secrets
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import sealed, single, versions
from common.auth import Caller, scoped
from common.clock import AnyMoment, now
from common.database import Db
from common.fields import Body, Line
from common.outbound import check_url
from common.problems import NotFound, Problem
from common.refusals import refusing
from common.versions import ExpectedIfSaid
from registry.qr import labels, logos
from registry.qr.layouts import LayoutName
from registry.tables import QrLogo, QrSettings

router = APIRouter(tags=["qr"])

reads = scoped("settings:read")
writes = scoped("settings:write")

PATH: Final = "/v1/qr-settings"
DOMAIN_MAX: Final = 60  # printed beside the code, to be compared by eye
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE: Final[dict[str, Any]] = {
    kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/jpeg")
}
_SENT: Final = {"requestBody": {"required": True, "content": _IMAGE}}
_PNG: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"image/png": {}}}}


class DomainTaken(Problem):
    status = 409
    title = "Another operator has this domain"


class PayUrlNotGood(Problem):
    status = 422
    title = "This is no address of a pay page"


class LabelLogoTooLarge(Problem):
    status = 413
    title = "The logo is too large"


class NotALabelLogo(Problem):
    status = 415
    title = "A logo for labels is a PNG or JPEG image"


class NoQrSettings(Problem):
    status = 409
    title = "The operator's QR codes are not set up"


def _host_name(domain: str) -> str:
    parts = domain.split(".")
    if not all(map(_LABEL.fullmatch, parts)):
        raise ValueError("a domain has letters, digits, hyphens and dots, and nothing else")
    if any(part.startswith("xn--") for part in parts):
        # It is printed in clear to be compared by eye, and many scripts' letters look alike.
        raise ValueError("a domain in other letters (xn--) cannot be compared by eye")
    if len(parts) < 2 or parts[-1].isdigit():
        raise ValueError("a domain is a host's full name, as qr.example.org")
    return domain


def _can_be_printed(brand: str) -> str:
    if missing := labels.unprintable(brand):
        raise ValueError(f"the labels' font does not have {''.join(sorted(missing))}")
    return brand


Domain = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, max_length=DOMAIN_MAX),
    AfterValidator(_host_name),
    Field(description="of the links, https on port 443; short", examples=["qr.example.org"]),
]
AppleApp = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Z0-9]{10}\.[A-Za-z0-9-]{1,100}(\.[A-Za-z0-9-]{1,100}){0,9}$"),
    Field(description="team id and bundle id", examples=["A1B2C3D4E5.org.example.charge"]),
]
Fingerprint = Annotated[
    str,
    StringConstraints(to_upper=True, pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}$"),
    Field(description="SHA-256 of the certificate that the app is signed with"),
]


class AndroidApp(Body):
    package: Annotated[
        str,
        StringConstraints(
            max_length=200, pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$"
        ),
    ] = Field(examples=["org.example.charge"])
    fingerprints: Annotated[list[Fingerprint], Field(min_length=1, max_length=10)]


class QrSettingsIn(Body):
    domain: Domain
    pay_url: Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[!-~]+$")] = (
        Field(
            description="where a code leads without the app; evse and tag are added as parameters",
            examples=["https://pay.example.org/"],
        )
    )
    brand: Annotated[Line, StringConstraints(max_length=60), AfterValidator(_can_be_printed)] = (
        Field(description="whom drivers know the operator as; on labels and warnings")
    )
    apple_apps: Annotated[list[AppleApp], Field(max_length=10)] = Field(default=[])
    android_apps: Annotated[list[AndroidApp], Field(max_length=10)] = Field(default=[])
    layout: LayoutName = Field(default="a4-3x8-70x36", description="of label sheets, unless said")

    @model_validator(mode="after")
    def _elsewhere(self) -> Self:
        host = re.split(r"[/?#:]", self.pay_url.partition("://")[2])[0]
        if host.lower().rstrip(".") == self.domain and "/q/" in self.pay_url:
            raise ValueError("the pay page would be a code's own link")
        return self


class QrSettingsOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    version: int
    domain: str
    pay_url: str
    brand: str
    apple_apps: list[str]
    android_apps: list[AndroidApp]
    layout: LayoutName


class QrLogoOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    width: int
    height: int
    changed_at: AnyMoment


async def of_operator(db: AsyncSession, operator_id: UUID) -> QrSettings:
    """Raises NoQrSettings."""
    row = await _if_any(db, operator_id)
    if row is None:
        raise NoQrSettings(f"set domain and pay page first: PUT {PATH}")
    return row


async def logo_of(db: AsyncSession, operator_id: UUID) -> bytes | None:
    """A PNG."""
    image = select(QrLogo.image).where(QrLogo.operator_id == operator_id)
    return (await db.scalars(image)).one_or_none()


async def _if_any(db: AsyncSession, operator_id: UUID) -> QrSettings | None:
    query = select(QrSettings).where(QrSettings.operator_id == operator_id)
    return (await db.scalars(query)).one_or_none()


@router.get(PATH, summary="My QR codes' domain and where they lead", dependencies=[reads])
async def read_qr_settings(db: Db, caller: Caller, response: Response) -> QrSettingsOut:
    row = await _if_any(db, caller.tenant())
    if row is None:
        raise NotFound("the operator's QR codes are not set up")
    return QrSettingsOut.model_validate(single.tagged(response, row))


@router.put(PATH, summary="Set my QR codes' domain and where they lead", dependencies=[writes])
async def set_qr_settings(
    body: QrSettingsIn,
    expected: ExpectedIfSaid,
    db: Db,
    caller: Caller,
    request: Request,
    response: Response,
) -> QrSettingsOut:
    """Codes that are printed lead to their domain: after a change of it they are to be printed
    again. The key of their tags is made the first time, and stays.
    """
    _look_at(request, body.pay_url)
    operator_id = caller.tenant()
    values = body.model_dump()
    present = await _if_any(db, operator_id)
    refusals: dict[str, Problem] = {
        "uq_qr_settings_domain": DomainTaken(f"{body.domain} is in use on this platform"),
        "uq_qr_settings_operator_id": versions.changed(1),
    }
    with refusing(refusals):
        if present is not None:
            row = await single.change(db, QrSettings, present.id, expected, values)
        else:
            key = sealed.sealer(request).seal(secrets.token_bytes(32))
            row = QrSettings(operator_id=operator_id, sealed_key=key, **values)
            db.add(row)
            await db.flush()
    return QrSettingsOut.model_validate(single.tagged(response, row))


def _look_at(request: Request, pay_url: str) -> None:
    """Raises PayUrlNotGood."""
    try:
        check_url(pay_url, request.app.state.parts.settings.allow_private_endpoints)
    except ValueError as error:
        raise PayUrlNotGood(str(error)) from error
    if "#" in pay_url:
        raise PayUrlNotGood("it has no # in it: code and tag are added as parameters")


@router.get(
    f"{PATH}/logo",
    summary="The logo on my labels",
    response_class=Response,
    responses=_PNG,
    dependencies=[reads],
)
async def read_qr_logo(db: Db, caller: Caller) -> Response:
    png = await logo_of(db, caller.tenant())
    if png is None:
        raise NotFound("there is no logo for labels")
    return Response(png, media_type="image/png", headers={"X-Content-Type-Options": "nosniff"})


@router.put(
    f"{PATH}/logo", summary="Set the logo on my labels", dependencies=[writes], openapi_extra=_SENT
)
async def set_qr_logo(request: Request, db: Db, caller: Caller) -> QrLogoOut:
    """The body is the image: PNG or JPEG, at most 1 MiB and 4096 pixels a side. It is kept on
    white, and no larger than labels need.
    """
    try:
        logo = await asyncio.to_thread(logos.of, await _body(request))
    except ValueError as error:
        raise NotALabelLogo(str(error)) from error
    values = {
        "operator_id": caller.tenant(),
        "image": logo.png,
        "width": logo.width,
        "height": logo.height,
        "changed_at": now(),
    }
    put = insert(QrLogo).values(values)
    put = put.on_conflict_do_update(index_elements=[QrLogo.operator_id], set_=values)
    row = (await db.scalars(put.returning(QrLogo))).one()
    return QrLogoOut.model_validate(row)


@router.delete(
    f"{PATH}/logo", status_code=204, summary="Labels without a logo", dependencies=[writes]
)
async def remove_qr_logo(db: Db, caller: Caller) -> None:
    await db.execute(delete(QrLogo).where(QrLogo.operator_id == caller.tenant()))


async def _body(request: Request) -> bytes:
    """Raises LabelLogoTooLarge before more of it than that is in memory."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > logos.BYTES_MAX:
            raise LabelLogoTooLarge(f"at most {logos.BYTES_MAX // 1024} KiB")
    return bytes(data)
