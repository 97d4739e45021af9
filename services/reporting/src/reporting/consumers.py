"""What reporting keeps of what happens elsewhere."""

from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from sqlalchemy import and_, inspect
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.events import (
    CardChanged,
    CardsImported,
    CardState,
    LocationChanged,
    RecordClosed,
    RecordReviewed,
    StationChanged,
    UserChanged,
    UsersImported,
    UserState,
)
from common.inbox import Handlers
from reporting import tables

# What an event has beside these is of no use here.
FACTS: Final = {column.key for column in tables.Fact.__table__.columns}


async def add_fact(db: AsyncSession, event: RecordClosed) -> None:
    """Count a record once, for the local day on which the session ended.

    One that is pending counts once its review is decided, which may be told before. What takes a
    record back counts against it, so that a corrected session is still one and a void one none.
    """
    counts = -1 if event.kind == "cancellation" else 1
    row = event.model_dump(include=FACTS)
    row["ended_on"] = event.ended_at.astimezone(ZoneInfo(event.time_zone)).date()
    # Half up, as billing counts.
    elapsed = event.ended_at - event.started_at + timedelta(milliseconds=500)
    row["duration_s"] = counts * (elapsed // timedelta(seconds=1))
    row["sessions"] = counts
    new = insert(tables.Fact).values(row)
    decided = new.on_conflict_do_update(
        index_elements=[tables.Fact.record_id],
        set_={"review": new.excluded.review},
        where=and_(tables.Fact.review == "pending", new.excluded.review != "pending"),
    )
    await db.execute(decided)


async def name_station(db: AsyncSession, event: StationChanged) -> None:
    await _keep(db, tables.Station, event.operator_id, event)


async def name_location(db: AsyncSession, event: LocationChanged) -> None:
    await _keep(db, tables.Location, event.operator_id, event)


async def name_person(db: AsyncSession, event: UserChanged) -> None:
    await _keep(db, tables.Person, event.operator_id, event)


async def name_people(db: AsyncSession, event: UsersImported) -> None:
    users = sorted(event.users, key=_user_id)
    await _keep(db, tables.Person, event.operator_id, *users)


async def name_card(db: AsyncSession, event: CardChanged) -> None:
    await _keep(db, tables.Card, event.operator_id, event)


async def name_cards(db: AsyncSession, event: CardsImported) -> None:
    cards = sorted(event.cards, key=_card_id)
    await _keep(db, tables.Card, event.operator_id, *cards)


# In one order, so that two events of the same rows cannot wait for each other in a circle.
def _user_id(state: UserState) -> UUID:
    return state.user_id


def _card_id(state: CardState) -> UUID:
    return state.card_id


async def _keep(
    db: AsyncSession, table: type[tables.Table], operator_id: UUID | None, *states: BaseModel
) -> None:
    """Keep each state if it is newer than what is kept; its other fields are not needed."""
    columns = inspect(table).local_table.c
    names = [column.name for column in columns if column.name != "operator_id"]
    rows = [
        {"operator_id": operator_id} | {name: getattr(state, name) for name in names}
        for state in states
    ]
    new = insert(table)
    newer = new.on_conflict_do_update(
        index_elements=[column for column in columns if column.primary_key],
        set_={column.name: new.excluded[column.name] for column in columns},
        where=columns["version"] < new.excluded["version"],
    )
    if rows:
        await db.execute(newer, rows)


HANDLERS: Final[Handlers] = {
    RecordClosed: add_fact,
    RecordReviewed: add_fact,
    StationChanged: name_station,
    LocationChanged: name_location,
    UserChanged: name_person,
    UsersImported: name_people,
    CardChanged: name_card,
    CardsImported: name_cards,
}
