"""Discounts: what somebody gets off the price, or at a station, with a strategy or with any."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from billing import tables
from billing.discounts import keeping
from billing.discounts.routes import add_shared
from billing.discounts.shapes import OfferIn, OfferOut, State
from common import paging
from common.auth import Caller, scoped
from common.database import Db
from common.paging import Cursor, Limit, Page
from common.versions import Expected

router = APIRouter(prefix="/v1/discounts", tags=["discounts"])

reads = scoped("discounts:read")
writes = scoped("discounts:write")

OfStrategy = Annotated[
    UUID | None, Field(description="the accounting strategy that it is of; null: with any or none")
]


class DiscountIn(OfferIn):
    strategy_id: OfStrategy = None


class DiscountOut(OfferOut):
    strategy_id: OfStrategy


@router.get("", summary="List the discounts, the newest first", dependencies=[reads])
async def list_discounts(
    db: Db,
    caller: Caller,
    state: State | None = None,
    strategy_id: Annotated[UUID | None, Query(description="those of this one alone")] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[DiscountOut]:
    of = [tables.Discount.strategy_id == strategy_id] if strategy_id else []
    page = await keeping.found(db, "discount", caller, state, of, limit, cursor)
    items = [DiscountOut.model_validate(one) for one in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.post(
    "",
    status_code=201,
    summary="Draft a discount",
    response_model=DiscountOut,
    dependencies=[writes],
)
async def make_discount(body: DiscountIn, db: Db, caller: Caller, response: Response) -> Any:
    """Nobody gets it before it is activated. See what it would do by its preview."""
    row = await keeping.make(db, "discount", caller, body)
    return await keeping.shown(db, response, row)


@router.put(
    "/{discount_id}",
    summary="Write a draft anew",
    response_model=DiscountOut,
    dependencies=[writes],
)
async def rewrite_discount(
    discount_id: UUID,
    body: DiscountIn,
    expected: Expected,
    db: Db,
    caller: Caller,
    response: Response,
) -> Any:
    row = await keeping.rewrite(db, "discount", caller, discount_id, expected, body)
    return await keeping.shown(db, response, row)


add_shared(router, "discount", "discount_id", DiscountOut, (reads, writes))
