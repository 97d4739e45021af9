"""In which user groups people were when: a session that is told late is priced by those of its real
start, not by those of today.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.database import PLATFORM, Connections
from common.events import SessionEnded, SessionStarted, UserState

# Less is how long news may take from one service to another; then what was told with it counts.
LATE: Final = timedelta(minutes=10)
# Stations that were offline for longer have lost what they knew.
KEPT: Final = timedelta(days=400)

# Only where it differs from what held until then; told twice, it is there already.
KEEP: Final = text("""
insert into membership (operator_id, user_id, since, group_ids)
select :operator, :user, :since, cast(:groups as uuid[])
where cast(:groups as uuid[]) is distinct from (
    select group_ids from membership where user_id = :user and since <= :since
    order by since desc limit 1
)
on conflict do nothing
""")
THEN: Final = text("""
select group_ids from membership where operator_id = :operator and user_id = :user and since <= :at
order by since desc limit 1
""")
SINCE: Final = text("""
select group_ids from membership where operator_id = :operator and user_id = :user and since > :at
order by since desc limit 1
""")
PRUNE: Final = text("""
delete from membership m where since < :before and exists (
    select from membership l where l.user_id = m.user_id and l.since > m.since and l.since < :before
)
""")
FORGET: Final = text("delete from membership where operator_id = :operator and user_id = :user")

Told = TypeVar("Told", SessionStarted, SessionEnded)


async def keep(
    db: AsyncSession, operator_id: UUID | None, users: Iterable[UserState], since: datetime
) -> None:
    rows = [
        {"operator": operator_id, "user": one.user_id, "since": since,
         "groups": sorted(one.group_ids)}
        for one in sorted(users, key=lambda one: one.user_id)
    ]  # fmt: skip
    if rows:
        await db.execute(KEEP, rows)


async def as_it_was(db: AsyncSession, event: Told) -> Told:
    """A session that is told late, with the groups that its driver was in when it began."""
    late = event.occurred_at - event.started_at > LATE
    if not late or event.user_id is None or event.holder is None:
        return event
    values = {"operator": event.operator_id, "user": event.user_id, "at": event.started_at}
    then = await db.scalar(THEN, values)
    if then is None or set(then) == set(event.holder.user_group_ids):
        return event
    holder = event.holder.model_copy(update={"user_group_ids": tuple(map(UUID, map(str, then)))})
    return event.model_copy(update={"holder": holder})


async def have_changed(
    db: AsyncSession, operator_id: UUID, user_id: UUID, group_ids: Iterable[UUID], since: datetime
) -> bool:
    """Whether a user is in other groups by now than in these, which held at a moment."""
    values = {"operator": operator_id, "user": user_id, "at": since}
    newest = await db.scalar(SINCE, values)
    return newest is not None and set(newest) != set(group_ids)


async def prune_once(connections: Connections) -> None:
    async with connections.begin(PLATFORM) as db:
        await db.execute(PRUNE, {"before": now() - KEPT})
