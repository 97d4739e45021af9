"""Updates of OCPP 2.x transactions, stored in batches: one commit for what many chargers say.

Most events of a session are such: a reading, a change of the charging state. Start and end have
statements of their own, for more goes with them (transaction_events.py).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

log = logging.getLogger(__name__)

BATCH_MAX: Final = 200
WAITING_MAX: Final = 20_000  # more would only run into the chargers' own timeouts
LINGER_S: Final = 0.003  # nothing to a charger; what arrives meanwhile joins the batch

# An event that changes its transaction is stored only if nobody else changed that meanwhile
# (revision), and one whose number is there already not at all; what was stored comes back.
STORE: Final = """
with arrived as (
    select * from unnest(
        $1::text[], $2::text[], $3::int[], $4::uuid[], $5::jsonb[], $6::timestamptz[],
        $7::boolean[], $8::int[], $9::text[], $10::jsonb[], $11::int[]
    ) as a (
        station_id, ocpp_id, seq_no, operator_id, payload, received_at,
        changes, revision, charging_state, details, newest_seq_no
    )
), changed as (
    update transaction as t set
        charging_state = a.charging_state, details = a.details,
        newest_seq_no = a.newest_seq_no, revision = t.revision + 1
    from arrived as a
    where a.changes and t.station_id = a.station_id and t.ocpp_id = a.ocpp_id
    and t.revision = a.revision
    and not exists (
        select from transaction_event as e
        where e.station_id = a.station_id and e.ocpp_id = a.ocpp_id and e.seq_no = a.seq_no
    )
    returning t.station_id, t.ocpp_id
)
insert into transaction_event (station_id, ocpp_id, seq_no, operator_id, payload, received_at)
select station_id, ocpp_id, seq_no, operator_id, payload, received_at from arrived as a
where not a.changes or exists (
    select from changed as c where c.station_id = a.station_id and c.ocpp_id = a.ocpp_id
)
on conflict do nothing
returning station_id, ocpp_id, seq_no
"""


class Update(NamedTuple):
    """An event, and what its transaction is with it; revision is that of the transaction before."""

    station_id: str
    ocpp_id: str
    seq_no: int
    operator_id: UUID
    payload: str
    received_at: datetime
    changes: bool
    revision: int
    charging_state: str | None
    details: str
    newest_seq_no: int


class Overloaded(Exception):
    """Too many events wait; the charger will try again."""


Waiting = tuple[Update, "asyncio.Future[bool]"]


class EventBatches:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._waiting: deque[Waiting] = deque()
        self._some = asyncio.Event()

    def store(self, update: Update) -> "asyncio.Future[bool]":
        """Done when it is durable. False: it was there, or somebody was faster; look again."""
        if len(self._waiting) >= WAITING_MAX:
            raise Overloaded("too many events are waiting")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((update, future))
        self._some.set()
        return future

    async def run(self) -> None:
        while True:
            await self._some.wait()
            await asyncio.sleep(LINGER_S)
            batch = self._take()
            try:
                stored = await self._stored(update for update, _ in batch)
            except Exception as error:  # noqa: BLE001 - each waiting charger is told
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            except BaseException:
                for _, future in batch:
                    future.cancel()
                raise
            else:
                for update, future in batch:
                    if not future.done():
                        future.set_result(update[:3] in stored)

    def _take(self) -> list[Waiting]:
        """Of one transaction one at a time: two changes of a row would be one in one statement."""
        batch: list[Waiting] = []
        later: list[Waiting] = []
        taken: set[tuple[str, str]] = set()
        while self._waiting and len(batch) < BATCH_MAX:
            update, future = self._waiting.popleft()
            key = (update.station_id, update.ocpp_id)
            (later if key in taken else batch).append((update, future))
            taken.add(key)
        self._waiting.extendleft(reversed(later))
        if not self._waiting:
            self._some.clear()
        return batch

    async def _stored(self, updates: Iterable[Update]) -> set[tuple[Any, ...]]:
        columns = [list(column) for column in zip(*updates, strict=True)]
        rows = await self._pool.fetch(STORE, *columns)
        return {tuple(row) for row in rows}
