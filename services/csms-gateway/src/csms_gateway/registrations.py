"""Whether a station may work: staff hold it for provisioning, release it or turn it away.

It takes effect with the station's next BootNotification, for only by its answer does a station
learn of it (2.0.1, B02.FR.09); one that is in the middle of a session is not cut off. Trigger a
BootNotification to have it at once; a rejected station asks again by itself.
"""

from typing import Annotated, Final, get_args

from fastapi import APIRouter, Body, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import scoped
from common.database import Db
from common.problems import NotFound
from common.versions import ExpectedIfSaid, require, tag
from csms_gateway import connections, tables
from csms_gateway.standing import Registration

router = APIRouter(tags=["registrations"])

# One word is all that staff edit, so it is its own version: who read "pending" may change that,
# whoever set it and how often.
VERSIONS: Final[dict[str, int]] = {
    word: number for number, word in enumerate(get_args(Registration), 1)
}


class NoSuchStation(NotFound):
    title = "No such station"


class RegistrationIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    registration: Registration


class RegistrationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    station_id: str
    registration: Registration = Field(description="what its next BootNotification is answered")
    boot_answer: Registration = Field(description="what its newest BootNotification was answered")


@router.get(
    "/v1/stations/{station_id}/registration",
    summary="Whether a station may work",
    dependencies=[scoped("stations:read")],
)
async def get_registration(
    station_id: connections.StationPath, db: Db, response: Response
) -> RegistrationOut:
    row = await _station(db, station_id)
    tag(response, VERSIONS[row.registration])
    return RegistrationOut.model_validate(row)


@router.patch(
    "/v1/stations/{station_id}/registration",
    summary="Hold a station for provisioning, reject or accept it",
    dependencies=[scoped("stations:write")],
)
async def change_registration(
    station_id: connections.StationPath,
    body: Annotated[RegistrationIn, Body()],
    db: Db,
    expected: ExpectedIfSaid,
    response: Response,
) -> RegistrationOut:
    """From the station's next BootNotification on. While pending it answers commands, but starts
    and stops no session; while rejected nothing is sent to it.
    """
    row = await _station(db, station_id, lock=True)
    require(expected, VERSIONS[row.registration])
    row.registration = body.registration
    await db.flush()
    tag(response, VERSIONS[row.registration])
    return RegistrationOut.model_validate(row)


async def _station(db: AsyncSession, station_id: str, *, lock: bool = False) -> tables.Station:
    """Raises NoSuchStation."""
    row = await db.get(tables.Station, station_id, with_for_update=lock or None)
    if row is None:
        raise NoSuchStation(f"there is no station {station_id!r}")
    return row
