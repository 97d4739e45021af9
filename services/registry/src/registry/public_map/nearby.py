"""The stations around a point or in a box, nearest first."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from common import paging
from common.paging import InvalidCursor
from common.public_limits import limited
from registry.public_map.answers import MAX_AGE_S, answer
from registry.public_map.asking import Filters, Where, of_contract
from registry.public_map.index import EVERYWHERE, After, Found, Wanted
from registry.public_map.keeping import PublicMap
from registry.public_map.published import PublicStation, Published
from registry.public_map.sphere import FARTHEST_M

router = APIRouter(prefix="/v1/nearby", tags=["map"], dependencies=[limited("map")])

LIMIT_MAX = 100


class NearbyQuery(Where, Filters):
    limit: int = Field(default=20, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(
        default=None, max_length=400, description="next_cursor of the page before"
    )


class NearbyStation(PublicStation):
    distance_m: int = Field(description="great circle, from the point or the box's centre")


class NearbyPage(Published):
    items: list[NearbyStation]
    next_cursor: str | None


@router.get("", summary="Find stations nearby", response_model=NearbyPage)
async def find_nearby(request: Request, query: Annotated[NearbyQuery, Query()]) -> Response:
    """By a point, with or without a radius, or by a box; nearest first.

    Asks for no token. The price is the operator's own; a contract may say another.
    """
    wanted = await of_contract(request, query)
    body = page_of(request.app.state.beside.public_map, query, wanted)
    return answer(request, body, shared=not query.only_my_contract, max_age_s=MAX_AGE_S)


def page_of(public_map: PublicMap, query: NearbyQuery, wanted: Wanted) -> dict[str, Any]:
    """As NearbyPage has it. Raises InvalidCursor, MapNotReady."""
    found = public_map.index.nearest(
        query.point(),
        within_m=FARTHEST_M if query.radius_m is None else query.radius_m,
        box=query.box(),
        wanted=wanted,
        limit=query.limit + 1,
        after=_after(query.cursor),
    )
    page = found[: query.limit]
    return {
        "items": [public_map.told(one.slot, distance_m=round(one.distance_m)) for one in page],
        "next_cursor": _cursor(page[-1]) if len(found) > query.limit else None,
    }


def _cursor(last: Found) -> str:
    return paging.encode(f"{last.place.squared.hex()} {last.place.tie}")


def _after(cursor: str | None) -> After | None:
    """Raises InvalidCursor."""
    if cursor is None:
        return None
    squared, _, tie = paging.decode(cursor, str).partition(" ")
    try:
        found = After(float.fromhex(squared), int(tie))
    except (ValueError, OverflowError) as error:
        raise InvalidCursor("use next_cursor of an earlier page, unchanged") from error
    if not (0 <= found.squared <= EVERYWHERE and -(2**63) <= found.tie < 2**63):
        raise InvalidCursor("use next_cursor of an earlier page, unchanged")
    return found
