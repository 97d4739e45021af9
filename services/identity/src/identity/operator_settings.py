"""An operator's own settings, its logo, and what of it anybody may know."""

import hashlib
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import images, single, uploads
from common.auth import Caller, scoped
from common.clock import AnyMoment, now
from common.database import Connections, Db
from common.problems import NotFound, Problem
from common.refusals import refusing
from common.uploads import IMAGE_ANSWERED, IMAGE_SENT
from common.versions import Expected
from identity import operators
from identity.operators import OperatorOut, SettingsPatch
from identity.policies import Policies
from identity.refusals import UnknownOperator
from identity.tables import OidcProvider, Operator, OperatorLogo

router = APIRouter(prefix="/v1", tags=["settings"])

reads = scoped("settings:read")
writes = scoped("settings:write")

LOGO_BYTES_MAX: Final = 256 * 1024


class LogoTooLarge(Problem):
    status = 413
    title = "The logo is too large"


class NotALogo(Problem):
    status = 415
    title = "A logo is a PNG, JPEG or WebP image"


class LogoOut(BaseModel):
    media_type: str
    width: int
    height: int
    changed_at: AnyMoment
    url: str


class PublicOperatorOut(BaseModel):
    id: UUID
    name: str
    languages: list[str] = Field(description="the first is the default")
    website: str | None
    email: str | None = Field(description="for help")
    phone: str | None = Field(description="for help")
    logo_url: str | None
    registration: bool = Field(description="whether people may register as drivers")
    provider: bool = Field(description="whether staff sign in by the operator's own provider")


@router.get("/settings", summary="My operator", dependencies=[reads])
async def read_settings(db: Db, caller: Caller, response: Response) -> OperatorOut:
    row = await single.get(db, Operator, caller.tenant())
    return OperatorOut.model_validate(single.tagged(response, row))


@router.patch("/settings", summary="Change my operator", dependencies=[writes])
async def change_settings(
    body: SettingsPatch, expected: Expected, db: Db, caller: Caller, response: Response
) -> OperatorOut:
    return await operators.change(db, caller.tenant(), body, expected, response)


@router.get("/settings/logo", summary="About my operator's logo", dependencies=[reads])
async def read_logo_facts(db: Db, caller: Caller) -> LogoOut:
    return _told(await _logo(db, caller.tenant()))


@router.put(
    "/settings/logo", summary="Set the logo", dependencies=[writes], openapi_extra=IMAGE_SENT
)
async def set_logo(request: Request, db: Db, caller: Caller) -> LogoOut:
    """The body is the image: PNG, JPEG or WebP, at most 256 KiB and 4096 pixels a side."""
    too_large = LogoTooLarge(f"at most {LOGO_BYTES_MAX // 1024} KiB")
    data = await uploads.body(request, LOGO_BYTES_MAX, too_large)
    try:
        image = images.of(data)
    except ValueError as error:
        raise NotALogo(str(error)) from error
    values = {
        "operator_id": caller.tenant(),
        "image": data,
        **image._asdict(),
        "digest": hashlib.sha256(data).hexdigest()[:32],
        "changed_at": now(),
    }
    put = insert(OperatorLogo).values(values)
    put = put.on_conflict_do_update(index_elements=[OperatorLogo.operator_id], set_=values)
    unknown = UnknownOperator("no operator has the id in Operator-Id")
    with refusing({"fk_operator_logo_operator_id": unknown}):
        row = (await db.scalars(put.returning(OperatorLogo))).one()
    return _told(row)


@router.delete("/settings/logo", status_code=204, summary="Remove the logo", dependencies=[writes])
async def remove_logo(db: Db, caller: Caller) -> None:
    await db.execute(delete(OperatorLogo).where(OperatorLogo.operator_id == caller.tenant()))


@router.get("/public/operators/{operator_id}", summary="What anybody may know of an operator")
async def read_public(operator_id: UUID, request: Request) -> PublicOperatorOut:
    connections: Connections = request.app.state.connections
    async with connections.begin(operator_id) as db:
        row = await single.get(db, Operator, operator_id)
        mine = OperatorLogo.operator_id == operator_id
        digest = await db.scalar(select(OperatorLogo.digest).where(mine))
        on = (OidcProvider.operator_id == operator_id, OidcProvider.active)
        provider = await db.scalar(select(OidcProvider.id).where(*on))
    kind = Policies.model_validate(row.policies).driver_registration
    return PublicOperatorOut(
        **{name: getattr(row, name) for name in ("id", "name", "languages", "website")},
        email=row.email,
        phone=row.phone,
        logo_url=_url(operator_id, digest) if digest else None,
        registration=row.active and kind != "closed",
        provider=row.active and provider is not None,
    )


@router.get(
    "/public/operators/{operator_id}/logo",
    summary="An operator's logo",
    response_class=Response,
    responses=IMAGE_ANSWERED,
)
async def read_logo(
    operator_id: UUID,
    request: Request,
    if_none_match: Annotated[str | None, Header(max_length=400)] = None,
) -> Response:
    connections: Connections = request.app.state.connections
    async with connections.begin(operator_id) as db:
        row = await _logo(db, operator_id)
    return uploads.image(row.image, row.media_type, row.digest, if_none_match)


async def _logo(db: AsyncSession, operator_id: UUID) -> OperatorLogo:
    row = await db.get(OperatorLogo, operator_id)
    if row is None:
        raise NotFound("the operator has no logo")
    return row


def _told(row: OperatorLogo) -> LogoOut:
    return LogoOut(
        media_type=row.media_type,
        width=row.width,
        height=row.height,
        changed_at=row.changed_at,
        url=_url(row.operator_id, row.digest),
    )


def _url(operator_id: UUID, digest: str) -> str:
    return f"/v1/public/operators/{operator_id}/logo?v={digest[:8]}"
