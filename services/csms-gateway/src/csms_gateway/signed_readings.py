"""Signed readings of a transaction by REST: what a driver checks a bill with.

The message that carried them is kept whole, for it is the evidence (R3); the readings found in it
are named beside it, in the words of its version.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.database import Db
from common.problems import NotFound
from csms_gateway import signed_values
from csms_gateway.tables import TRANSACTION_ID_MAX, SignedMessage, Transaction

router = APIRouter(prefix="/v1", tags=["transactions"])


class SignedReading(BaseModel):
    timestamp: str | None = Field(description="the charger's own words")
    context: str | None = Field(examples=["Transaction.Begin"])
    measurand: str | None
    signed_data: str = Field(description="as the meter signed it: OCMF and others")
    signing_method: str | None = Field(description="null: the charger does not say")
    encoding_method: str | None
    public_key: str | None = Field(description="some send it once a transaction")


class SignedReadingsOut(BaseModel):
    id: UUID
    station_id: str
    evse_id: int
    received_at: datetime
    readings: list[SignedReading]
    payload: dict[str, Any] = Field(
        description="the MeterValues, StopTransaction or TransactionEvent that carried them, whole"
    )


@router.get(
    "/transactions/{transaction_id}/signed-readings",
    summary="The signed readings of a transaction, newest first",
    dependencies=[scoped("sessions:read")],
)
async def list_signed_readings(
    transaction_id: Annotated[int, Path(ge=1, le=TRANSACTION_ID_MAX)],
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[SignedReadingsOut]:
    """A message with several of them is one item."""
    transaction = await db.get(Transaction, transaction_id)
    if transaction is None:
        raise NotFound(f"no transaction {transaction_id}")
    query = select(SignedMessage).where(
        SignedMessage.session_id == transaction.session_id,
        SignedMessage.station_id == transaction.station_id,
    )
    rows, after = await paging.rows(
        db, query, SignedMessage.id, limit=limit, cursor=cursor, newest_first=True
    )
    items = [
        SignedReadingsOut(
            id=row.id,
            station_id=row.station_id,
            evse_id=row.evse_id,
            received_at=row.received_at,
            readings=[_out(one) for one in signed_values.found_in(row.payload)],
            payload=row.payload,
        )
        for row in rows
    ]
    return paging.Page(items=items, next_cursor=after)


def _out(one: signed_values.Signed) -> SignedReading:
    fields = one._asdict()
    return SignedReading(signed_data=fields.pop("data"), **fields)
