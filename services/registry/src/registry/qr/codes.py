"""The QR code of an EVSE: its link, its images, and issuing it again.

A QR code is of an EVSE code and not of a piece of hardware: a charger that is replaced, or a code
that moves to another station of the operator, keeps what is printed. An EVSE code that goes to
another operator has other tags there.
"""

from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import sealed, versions
from common.auth import scoped
from common.clock import AnyMoment, now
from common.database import Db
from common.problems import NotFound
from common.versions import ExpectedIfSaid
from registry.hardware.stations import StationDecommissioned
from registry.qr import drawing, links, settings
from registry.qr.drawing import Correction
from registry.tables import Evse, QrRevision, Station

router = APIRouter(prefix="/v1/evses", tags=["qr"])

reads = scoped("stations:read")
writes = scoped("stations:write")

REVISION_MAX: Final = 1_000_000
CODE_MAX: Final = 80  # with whatever separators


Code = Annotated[
    str,
    Path(
        max_length=CODE_MAX,
        description="the EVSE code, with or without separators, in either case",
        examples=["DE*ABC*E1234"],
    ),
]
QuietZone = Annotated[int, Query(ge=drawing.QUIET_ZONE, le=20, description="white modules around")]
SizePx = Annotated[int, Query(ge=100, le=4000, description="the image's side at most")]
Level = Annotated[Correction, Query(description="how much of it may be dirty: 7, 15, 25 or 30 %")]


class QrCodeOut(BaseModel):
    evse_code: str
    station_id: str
    evse_id: int
    link: str = Field(description="what the QR code says")
    revision: int = Field(description="grows when the code is issued again")
    reissued_at: AnyMoment | None


class Issued(NamedTuple):
    """An EVSE, and which revision of its code is good."""

    evse: Evse
    revision: int
    reissued_at: AnyMoment | None


def query() -> Any:
    """EVSEs with their stations and their codes' revisions, also of stations taken down."""
    revision_of = (QrRevision.operator_id == Evse.operator_id) & (QrRevision.code == Evse.bare_code)
    station_of = (Station.operator_id == Evse.operator_id) & (Station.id == Evse.station_id)
    return (
        select(Evse, QrRevision.revision, QrRevision.reissued_at)
        .join(Station, station_of)
        .outerjoin(QrRevision, revision_of)
    )


def issued(row: Any) -> Issued:
    evse, revision, reissued_at = row
    return Issued(evse, revision or 1, reissued_at)


async def find(db: AsyncSession, code: str) -> Issued:
    """Raises NotFound or StationDecommissioned."""
    wanted = links.stripped(code)
    with_code = query().where(Evse.bare_code == wanted)
    # What stands first: a code may have been on stations that were taken down.
    row = (await db.execute(with_code.order_by(Evse.retired).limit(1))).one_or_none()
    if not wanted or row is None:
        raise NotFound("no EVSE has this code")
    if row[0].retired:
        raise StationDecommissioned("nobody charges there", station_id=row[0].station_id)
    return issued(row)


class Stamp(NamedTuple):
    """What makes an operator's links."""

    domain: str
    key: bytes

    def link(self, operator_id: UUID, code: str, revision: int) -> str:
        tag = links.tag(self.key, operator_id, code, revision)
        return links.link(self.domain, code, tag)


async def stamp(request: Request, db: AsyncSession, operator_id: UUID) -> Stamp:
    """Raises NoQrSettings."""
    row = await settings.of_operator(db, operator_id)
    return Stamp(row.domain, sealed.opened(request, row.sealed_key))


async def _told(request: Request, response: Response, db: AsyncSession, one: Issued) -> QrCodeOut:
    code, operator_id = str(one.evse.code), one.evse.operator_id
    made = await stamp(request, db, operator_id)
    versions.tag(response, one.revision)
    return QrCodeOut(
        evse_code=code,
        station_id=one.evse.station_id,
        evse_id=one.evse.evse_id,
        link=made.link(operator_id, code, one.revision),
        revision=one.revision,
        reissued_at=one.reissued_at,
    )


async def _symbol(
    request: Request, db: AsyncSession, code: str, error_correction: Correction
) -> tuple[Any, str]:
    """And the name of a file of it."""
    one = await find(db, code)
    made = await stamp(request, db, one.evse.operator_id)
    said = made.link(one.evse.operator_id, str(one.evse.code), one.revision)
    return drawing.symbol(said, error_correction), f"qr-{links.stripped(str(one.evse.code))}"


def _file(image: bytes, media_type: str, name: str) -> Response:
    headers = {
        "Content-Disposition": f'inline; filename="{name}"',
        "Cache-Control": "private, no-cache",  # a code that was issued again looks otherwise
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    return Response(image, media_type=media_type, headers=headers)


@router.get("/{code}/qr", summary="An EVSE's QR code", dependencies=[reads])
async def read_qr(code: Code, db: Db, request: Request, response: Response) -> QrCodeOut:
    return await _told(request, response, db, await find(db, code))


@router.post(
    "/{code}/qr/reissue",
    summary="Issue an EVSE's QR code again; the old one is no longer good",
    dependencies=[writes],
)
async def reissue_qr(
    code: Code, expected: ExpectedIfSaid, db: Db, request: Request, response: Response
) -> QrCodeOut:
    """If-Match with the revision that is to be replaced makes it safe to send again."""
    one = await find(db, code)
    versions.require(expected, one.revision)
    key = {"operator_id": one.evse.operator_id, "code": links.stripped(str(one.evse.code))}
    put = insert(QrRevision).values(**key, revision=2, reissued_at=now())
    raised = {"revision": QrRevision.revision + 1, "reissued_at": put.excluded.reissued_at}
    put = put.on_conflict_do_update(
        index_elements=[QrRevision.operator_id, QrRevision.code],
        set_=raised,
        # In the statement itself: of two that replace one revision only one finds it.
        where=QrRevision.revision < REVISION_MAX
        if expected is None
        else QrRevision.revision.in_(expected),
    )
    row = (await db.scalars(put.returning(QrRevision))).one_or_none()
    if row is None:
        raise versions.changed((await find(db, code)).revision)
    return await _told(request, response, db, Issued(one.evse, row.revision, row.reissued_at))


@router.get(
    "/{code}/qr.svg",
    summary="An EVSE's QR code as SVG",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}},
    dependencies=[reads],
)
async def read_qr_svg(
    code: Code,
    db: Db,
    request: Request,
    error_correction: Level = "M",
    quiet_zone: QuietZone = drawing.QUIET_ZONE,
) -> Response:
    drawn, name = await _symbol(request, db, code, error_correction)
    return _file(drawing.svg(drawn, quiet_zone), "image/svg+xml", f"{name}.svg")


@router.get(
    "/{code}/qr.png",
    summary="An EVSE's QR code as PNG",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
    dependencies=[reads],
)
async def read_qr_png(
    code: Code,
    db: Db,
    request: Request,
    size_px: SizePx = 1000,
    error_correction: Level = "M",
    quiet_zone: QuietZone = drawing.QUIET_ZONE,
) -> Response:
    """Modules are whole pixels, so the image may be somewhat smaller than it may be."""
    drawn, name = await _symbol(request, db, code, error_correction)
    return _file(drawing.png(drawn, size_px, quiet_zone), "image/png", f"{name}.png")
