"""Price events: for a time, a price for groups of users or of stations; "free on Saturday"."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, NaiveDatetime

from billing.discounts import keeping
from billing.discounts.routes import add_shared
from billing.discounts.shapes import BY_THE_CLOCK, OfferIn, OfferOut, State
from common import paging
from common.auth import Caller, scoped
from common.database import Db
from common.paging import Cursor, Limit, Page
from common.versions import Expected

router = APIRouter(prefix="/v1/price-events", tags=["price events"])

reads = scoped("price-events:read")
writes = scoped("price-events:write")


class PriceEventIn(OfferIn):
    # Required: an event is for a time.
    valid_from: NaiveDatetime = Field(description=BY_THE_CLOCK)
    valid_until: NaiveDatetime = Field(description=f"the first moment after it; {BY_THE_CLOCK}")


@router.get("", summary="List the price events, the newest first", dependencies=[reads])
async def list_price_events(
    db: Db,
    caller: Caller,
    state: State | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[OfferOut]:
    page = await keeping.found(db, "price_event", caller, state, [], limit, cursor)
    items = [OfferOut.model_validate(one) for one in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.post(
    "",
    status_code=201,
    summary="Draft a price event",
    response_model=OfferOut,
    dependencies=[writes],
)
async def make_price_event(body: PriceEventIn, db: Db, caller: Caller, response: Response) -> Any:
    """Nobody gets it before it is activated. See what it would do by its preview."""
    row = await keeping.make(db, "price_event", caller, body)
    return await keeping.shown(db, response, row)


@router.put(
    "/{event_id}", summary="Write a draft anew", response_model=OfferOut, dependencies=[writes]
)
async def rewrite_price_event(
    event_id: UUID,
    body: PriceEventIn,
    expected: Expected,
    db: Db,
    caller: Caller,
    response: Response,
) -> Any:
    row = await keeping.rewrite(db, "price_event", caller, event_id, expected, body)
    return await keeping.shown(db, response, row)


add_shared(router, "price_event", "event_id", OfferOut, (reads, writes))
