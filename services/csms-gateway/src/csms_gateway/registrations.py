"""Whether a station may work: staff hold it for provisioning, release it or turn it away.

It takes effect with the station's next BootNotification, for only by its answer does a station
learn of it (2.0.1, B02.FR.09); one that is in the middle of a session is not cut off. Trigger a
BootNotification to have it at once; a rejected station asks again by itself.
"""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import scoped
from common.database import Db
from common.problems import NotFound
from csms_gateway import connections, tables
from csms_gateway.standing import Registration

router = APIRouter(tags=["registrations"])


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
async def get_registration(station_id: connections.StationPath, db: Db) -> RegistrationOut:
    return _out(station_id, await db.get(tables.Station, station_id))


@router.patch(
    "/v1/stations/{station_id}/registration",
    summary="Hold a station for provisioning, reject or accept it",
    dependencies=[scoped("stations:write")],
)
async def change_registration(
    station_id: connections.StationPath, body: Annotated[RegistrationIn, Body()], db: Db
) -> RegistrationOut:
    """From the station's next BootNotification on. While pending it answers commands, but starts
    and stops no session; while rejected nothing is sent to it.
    """
    return _out(station_id, await _changed(db, station_id, body.registration))


async def _changed(
    db: AsyncSession, station_id: str, registration: Registration
) -> tables.Station | None:
    of_it = update(tables.Station).where(tables.Station.station_id == station_id)
    found: tables.Station | None = await db.scalar(
        of_it.values(registration=registration).returning(tables.Station)
    )
    return found


def _out(station_id: str, row: tables.Station | None) -> RegistrationOut:
    if row is None:
        raise NoSuchStation(f"there is no station {station_id!r}")
    return RegistrationOut.model_validate(row)
