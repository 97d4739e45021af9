"""Stations drawn together, for maps."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from common.problems import Problem
from common.public_limits import limited
from registry.public_map import grid
from registry.public_map.answers import MAX_AGE_S, answer
from registry.public_map.asking import BoxQuery, Filters, of_contract
from registry.public_map.grid import Cluster
from registry.public_map.index import Wanted
from registry.public_map.keeping import PublicMap
from registry.public_map.published import Published

router = APIRouter(prefix="/v1/clusters", tags=["map"], dependencies=[limited("map")])


class BoxTooLarge(Problem):
    status = 422
    title = "The box is too large for its zoom"


class ClustersQuery(BoxQuery, Filters):
    zoom: int = Field(ge=0, le=grid.ZOOM_MAX, description="of the usual tiles of 256 pixels")


class ClusterOut(Published):
    latitude: float = Field(description="the middle of its stations; degrees, WGS 84")
    longitude: float
    count: int = Field(description="stations")
    available: int = Field(description="of them, with an EVSE free now")
    max_power_w: int | None = Field(description="of its strongest EVSE; null: not known")


class SingleOut(Published):
    """A station that stands alone; /v1/nearby tells more of it."""

    id: str
    latitude: float
    longitude: float
    available: bool
    max_power_w: int | None


class Clusters(Published):
    clusters: list[ClusterOut]
    stations: list[SingleOut]


@router.get("", summary="Draw stations on a map", response_model=Clusters)
async def draw_clusters(request: Request, query: Annotated[ClustersQuery, Query()]) -> Response:
    """Of each square of 64 pixels that the box touches, its stations together, or its only one.

    The squares do not move with the box, and their stations beyond its edge count as well.
    """
    wanted = await of_contract(request, query)
    body = drawn(request.app.state.beside.public_map, query, wanted)
    return answer(request, body, shared=not query.only_my_contract, max_age_s=MAX_AGE_S)


def drawn(public_map: PublicMap, query: ClustersQuery, wanted: Wanted) -> dict[str, Any]:
    """As Clusters has it. Raises BoxTooLarge, MapNotReady."""
    try:
        where = grid.squares(query.box(), query.zoom)
    except grid.TooManySquares as error:
        raise BoxTooLarge(
            f"at zoom {query.zoom} it is more than {grid.SQUARES_MAX} squares of 64 pixels; "
            "send the box that is on the screen"
        ) from error
    found = grid.clusters(public_map.index, where, wanted)
    return {
        "clusters": [_cluster(one) for one in found if one.stations > 1],
        "stations": [_single(public_map, one) for one in found if one.stations == 1],
    }


def _cluster(one: Cluster) -> dict[str, object]:
    return {
        "latitude": round(one.centre.latitude, 7),
        "longitude": round(one.centre.longitude, 7),
        "count": one.stations,
        "available": one.available,
        "max_power_w": one.max_power_w or None,
    }


def _single(public_map: PublicMap, one: Cluster) -> dict[str, object]:
    at = public_map.index.point(one.slot)
    return {
        "id": public_map.index.shown(one.slot)[0],
        "latitude": at.latitude,
        "longitude": at.longitude,
        "available": one.available > 0,
        "max_power_w": one.max_power_w or None,
    }
