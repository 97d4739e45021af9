"""Signed readings of a transaction by REST: what a driver checks a bill with.

The message that carried them is kept whole, for it is the evidence (R3); the readings found in it
are named beside it, in the words of its version.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.database import Db
from common.problems import NotFound
from csms_gateway import readings
from csms_gateway.tables import TRANSACTION_ID_MAX, SignedMessage, Transaction

router = APIRouter(prefix="/v1", tags=["transactions"])

SIGNED: Final = "SignedData"  # OCPP 1.6, ValueFormat


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
            readings=list(found_in(row.payload)),
            payload=row.payload,
        )
        for row in rows
    ]
    return paging.Page(items=items, next_cursor=after)


def found_in(payload: dict[str, Any]) -> Iterator[SignedReading]:
    for meter_value in payload.get("meterValue") or payload.get("transactionData") or ():
        for sampled in meter_value.get("sampledValue") or ():
            if signed := _signed(sampled):
                yield SignedReading(
                    timestamp=_text(meter_value.get("timestamp")),
                    context=_text(sampled.get("context")),
                    measurand=_text(sampled.get("measurand")),
                    signed_data=str(signed.get("signedMeterData", "")),
                    signing_method=_text(signed.get("signingMethod")),
                    encoding_method=_text(signed.get("encodingMethod")),
                    public_key=_text(signed.get("publicKey")),
                )


def _text(value: Any) -> str | None:
    """An empty one says nothing: 2.0.1 asks for each of them."""
    return str(value) if value not in (None, "") else None


def _signed(sampled: dict[str, Any]) -> dict[str, Any] | None:
    """SignedMeterValueType (OCPP 2.0.1, 2.46); in 1.6 the value is the data, or such a type as JSON
    (OCA's application note on signed meter values in OCPP 1.6).
    """
    if isinstance(signed := sampled.get("signedMeterValue"), dict):
        return signed
    value = str(sampled.get("value", ""))
    if sampled.get("format") != SIGNED and len(value) <= readings.VALUE_MAX:
        return None
    try:
        parts = orjson.loads(value)
    except orjson.JSONDecodeError:
        parts = None
    if isinstance(parts, dict) and "signedMeterData" in parts:
        return parts
    return {"signedMeterData": value}
