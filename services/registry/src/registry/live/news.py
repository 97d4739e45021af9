"""News of many stations in one statement, and the numbers by which others follow them.

What has news is noted once a transaction, as its last statement and in the order of the keys: so
two transactions that hold such rows never wait for each other in a circle, and a number is to be
seen a moment after it was given.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.database import PLATFORM, before_commit, set_operator

log = logging.getLogger(__name__)

Rows = Sequence[Sequence[object]]


class Key(NamedTuple):
    operator_id: UUID
    station_id: str
    evse_id: int  # 0: the station itself


class Upsert:
    """News of many stations in one statement: what is newer is stored, strangers are counted.

    One array a column, so that text and plan are the same for every number of rows; made once,
    since to put a statement together costs more than to send it. In the order of the keys, so
    that replicas that write the same rows cannot wait for each other in a circle.
    """

    def __init__(
        self, table: str, columns: dict[str, str], keys: int, changes: str, news: str
    ) -> None:
        """columns: with their types, keys first; changes and news: of the row and of excluded."""
        self._columns = list(columns)
        names, key = ", ".join(columns), ", ".join(self._columns[:keys])
        arrays = ", ".join(f"cast(:{name} as {kind}[])" for name, kind in columns.items())
        at_home = "station.operator_id = told.operator_id and station.id = told.station_id"
        evse = "evse_id" if "evse_id" in self._columns[:keys] else "0"
        self._statement: TextClause = text(
            f"with told as (select * from unnest({arrays}) as told ({names})), "  # noqa: S608
            f"written as (insert into {table} as was ({names}) "
            f"select told.* from told join station on {at_home} order by {key} "
            f"on conflict ({key}) do update set {changes} where {news} "
            f"returning operator_id, station_id, {evse} as evse_id) "
            f"select operator_id, station_id, evse_id from written "
            f"union all select operator_id, station_id, null from told "
            f"where not exists (select from station where {at_home})"
        )

    async def __call__(self, db: AsyncSession, rows: Rows) -> list[Key]:
        """What was news, once each row that was written."""
        if not rows:
            return []
        columns = zip(*rows, strict=True)
        values = {name: list(found) for name, found in zip(self._columns, columns, strict=True)}
        found = (await db.execute(self._statement, values)).all()
        written = [_key(row) for row in found if row.evse_id is not None]
        if strangers := len(found) - len(written):
            log.warning("%d reports of unknown stations are dropped", strangers)
        return written


def _key(row: Row[Any]) -> Key:
    return Key(UUID(str(row.operator_id)), row.station_id, row.evse_id)


# The number is given while the row is held, so a row's numbers only grow.
_NOTE: Final = text(
    "insert into live_change (operator_id, station_id, evse_id) "
    "select * from unnest(cast(:operator_ids as uuid[]), cast(:station_ids as text[]), "
    "cast(:evse_ids as integer[])) as told (operator_id, station_id, evse_id) order by 1, 2, 3 "
    "on conflict (operator_id, station_id, evse_id) do update "
    "set change = nextval('live_change_seq')"
)


def note(db: AsyncSession, keys: Iterable[Key]) -> None:
    """Who follows these is told once the transaction is committed."""
    db.info.setdefault("news", set()).update(keys)
    before_commit(db, _number)


async def _number(db: AsyncSession) -> None:
    keys: set[Key] = db.info.pop("news")
    if not keys:
        return
    await set_operator(db, PLATFORM)  # a batch is of many
    operator_ids, station_ids, evse_ids = zip(*keys, strict=True)
    values = {
        "operator_ids": list(operator_ids),
        "station_ids": list(station_ids),
        "evse_ids": list(evse_ids),
    }
    await db.execute(_NOTE, values)
