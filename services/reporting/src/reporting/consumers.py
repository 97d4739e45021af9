"""What reporting keeps of what happens elsewhere."""

from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import inspect
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import (
    CardChanged,
    LocationChanged,
    RecordClosed,
    StationChanged,
    UserChanged,
)
from common.inbox import Handlers
from reporting import tables


async def add_fact(db: AsyncSession, event: RecordClosed) -> None:
    """Count a record once, for the local day on which the session ended."""
    row = event.model_dump(exclude={"id", "occurred_at"})
    row["ended_on"] = event.ended_at.astimezone(ZoneInfo(event.time_zone)).date()
    # Half up, as billing counts.
    elapsed = event.ended_at - event.started_at + timedelta(milliseconds=500)
    row["duration_s"] = elapsed // timedelta(seconds=1)
    await db.execute(insert(tables.Fact).values(row).on_conflict_do_nothing())


async def name_station(db: AsyncSession, event: StationChanged) -> None:
    await _keep(db, tables.Station, event.model_dump())


async def name_location(db: AsyncSession, event: LocationChanged) -> None:
    await _keep(db, tables.Location, event.model_dump())


async def name_person(db: AsyncSession, event: UserChanged) -> None:
    await _keep(db, tables.Person, event.model_dump())


async def name_card(db: AsyncSession, event: CardChanged) -> None:
    await _keep(db, tables.Card, event.model_dump())


async def _keep(db: AsyncSession, table: type[tables.Table], state: dict[str, Any]) -> None:
    """Keep the state if it is newer than what is kept; the event's other fields are not needed."""
    columns = inspect(table).local_table.c
    row = {column.name: state[column.name] for column in columns}
    new = insert(table).values(row)
    newer = new.on_conflict_do_update(
        index_elements=[column for column in columns if column.primary_key],
        set_={column.name: new.excluded[column.name] for column in columns},
        where=columns["version"] < new.excluded["version"],
    )
    await db.execute(newer)


HANDLERS: Final[Handlers] = {
    RecordClosed: add_fact,
    StationChanged: name_station,
    LocationChanged: name_location,
    UserChanged: name_person,
    CardChanged: name_card,
}
