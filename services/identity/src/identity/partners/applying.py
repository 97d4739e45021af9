"""A whole list becomes the partner's cards in one transaction, by statements over sets.

Readers are not stopped: a card that is looked at meanwhile is as it was. What a partner said of a
card by itself after it had begun the list is newer, and stays. Each card is told in an event, but
the audit log has one entry a list: half a million would drown it.
"""

from collections.abc import Iterator
from typing import Any, Final, cast
from uuid import UUID

from pydantic import BaseModel, Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.clock import now
from common.database import ACTOR_SETTING
from common.events import CardsImported, CardState
from common.problems import Problem
from identity.partners.pushed_cards import CardNotYours
from identity.people.cards import state
from identity.tables import Card, Partner, PartnerList

GONE: Final = "no longer in the partner's list"
TOLD_AT_ONCE: Final = 250  # cards an event: the relay carries 200 events at once
READ_AT_ONCE: Final = 2000
NAMED_MAX: Final = 100


class ApplyUnderWay(Problem):
    status = 409
    title = "A list of this partner is just being applied"
    headers = {"Retry-After": "5"}  # noqa: RUF012 - a constant of the class


class ListOutdated(Problem):
    status = 409
    title = "A list that was begun later has been applied already"


class ConfirmNeeded(Problem):
    status = 409
    title = "This list would block more than half of the cards"


class Applied(BaseModel):
    made: int
    changed: int
    blocked: int = Field(description="that are no longer in the full list")
    unchanged: int = Field(
        description="as the list says, or said by itself since the list was begun"
    )


# What decides whether a card is touched. Held: blocked by the operator, whatever the list says.
SAID: Final = (
    "s.kind, s.label, s.active and not c.held, "
    "case when c.held then c.blocked_reason else s.blocked_reason end, "
    "s.valid_from, s.valid_until, s.group_id"
)
HAS: Final = "c.kind, c.label, c.active, c.blocked_reason, c.valid_from, c.valid_until, c.group_id"
COLUMNS: Final = "kind, label, active, blocked_reason, valid_from, valid_until, group_id"
# No card is looked at by the operator of the row alone: the walls compare text, no index helps.
PAIR: Final = "s.list_id = :list and c.operator_id = :operator and c.uid = s.uid"
MISSING: Final = (
    "c.operator_id = :operator and c.partner_id = :partner and c.active "
    f"and c.pushed_at <= :made_at and not exists (select from partner_list_card s where {PAIR})"
)

