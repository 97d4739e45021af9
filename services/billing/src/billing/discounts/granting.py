"""What discounts and price events gave, for people to read."""

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common.money import Currency, Exact
from common.paging import Page, rows


class GrantOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    discount_id: UUID
    session_id: UUID
    station_id: str
    cause: UUID = Field(description="the record; the session itself where one was reserved")
    quantity: Exact = Field(
        description="of its quota, in Wh, seconds, money or sessions; negative: given back"
    )
    amount: Exact = Field(description="taken off the price; negative: taken back")
    currency: Currency | None
    granted_at: AwareDatetime


async def granted(
    db: AsyncSession, discount_id: UUID, limit: int, cursor: str | None
) -> Page[GrantOut]:
    grant = tables.DiscountGrant
    query = select(grant).where(grant.discount_id == discount_id)
    found, after = await rows(db, query, grant.id, limit=limit, cursor=cursor, newest_first=True)
    return Page(items=[GrantOut.model_validate(row) for row in found], next_cursor=after)


async def of_session(db: AsyncSession, session_id: UUID) -> list[GrantOut]:
    """What a session got and gave back, the oldest first."""
    grant = tables.DiscountGrant
    found = select(grant).where(grant.session_id == session_id).order_by(grant.id)
    return [GrantOut.model_validate(row) for row in await db.scalars(found)]
