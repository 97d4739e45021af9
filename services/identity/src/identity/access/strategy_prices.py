"""Whether a card has a price by an accounting strategy, if the operator has no tariff of its own.

Asked only then, so it costs the others nothing. Billing finds the price itself when a session
begins; here it only matters that there is one. A partner's agreement alone makes none here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.closest import chosen
from common.events import AccountingStrategyChanged, StrategyAssignmentChanged
from common.places import Names
from identity.tables import AccountingStrategy, StrategyAssignment

# In the order in which billing looks (docs/strategies.md): the first that is there, then
# everybody's.
OF_CARD: Final = """
select s.tariffs, c.turn from (
    select 0 as turn, 0 as priority, $2::uuid as strategy_id, null::uuid as assignment_id
    where $3::uuid is null or $4
    union all
    select 1, 1, m.accounting_strategy_id, null from card m
    where m.operator_id = $1 and m.company_id = $3 and m.company_master
    union all
    select case a.holder_kind
            when 'company' then 1 when 'user' then 2 when 'user_group' then 3 else 9 end,
        case a.holder_kind when 'user_group' then a.priority else 0 end,
        a.strategy_id, a.assignment_id
    from strategy_assignment a
    where a.operator_id = $1 and not a.removed and (
        a.holder_kind = 'everybody'
        or a.holder_kind = 'company' and a.holder_id = $3
        or $3::uuid is null and (
            a.holder_kind = 'user' and a.holder_id = $5
            or a.holder_kind = 'user_group' and a.holder_id = any($6::uuid[])
        )
    )
) c
join accounting_strategy s on s.operator_id = $1 and s.strategy_id = c.strategy_id and s.active
order by c.turn, c.priority desc, c.assignment_id desc
"""
EVERYBODY: Final = 9


@dataclass(frozen=True)
class Entry:
    """One of a strategy's tariffs. priced_from: None: it is the operator's own price."""

    id: int
    places: Names
    valid_from: date | None
    valid_until: date | None
    priced_from: datetime | None


async def has_price(
    pool: "asyncpg.Pool[asyncpg.Record]",
    operator_id: UUID,
    card: asyncpg.Record,
    here: Names,
    at: datetime,
) -> bool:
    """card: the row that authorizations.FACTS finds."""
    rows = await pool.fetch(
        OF_CARD, operator_id, card["accounting_strategy_id"], card["company_id"],
        card["company_master"], card["user_id"], card["user_group_ids"],
    )  # fmt: skip
    mine = [row["tariffs"] for row in rows if row["turn"] != EVERYBODY][:1]
    mine += [row["tariffs"] for row in rows if row["turn"] == EVERYBODY]
    day = at.astimezone(ZoneInfo(card["time_zone"])).date()
    return any(priced(entries(tariffs), here, day, at) for tariffs in mine)


def priced(those: Iterable[Entry], here: Names, day: date, at: datetime) -> bool:
    found = chosen(those, here, day)
    return found is not None and found.priced_from is not None and found.priced_from <= at


def entries(tariffs: Sequence[dict[str, Any]]) -> list[Entry]:
    """As billing told them."""
    return [
        Entry(
            number,
            frozenset({(one["place"]["kind"], one["place"]["id"] or "")}),
            date.fromisoformat(one["valid_from"]) if one["valid_from"] else None,
            date.fromisoformat(one["valid_until"]) if one["valid_until"] else None,
            datetime.fromisoformat(one["priced_from"]) if one["priced_from"] else None,
        )
        for number, one in enumerate(tariffs)
    ]


_STRATEGY: Final = insert(AccountingStrategy)
KEEP_STRATEGY: Final = _STRATEGY.on_conflict_do_update(
    index_elements=["strategy_id"],
    set_={name: _STRATEGY.excluded[name] for name in ("version", "active", "tariffs")},
    where=AccountingStrategy.version < _STRATEGY.excluded.version,
)
_GIVEN: Final = insert(StrategyAssignment)
KEEP_GIVEN: Final = _GIVEN.on_conflict_do_update(
    index_elements=["assignment_id"],
    set_={
        name: _GIVEN.excluded[name] for name in ("version", "strategy_id", "priority", "removed")
    },
    where=StrategyAssignment.version < _GIVEN.excluded.version,
)


async def keep_strategy(db: AsyncSession, event: AccountingStrategyChanged) -> None:
    facts = event.model_dump(include={"strategy_id", "operator_id", "version", "active"})
    listed = event.model_dump(mode="json")["tariffs"]
    await db.execute(KEEP_STRATEGY, facts | {"tariffs": listed})


async def keep_assignment(db: AsyncSession, event: StrategyAssignmentChanged) -> None:
    columns = {
        "assignment_id", "operator_id", "version", "strategy_id", "holder_kind", "holder_id",
        "priority", "removed",
    }  # fmt: skip
    await db.execute(KEEP_GIVEN, event.model_dump(include=columns))