FOREIGN: Final = text(
    f"select s.uid from partner_list_card s join card c on {PAIR} "  # noqa: S608 - of constants
    f"where c.partner_id is distinct from :partner order by s.uid limit {NAMED_MAX}"
)
FIGURES: Final = text(
    "select (select count(*) from card c where c.operator_id = :operator "  # noqa: S608 - as above
    "and c.partner_id = :partner and c.active and c.pushed_at is not null) as active, "
    f"(select count(*) from card c where {MISSING}) + (select count(*) from partner_list_card s "
    f"join card c on {PAIR} where c.partner_id = :partner and c.active and not s.active "
    "and c.pushed_at <= :made_at) as blocked, "
    "(select count(*) from partner_list_card s where s.list_id = :list) as listed"
)
CHANGE: Final = text(
    f"update card c set ({COLUMNS}, pushed_at, version) = ({SAID}, :made_at, c.version + 1) "  # noqa: S608
    f"from partner_list_card s where {PAIR} and c.partner_id = :partner "
    "and (c.pushed_at is null or c.pushed_at <= :made_at "
    f"and ({HAS}) is distinct from ({SAID}))"
)
BLOCK: Final = text(
    "update card c set active = false, blocked_reason = :gone, pushed_at = :made_at, "  # noqa: S608
    f"version = c.version + 1 where {MISSING}"
)
MAKE: Final = text(
    f"insert into card (id, version, operator_id, uid, partner_id, pushed_at, {COLUMNS}) "  # noqa: S608
    f"select s.card_id, 1, :operator, s.uid, :partner, :made_at, {COLUMNS} "
    "from partner_list_card s where s.list_id = :list and not exists "
    "(select from card c where c.operator_id = :operator and c.uid = s.uid) "
    "on conflict (operator_id, uid) do nothing"
)
ALONE: Final = text("select pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
NEWER: Final = select(PartnerList.id).where(PartnerList.applied_at.is_not(None))


async def alone(db: AsyncSession, partner: Partner) -> None:
    """Raises ApplyUnderWay. Nobody waits: it would be with a connection in hand."""
    if not await db.scalar(ALONE, {"name": f"lists of the partner {partner.id}"}):
        raise ApplyUnderWay("ask again in a while; the answer will be the same")


async def apply(db: AsyncSession, row: PartnerList, *, confirmed: bool) -> Applied:
    """Raises ListOutdated, CardNotYours, ConfirmNeeded."""
    later = NEWER.where(PartnerList.partner_id == row.partner_id, PartnerList.number > row.number)
    if (newer := await db.scalar(later.limit(1))) is not None:
        raise ListOutdated("begin a new one with what holds now", list_id=str(newer))
    values: dict[str, Any] = {
        "list": row.id,
        "operator": row.operator_id,
        "partner": row.partner_id,
        "made_at": row.made_at,
    }
    await _check_foreign(db, values)
    figures = (await db.execute(FIGURES, values)).one()
    if row.mode == "full" and not confirmed and figures.blocked * 2 > figures.active:
        raise ConfirmNeeded(
            "send confirm true if that is right", would_block=figures.blocked, active=figures.active
        )
    actor = await _set_actor(db, "")
    changed = await _count(db, CHANGE, values)
    blocked = await _count(db, BLOCK, values | {"gone": GONE}) if row.mode == "full" else 0
    made = await _count(db, MAKE, values)
    await _check_foreign(db, values)  # somebody may have made one meanwhile
    await _tell(db, row)
    await _set_actor(db, actor)
    result = Applied(
        made=made, changed=changed, blocked=blocked, unchanged=figures.listed - made - changed
    )
    row.applied_at, row.result = now(), result.model_dump()
    await db.flush()
    return result


async def _count(db: AsyncSession, statement: Any, values: dict[str, Any]) -> int:
    done = await db.execute(statement, values)
    return int(done.rowcount)  # type: ignore[attr-defined]


async def _check_foreign(db: AsyncSession, values: dict[str, Any]) -> None:
    """Raises CardNotYours: nothing of a list with somebody else's card holds."""
    if found := (await db.scalars(FOREIGN, values)).all():
        raise CardNotYours("leave these out; nothing was taken over", uids=list(found))


async def _set_actor(db: AsyncSession, actor: str) -> str:
    """The one before. Without an actor, changes are not noted in the audit log."""
    change = text("select current_setting(:name, true) as before, set_config(:name, :actor, true)")
    before = (await db.execute(change, {"name": ACTOR_SETTING, "actor": actor})).one().before
    return before or ""


async def _tell(db: AsyncSession, row: PartnerList) -> None:
    """Those that this list touched: the others were said at another moment."""
    columns = [
        getattr(Card, name) for name in ("id", *sorted(CardState.model_fields.keys() - {"card_id"}))
    ]
    touched = select(*columns).where(
        Card.operator_id == row.operator_id,
        Card.partner_id == row.partner_id,
        Card.pushed_at == row.made_at,
    )
    after: UUID | None = None
    while True:
        query = touched if after is None else touched.where(Card.id > after)
        found = (await db.execute(query.order_by(Card.id).limit(READ_AT_ONCE))).all()
        if not found:
            return
        states = [state(cast(Card, card)) for card in found]  # a row has its columns
        events = (
            CardsImported(operator_id=row.operator_id, cards=tuple(some))
            for some in _pieces(states)
        )
        await outbox.emit(db, *events)
        after = found[-1].id


def _pieces(states: list[CardState]) -> Iterator[list[CardState]]:
    for first in range(0, len(states), TOLD_AT_ONCE):
        yield states[first : first + TOLD_AT_ONCE]
