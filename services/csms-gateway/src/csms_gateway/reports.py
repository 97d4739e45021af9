"""Transactions by REST: what chargers reported, before anything was priced."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.database import Db
from common.problems import NotFound
from csms_gateway.tables import (
    TRANSACTION_ID_MAX,
    Transaction,
    TransactionEvent,
    UnmatchedMessage,
)

router = APIRouter(prefix="/v1", tags=["transactions"])


class TransactionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    session_id: UUID
    ocpp_id: str | None = Field(description="OCPP 2.x: the station's own id; in 1.6 it is id")
    station_id: str
    evse_id: int
    connector_id: int
    id_token: str
    token_status: str
    started_at: datetime
    started_raw: str = Field(description="the charger's own words")
    start_received_at: datetime
    meter_start_wh: int | None
    state: Literal["open", "ended"]
    ended_at: datetime | None
    ended_raw: str | None
    stop_received_at: datetime | None
    meter_stop_wh: int | None
    energy_wh: int | None = Field(description="null while running, or when it cannot be known")
    stop_reason: str | None
    charging_state: str | None = Field(description="OCPP 2.x: Charging, SuspendedEV, …")
    details: dict[str, Any] = Field(
        description="OCPP 2.1, as the station told last: tariffId, transactionLimit, "
        "operationMode, costDetails, preconditioningStatus, evseSleep"
    )
    remote_start_id: int | None
    reservation_id: int | None
    incidents: list[dict[str, Any]]


class TransactionEventOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    seq_no: int
    payload: dict[str, Any] = Field(description="the TransactionEventRequest, whole")
    received_at: datetime


class UnmatchedOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    station_id: str
    action: str
    payload: dict[str, Any]
    received_at: datetime
    session_id: UUID | None


@router.get(
    "/transactions",
    summary="Transactions as the chargers reported them, newest first",
    dependencies=[scoped("sessions:read")],
)
async def list_transactions(
    db: Db,
    station_id: Annotated[str | None, Query(max_length=48)] = None,
    id_token: Annotated[str | None, Query(max_length=36)] = None,
    session_id: UUID | None = None,
    state: Literal["open", "ended"] | None = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[TransactionOut]:
    query = select(Transaction)
    if station_id is not None:
        query = query.where(Transaction.station_id == station_id)
    if id_token is not None:
        query = query.where(Transaction.id_token_key == id_token.upper())
    if session_id is not None:
        query = query.where(Transaction.session_id == session_id)
    if state is not None:
        is_open = Transaction.ended_at.is_(None)
        query = query.where(is_open if state == "open" else ~is_open)
    rows, after = await paging.rows(
        db, query, Transaction.id, limit=limit, cursor=cursor, newest_first=True
    )
    items = [TransactionOut.model_validate(row) for row in rows]
    return paging.Page(items=items, next_cursor=after)


@router.get(
    "/transactions/{transaction_id}",
    summary="One transaction",
    dependencies=[scoped("sessions:read")],
)
async def get_transaction(
    transaction_id: Annotated[int, Path(ge=1, le=TRANSACTION_ID_MAX)], db: Db
) -> TransactionOut:
    row = await db.get(Transaction, transaction_id)
    if row is None:
        raise NotFound(f"no transaction {transaction_id}")
    return TransactionOut.model_validate(row)


@router.get(
    "/transactions/{transaction_id}/events",
    summary="The events of a transaction of OCPP 2.x as the charger sent them, newest first",
    dependencies=[scoped("sessions:read")],
)
async def list_transaction_events(
    transaction_id: Annotated[int, Path(ge=1, le=TRANSACTION_ID_MAX)],
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[TransactionEventOut]:
    """None for OCPP 1.6, which has a start and a stop."""
    transaction = await db.get(Transaction, transaction_id)
    if transaction is None:
        raise NotFound(f"no transaction {transaction_id}")
    query = select(TransactionEvent).where(
        TransactionEvent.station_id == transaction.station_id,
        TransactionEvent.ocpp_id == transaction.ocpp_id,
    )
    rows, after = await paging.rows(
        db, query, TransactionEvent.seq_no, limit=limit, cursor=cursor, newest_first=True
    )
    items = [TransactionEventOut.model_validate(row) for row in rows]
    return paging.Page(items=items, next_cursor=after)


@router.get(
    "/unmatched-messages",
    summary="What chargers said of transactions nobody knows, newest first",
    dependencies=[scoped("messages:read")],
)
async def list_unmatched(
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[UnmatchedOut]:
    rows, after = await paging.rows(
        db,
        select(UnmatchedMessage),
        UnmatchedMessage.id,
        limit=limit,
        cursor=cursor,
        newest_first=True,
    )
    return paging.Page(items=[UnmatchedOut.model_validate(row) for row in rows], next_cursor=after)
