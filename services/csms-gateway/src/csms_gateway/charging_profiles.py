"""Charging profiles by REST: named ones to send anywhere, and what is installed on a station."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging
from common.auth import Caller, scoped
from common.database import Db
from common.problems import NotFound, Problem
from common.versions import Expected, require, tag
from csms_gateway import tables
from csms_gateway.commands.charging_profile import ProfileBody
from csms_gateway.commands.kinds import Name
from csms_gateway.connections import StationPath

router = APIRouter(prefix="/v1", tags=["charging profiles"])


class ChargingProfileNameTaken(Problem):
    status = 409
    title = "Another charging profile has this name"


class AnotherIsForEvs(Problem):
    status = 409
    title = "Another charging profile is for EVs already"


class NoLimitForEvs(Problem):
    status = 422
    title = "What EVs are offered is a limit at every time"


REFUSALS = {
    "uq_charging_profile_operator_id_name": ChargingProfileNameTaken,
    "uq_charging_profile_for_evs": AnotherIsForEvs,
}

ForEvs = Annotated[
    bool,
    Field(
        description="the most that EVs which tell their needs (ISO 15118) are offered; one profile "
        "of an operator may be"
    ),
]


class NamedProfileIn(ProfileBody):
    name: Name
    for_evs: ForEvs = False


class NamedProfilePatch(BaseModel):
    """What is left out stays; a profile is changed as a whole."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    for_evs: ForEvs | None = None
    profile: ProfileBody | None = None


class NamedProfileOut(ProfileBody):
    id: UUID
    version: int
    name: str
    for_evs: bool


def _out(row: tables.ChargingProfile) -> NamedProfileOut:
    return NamedProfileOut(
        id=row.id, version=row.version, name=row.name, for_evs=row.for_evs, **row.profile
    )


def _dumped(profile: ProfileBody) -> dict[str, Any]:
    return profile.model_dump(
        mode="json", exclude_none=True, include=set(ProfileBody.model_fields)
    )  # fmt: skip


@contextmanager
def _refusing(row: tables.ChargingProfile) -> Iterator[None]:
    periods = (one for schedule in row.profile["schedules"] for one in schedule["periods"])
    if row.for_evs and any(period.get("limit") is None for period in periods):
        raise NoLimitForEvs("a profile for EVs has a limit in each period")
    try:
        yield
    except IntegrityError as error:
        # The adapter keeps asyncpg's own exception, which knows the constraint, as its cause.
        violated = getattr(error.orig, "__cause__", None)
        refusal = REFUSALS.get(getattr(violated, "constraint_name", None) or "")
        if refusal is None:
            raise
        raise refusal("choose another, or change that one") from error


async def _found(db: AsyncSession, id: UUID, *, lock: bool = False) -> tables.ChargingProfile:  # noqa: A002 - as the member
    row = await db.get(tables.ChargingProfile, id, with_for_update=lock or None)
    if row is None:
        raise NotFound(f"no charging profile {id}")
    return row


@router.post(
    "/charging-profiles",
    summary="Keep a charging profile under a name",
    status_code=201,
    dependencies=[scoped("commands:write")],
)
async def make_charging_profile(
    body: NamedProfileIn, db: Db, caller: Caller, response: Response
) -> NamedProfileOut:
    """Sent by the command set_charging_profile with profile_name."""
    row = tables.ChargingProfile(
        operator_id=caller.tenant(), name=body.name, for_evs=body.for_evs, profile=_dumped(body),
        version=1,
    )  # fmt: skip
    db.add(row)
    with _refusing(row):
        await db.flush()
    tag(response, row.version)
    return _out(row)


@router.get(
    "/charging-profiles",
    summary="The named charging profiles",
    dependencies=[scoped("commands:read")],
)
async def list_charging_profiles(
    db: Db,
    name: Annotated[str | None, Query(max_length=50)] = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[NamedProfileOut]:
    query = select(tables.ChargingProfile)
    if name is not None:
        query = query.where(tables.ChargingProfile.name == name)
    rows, after = await paging.rows(
        db, query, tables.ChargingProfile.id, limit=limit, cursor=cursor
    )
    return paging.Page(items=[_out(row) for row in rows], next_cursor=after)


@router.get(
    "/charging-profiles/{id}",
    summary="One named charging profile",
    dependencies=[scoped("commands:read")],
)
async def get_charging_profile(id: UUID, db: Db, response: Response) -> NamedProfileOut:  # noqa: A002 - as the member
    row = await _found(db, id)
    tag(response, row.version)
    return _out(row)


@router.patch(
    "/charging-profiles/{id}",
    summary="Change a named charging profile",
    dependencies=[scoped("commands:write")],
)
async def change_charging_profile(
    id: UUID,  # noqa: A002 - as the member
    body: NamedProfilePatch,
    expected: Expected,
    db: Db,
    response: Response,
) -> NamedProfileOut:
    """Stations keep what they were sent until it is sent again."""
    row = await _found(db, id, lock=True)
    require(expected, row.version)
    wanted = (
        row.name if body.name is None else body.name,
        row.for_evs if body.for_evs is None else body.for_evs,
        row.profile if body.profile is None else _dumped(body.profile),
    )
    if wanted != (row.name, row.for_evs, row.profile):
        row.name, row.for_evs, row.profile = wanted
        row.version += 1
        with _refusing(row):
            await db.flush()
    tag(response, row.version)
    return _out(row)


@router.delete(
    "/charging-profiles/{id}",
    summary="Forget a named charging profile",
    status_code=204,
    dependencies=[scoped("commands:write")],
)
async def forget_charging_profile(id: UUID, db: Db) -> None:  # noqa: A002 - as the member
    """Stations keep what they were sent."""
    await db.delete(await _found(db, id, lock=True))


class InstalledProfileOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    profile_id: int
    evse_id: int = Field(description="0: the whole station")
    stack_level: int
    purpose: str = Field(examples=["station_max", "station_external", "tx_default", "tx"])
    session_id: UUID | None = Field(description="of a tx profile")
    valid_from: AwareDatetime | None
    valid_to: AwareDatetime | None
    source: str = Field(description="CSO: set by us; EMS, SO, Other: as the station reported")
    profile: dict[str, Any] = Field(description="as the station's version of OCPP has it")
    told_at: datetime = Field(description="when the station last told of it")


@router.get(
    "/stations/{station_id}/charging-profiles",
    summary="The charging profiles on a station, as far as known",
    dependencies=[scoped("commands:read")],
)
async def list_installed_profiles(
    station_id: StationPath,
    db: Db,
    evse_id: Annotated[int | None, Query(ge=0, le=1000)] = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[InstalledProfileOut]:
    """From the station's answers and reports; the command get_charging_profiles asks it anew."""
    profile = tables.InstalledChargingProfile
    running = select(tables.Transaction.session_id).where(
        tables.Transaction.station_id == station_id, tables.Transaction.ended_at.is_(None)
    )
    # A tx profile ends with its session (OCPP 2.0.1, 3.2), and nobody tells of it.
    query = select(profile).where(
        profile.station_id == station_id,
        or_(profile.session_id.is_(None), profile.session_id.in_(running)),
    )
    if evse_id is not None:
        query = query.where(profile.evse_id == evse_id)
    rows, after = await paging.rows(db, query, profile.profile_id, limit=limit, cursor=cursor)
    items = [InstalledProfileOut.model_validate(row) for row in rows]
    return paging.Page(items=items, next_cursor=after)
