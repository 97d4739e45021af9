"""What billing needs of identity's people, user groups and cards, and of companies: whose strategy
counts for a card, and that an assignment names somebody who is there.
"""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Insert
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import memberships, tables
from common.events import (
    CardChanged,
    CardsImported,
    CompanyChanged,
    UserChanged,
    UserGroupChanged,
    UsersImported,
)


def _keep(table: Any, key: str, columns: tuple[str, ...]) -> Insert:
    new = insert(table)
    return new.on_conflict_do_update(
        index_elements=[key],
        set_={name: new.excluded[name] for name in ("operator_id", "version", *columns)},
        where=table.version < new.excluded.version,
    )


OF_PERSON: Final = ("group_ids",)
OF_CARD: Final = (
    "user_id", "company_id", "company_master", "cost_centre_id", "partner_id",
    "accounting_strategy_id",
)  # fmt: skip
OF_COMPANY: Final = ("name", "active", "vat_id")
KEEP_PERSON: Final = _keep(tables.Person, "user_id", OF_PERSON)
KEEP_CARD: Final = _keep(tables.Card, "card_id", OF_CARD)
KEEP_GROUP: Final = _keep(tables.UserGroup, "group_id", ("deleted",))
KEEP_COMPANY: Final = _keep(tables.Company, "company_id", OF_COMPANY)


async def keep_user(db: AsyncSession, event: UserChanged) -> None:
    await _all(db, KEEP_PERSON, event.operator_id, [event], ("user_id", *OF_PERSON))
    await memberships.keep(db, event.operator_id, [event], event.occurred_at)


async def keep_users(db: AsyncSession, event: UsersImported) -> None:
    await _all(db, KEEP_PERSON, event.operator_id, event.users, ("user_id", *OF_PERSON))
    await memberships.keep(db, event.operator_id, event.users, event.occurred_at)


async def keep_card(db: AsyncSession, event: CardChanged) -> None:
    await _all(db, KEEP_CARD, event.operator_id, [event], ("card_id", *OF_CARD))


async def keep_cards(db: AsyncSession, event: CardsImported) -> None:
    await _all(db, KEEP_CARD, event.operator_id, event.cards, ("card_id", *OF_CARD))


async def keep_user_group(db: AsyncSession, event: UserGroupChanged) -> None:
    await _all(db, KEEP_GROUP, event.operator_id, [event], ("group_id", "deleted"))


async def keep_company(db: AsyncSession, event: CompanyChanged) -> None:
    await _all(db, KEEP_COMPANY, event.operator_id, [event], ("company_id", *OF_COMPANY))


async def _all(
    db: AsyncSession,
    keep: Insert,
    operator_id: UUID | None,
    told: Iterable[BaseModel],
    columns: tuple[str, ...],
) -> None:
    """In the order of the key, so that two events of the same rows wait for each other in line."""
    rows = [one.model_dump(include={"version", *columns}) for one in told]
    rows.sort(key=lambda row: str(row[columns[0]]))
    if rows:
        await db.execute(keep, [row | {"operator_id": operator_id} for row in rows])
