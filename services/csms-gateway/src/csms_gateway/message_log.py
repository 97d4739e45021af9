"""The OCPP message log: what each charger and we said to each other; messages.py reads it.

Written in the background in batches, at most FLUSH_S late: a gateway killed in between loses that
much of the log and nothing else (R1 is about the facts, which are stored before the answer).
Bounded in every direction (R8): rows and bytes that wait, rows and bytes of a station a day, days.
What is dropped is counted, and where a station's day is full the log says so; the facts themselves
have tables of their own and are never dropped.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

import asyncpg
import orjson
from prometheus_client import Counter

from common.clock import now
from common.database import STATEMENT_FAILED
from csms_gateway.masking import masked
from csms_gateway.settings import Settings

log = logging.getLogger(__name__)

FLUSH_S: Final = 0.5
WAITING_MAX: Final = 50_000  # some 20 MB; beyond it the oldest are dropped and counted
WAITING_BYTES_MAX: Final = 64 * 2**20  # for a frame may be half a megabyte
BATCH: Final = 2000
BATCH_BYTES_MAX: Final = 8 * 2**20
# One JSON document a batch, for PostgreSQL has no COPY into a table with row-level security and
# encoding a million small values one by one costs more here than parsing them costs there.
INSERT = """
insert into message (
    received_at, operator_id, station_id, direction, kind, action, message_id, frame
) select
    (row->>0)::timestamptz, (row->>1)::uuid, row->>2, row->>3, row->>4, row->>5, row->>6, row->>7
from json_array_elements($1::json) as row
"""
PARTITIONS_EVERY_S: Final = 3600.0
FRAME: Final = 7  # its place in a row
FULL: Final = "the log of this station is full for today; what follows is not kept"

DROPPED = Counter("csms_gateway_log_dropped_total", "Log rows dropped, by why", ["why"])
_waiting_dropped = DROPPED.labels("too many waiting")
_flood_dropped = DROPPED.labels("station's day full")

Direction = Literal["in", "out"]
Kind = Literal["call", "result", "error", "send", "bad", "full"]


@dataclass(slots=True)
class Spent:
    """What a station has logged today."""

    rows: int = 0
    size: int = 0
    full: bool = False


class MessageLog:
    """A station's day is counted by each replica for itself, from its start on."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", settings: Settings) -> None:
        self._pool = pool
        self._keep_days = settings.message_log_keep_days
        self._rows_max = settings.message_log_rows_max
        self._bytes_max = settings.message_log_bytes_max
        self._rows: deque[tuple[Any, ...]] = deque()
        self._size = 0
        self._spent: dict[str, Spent] = {}
        self._day = 0

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
        at = now()
        if at.toordinal() != self._day:
            self._day = at.toordinal()
            self._spent.clear()
        spent = self._spent.get(station_id)
        if spent is None:
            spent = self._spent[station_id] = Spent()
        if spent.full:
            _flood_dropped.inc()
            return
        spent.rows += 1
        spent.size += len(frame)
        if spent.rows > self._rows_max or spent.size > self._bytes_max:
            spent.full = True
            log.warning("%s: %s", station_id, FULL)
            kind, action, message_id, frame = "full", None, None, FULL
        else:
            frame = masked(action, frame)
        # PostgreSQL's text cannot hold NUL, which a garbage frame may well contain.
        frame = frame.replace("\0", "\\u0000") if "\0" in frame else frame
        row = (at, operator_id, station_id, direction, kind, action, message_id, frame)
        self._rows.append(row)
        self._size += len(frame)
        while len(self._rows) > WAITING_MAX or self._size > WAITING_BYTES_MAX:
            self._size -= len(self._rows.popleft()[FRAME])
            _waiting_dropped.inc()

    async def flush(self) -> None:
        while self._rows:
            rows: list[tuple[Any, ...]] = []
            size = 0
            while self._rows and len(rows) < BATCH and size < BATCH_BYTES_MAX:
                rows.append(self._rows.popleft())
                size += len(rows[-1][FRAME])
            self._size -= size
            try:
                await self._pool.execute(INSERT, orjson.dumps(rows).decode())
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                # It will never be taken; behind it the log would stand still.
                log.exception("%d rows of the message log were refused", len(rows))
                DROPPED.labels("refused").inc(len(rows))
            except STATEMENT_FAILED:
                self._put_back(rows)
                raise

    def _put_back(self, rows: list[tuple[Any, ...]]) -> None:
        """They go first when the database is back, unless too many came meanwhile."""
        for row in reversed(rows):
            size = len(row[FRAME])
            if len(self._rows) >= WAITING_MAX or self._size + size > WAITING_BYTES_MAX:
                _waiting_dropped.inc()
                continue
            self._rows.appendleft(row)
            self._size += size

    async def run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def keep_partitions(self) -> None:
        while True:
            await self._pool.execute("select keep_message_partitions($1)", self._keep_days)
            await asyncio.sleep(PARTITIONS_EVERY_S)
