"""A kept plan carried out: all of it in one transaction, or nothing if the data changed since."""

from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import ARRAY, Uuid, bindparam, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.events import CardsImported, CardState, UsersImported, UserState
from common.problems import Problem
from identity.people import import_sql
from identity.tables import PeopleImport

# Of each at most in an event: 250 cards are 150 kB, and the relay sends 200 events at once.
TOLD_AT_ONCE: Final = 250
EVENT_BYTES_MAX: Final = 500_000  # NATS takes 1 MiB
# One import of an operator after the other: two that wait for each other's rows would both fail.
LOCK: Final = text("select pg_advisory_xact_lock(hashtext('people-import'), hashtext(:operator))")


class ImportOutdated(Problem):
    status = 409
    title = "The data changed since; send the file again"


async def carry_out(db: AsyncSession, made: PeopleImport) -> None:
    """Raises ImportOutdated; then nothing is done, for the caller's transaction ends with it."""
    await db.execute(LOCK, {"operator": str(made.operator_id)})
    values = {"import_id": made.id}
    try:
        for step in import_sql.STEPS:
            done = await db.execute(text(step.statement), values)
            assert isinstance(done, CursorResult)
            if done.rowcount != sum(made.counts[step.what][action] for action in step.actions):
                raise ImportOutdated(f"of the {step.what} it concerns some were changed meanwhile")
        await db.execute(text(import_sql.LEAVE_GROUPS), values)
        await db.execute(text(import_sql.JOIN_GROUPS), values)
    except IntegrityError as error:
        # The plan was good when it was made: what it was made from has gone, or more has come.
        name = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
        raise ImportOutdated(f"what it refers to was changed meanwhile ({name})") from error
    await _tell_users(db, made)
    await _tell_cards(db, made)


async def _tell_users(db: AsyncSession, made: PeopleImport) -> None:
    some: list[UserState] = []
    size = 0
    async for row in _touched(db, import_sql.USERS_TOUCHED, import_sql.USERS_NOW, made):
        state = UserState.model_validate(row)
        length = 200 + 2 * len(state.name.encode()) + 40 * len(state.group_ids)
        if some and (len(some) == TOLD_AT_ONCE or size + length > EVENT_BYTES_MAX):
            await outbox.emit(db, UsersImported(operator_id=made.operator_id, users=tuple(some)))
            some, size = [], 0
        some.append(state)
        size += length
    if some:
        await outbox.emit(db, UsersImported(operator_id=made.operator_id, users=tuple(some)))


async def _tell_cards(db: AsyncSession, made: PeopleImport) -> None:
    some: list[CardState] = []
    async for row in _touched(db, import_sql.CARDS_TOUCHED, import_sql.CARDS_NOW, made):
        some.append(CardState.model_validate(row))
        if len(some) == TOLD_AT_ONCE:
            await outbox.emit(db, CardsImported(operator_id=made.operator_id, cards=tuple(some)))
            some = []
    if some:
        await outbox.emit(db, CardsImported(operator_id=made.operator_id, cards=tuple(some)))


async def _touched(
    db: AsyncSession, which: str, now: str, made: PeopleImport
) -> AsyncIterator[dict[str, Any]]:
    ids = (await db.scalars(text(which), {"import_id": made.id})).all()
    states = text(now).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
    for start in range(0, len(ids), TOLD_AT_ONCE):
        found = await db.execute(states, {"ids": ids[start : start + TOLD_AT_ONCE]})
        for row in found.mappings():
            yield dict(row)
