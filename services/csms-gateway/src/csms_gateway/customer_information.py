"""What stations know of a customer (OCPP 2.0.1, N09 and N10), asked for by customer_information.

Personal data (GDPR, Article 5): shown to those who may see users, left out of the message log, and
deleted after days, not months.
"""

import asyncio
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.database import Db
from csms_gateway import connections, tables
from csms_gateway.gateway import Gateway

ACTION: Final = "NotifyCustomerInformation"
# The action in so many words, for that is what the index is of.
PRUNE: Final = """
delete from notification
where action = 'NotifyCustomerInformation' and received_at < now() - make_interval(days => $1)
"""
PRUNE_EVERY_S: Final = 600.0


async def prune_once(gateway: Gateway) -> None:
    await gateway.pool.execute(PRUNE, gateway.settings.customer_information_keep_days)


async def prune(gateway: Gateway) -> None:
    while True:
        await prune_once(gateway)
        await asyncio.sleep(PRUNE_EVERY_S)


router = APIRouter(tags=["customer information"])


class CustomerInformationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    station_id: str
    request_id: int | None = Field(description="of the command customer_information")
    part: int = Field(description="from 0 on")
    last: bool = Field(description="no part of this request follows")
    data: str
    received_at: datetime


@router.get(
    "/v1/stations/{station_id}/customer-information",
    summary="What a station told of customers when asked; deleted after some days",
    dependencies=[scoped("users:read")],
)
async def list_customer_information(
    station_id: connections.StationPath,
    db: Db,
    request_id: Annotated[int | None, Query(ge=-(2**31), lt=2**31)] = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[CustomerInformationOut]:
    """In the order of their receipt. One answer may come in several parts."""
    table = tables.Notification
    query = select(table).where(table.station_id == station_id, table.action == ACTION)
    if request_id is not None:
        query = query.where(table.request_id == request_id)
    rows, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    items = [
        CustomerInformationOut(
            id=row.id,
            station_id=row.station_id,
            request_id=row.request_id,
            part=row.payload["seqNo"],
            last=not row.payload.get("tbc", False),
            data=row.payload["data"],
            received_at=row.received_at,
        )
        for row in rows
    ]
    return paging.Page(items=items, next_cursor=after)
