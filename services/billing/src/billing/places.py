"""The places that agreements and strategies name: the operator has them."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.places import PlaceIn
from common.problems import Problem


class UnknownStation(Problem):
    status = 422
    title = "The operator has no such station or station group"


class UnknownLocation(Problem):
    status = 422
    title = "The operator has no such location"


async def check_places(db: AsyncSession, operator_id: UUID, places: Iterable[PlaceIn]) -> None:
    """Raises UnknownStation, UnknownLocation."""
    named = list(places)
    stations = {place.id for place in named if place.kind == "station"}
    there = select(tables.Station.station_id).where(
        tables.Station.operator_id == operator_id, tables.Station.station_id.in_(stations)
    )
    if stations and (nowhere := stations - set(await db.scalars(there))):
        raise UnknownStation(f"no station has the id {min(nowhere, key=str)}")
    groups = {UUID(place.id) for place in named if place.kind == "station_group"}
    known = select(tables.StationGroup.group_id).where(
        tables.StationGroup.operator_id == operator_id, tables.StationGroup.group_id.in_(groups)
    )
    if groups and (unknown := groups - set(await db.scalars(known))):
        raise UnknownStation(f"no station group has the id {min(unknown, key=str)}")
    locations = {UUID(place.id) for place in named if place.kind == "location"}
    kept = select(tables.Location.location_id).where(
        tables.Location.operator_id == operator_id, tables.Location.location_id.in_(locations)
    )
    if locations and (missing := locations - set(await db.scalars(kept))):
        raise UnknownLocation(f"no location has the id {min(missing, key=str)}")
