"""The OCPP message log: what each charger and we said to each other.

Written in the background in batches, at most FLUSH_S late: a gateway killed in between loses that
much of the log and nothing else (R1 is about the facts, which are stored before the answer).
"""

import asyncio
import logging
from collections import deque
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import orjson
from fastapi import APIRouter, Query
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.clock import now
from common.database import Db
from csms_gateway import redaction, tables

log = logging.getLogger(__name__)

FLUSH_S = 0.5
WAITING_MAX = 50_000  # some 20 MB; beyond it the oldest are dropped and counted
BATCH = 2000
# One JSON document a batch, for PostgreSQL has no COPY into a table with row-level security and
# encoding a million small values one by one costs more here than parsing them costs there.
INSERT = """
insert into message (
    received_at, operator_id, station_id, direction, kind, action, message_id, frame
) select
    (row->>0)::timestamptz, (row->>1)::uuid, row->>2, row->>3, row->>4, row->>5, row->>6, row->>7
from json_array_elements($1::json) as row
"""
PARTITIONS_EVERY_S = 3600.0

DROPPED = Counter("csms_gateway_log_dropped_total", "Log rows dropped because too many waited")

Direction = Literal["in", "out"]
Kind = Literal["call", "result", "error", "send", "bad"]


class MessageLog:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", keep_days: int) -> None:
        self._pool = pool
        self._keep_days = keep_days
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=WAITING_MAX)

    def add(
        self,
        operator_id: UUID,
        station_id: str,
        direction: Direction,
        kind: Kind,
        action: str | None,
        message_id: str | None,
        frame: str,
    ) -> None:
        if len(self._rows) == WAITING_MAX:
            DROPPED.inc()
        if direction == "in" or kind == "call":  # what we answer holds nothing to hide
            frame = redaction.frame(kind, action, frame)
        # PostgreSQL's text cannot hold NUL, which a garbage frame may well contain.
        frame = frame.replace("\0", "\\u0000") if "\0" in frame else frame
        row = (now(), operator_id, station_id, direction, kind, action, message_id, frame)
        self._rows.append(row)

    async def flush(self) -> None:
        while self._rows:
            rows = [self._rows.popleft() for _ in range(min(len(self._rows), BATCH))]
            try:
                await self._pool.execute(INSERT, orjson.dumps(rows).decode())
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # They go first when the database is back, unless too many came meanwhile.
                kept = rows[max(0, len(rows) + len(self._rows) - WAITING_MAX) :]
                DROPPED.inc(len(rows) - len(kept))
                self._rows.extendleft(reversed(kept))
                raise

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def keep_partitions(self) -> None:
        while True:
            await self._pool.execute("select keep_message_partitions($1)", self._keep_days)
            await asyncio.sleep(PARTITIONS_EVERY_S)


router = APIRouter(tags=["messages"])


class MessageOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    received_at: datetime
    station_id: str
    direction: Direction = Field(description="in: from the charger, out: to it")
    kind: Kind
    action: str | None
    message_id: str | None
    frame: str = Field(description="as it was on the wire, passwords and personal data hidden")


@router.get(
    "/v1/stations/{station_id}/messages",
    summary="The OCPP message log of a station, newest first",
    dependencies=[scoped("messages:read")],
)
async def list_messages(
    station_id: str,
    db: Db,
    action: Annotated[str | None, Query(max_length=64)] = None,
    direction: Direction | None = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[MessageOut]:
    query = select(tables.Message).where(tables.Message.station_id == station_id)
    if action:
        query = query.where(tables.Message.action == action)
    if direction:
        query = query.where(tables.Message.direction == direction)
    rows, after = await paging.rows(
        db, query, tables.Message.id, limit=limit, cursor=cursor, newest_first=True
    )
    return paging.Page(items=[MessageOut.model_validate(row) for row in rows], next_cursor=after)
