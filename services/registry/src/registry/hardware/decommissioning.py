"""Stations that are taken down for good: history stays, their EVSE codes may be others'."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AfterValidator
from sqlalchemy import update

from common import clock
from common.auth import scoped
from common.database import Db
from common.fields import Body, Line
from common.problems import Problem
from common.refusals import refusing
from common.versions import tag
from registry import tables
from registry.fields import StationId
from registry.hardware import stations
from registry.hardware.stations import EvseCodeTaken, StationDecommissioned, StationOut

router = APIRouter(prefix="/v1/stations", tags=["stations"])

writes = scoped("stations:write")


class StationStands(Problem):
    status = 409
    title = "The station is not decommissioned"


def _past(moment: datetime) -> datetime:
    if moment > clock.now():
        raise ValueError("is to come; decommission it then")
    return moment


class DecommissionIn(Body):
    reason: Line
    at: Annotated[clock.Moment, AfterValidator(_past)] | None = None


@router.post("/{station_id}/decommission", summary="Take a station down", dependencies=[writes])
async def decommission_station(
    station_id: StationId, body: DecommissionIn, db: Db, response: Response
) -> StationOut:
    """It may not connect from now on. What is known of it stays, with its EVSE codes, which may be
    given to the EVSEs of another station.
    """
    row = await stations.find(db, station_id, lock=True)
    if row.decommissioned_at is not None:
        raise StationDecommissioned("it is already", since=str(row.decommissioned_at))
    row.active = False
    row.decommissioned_at, row.decommission_reason = body.at or clock.now(), body.reason
    await _retire(db, row, retired=True)
    row = await stations.told(db, row)
    tag(response, row.version)
    return StationOut.model_validate(row)


@router.post(
    "/{station_id}/reactivate", summary="Put a decommissioned station up", dependencies=[writes]
)
async def reactivate_station(station_id: StationId, db: Db, response: Response) -> StationOut:
    """Refused if one of its EVSE codes was given to another: change the codes first."""
    row = await stations.find(db, station_id, lock=True)
    if row.decommissioned_at is None:
        raise StationStands("there is nothing to reactivate")
    row.active = True
    row.decommissioned_at = row.decommission_reason = None
    codes = [evse.code for evse in row.evses if evse.code]
    with refusing({"uq_evse_code": EvseCodeTaken("another EVSE has one by now", codes=codes)}):
        await _retire(db, row, retired=False)
    row = await stations.told(db, row)
    tag(response, row.version)
    return StationOut.model_validate(row)


async def _retire(db: Db, row: tables.Station, *, retired: bool) -> None:
    mine = {"operator_id": row.operator_id, "station_id": row.id}
    await db.execute(update(tables.Evse).filter_by(**mine).values(retired=retired))
