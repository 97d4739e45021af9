"""What there is of what a file names."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, Text, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from identity.people.import_rows import File
from identity.people.import_state import CardNow, Known, UserNow
from identity.refusals import UnknownOperator
from identity.tables import Company, CostCentre, Operator, UserGroup

BATCH: Final = 1000  # between two of them other requests go on

USERS: Final = """
select u.id, u.version, u.external_id, u.name, u.email, u.active,
  array(select m.group_id from user_group_member m
    where m.operator_id = u.operator_id and m.user_id = u.id) as groups
from users u where u.operator_id = :operator and u.external_id is not null
"""
CARDS: Final = """
select c.id, c.version, c.uid, c.kind, c.label, c.active, c.blocked_reason, c.valid_from,
  c.valid_until, c.monthly_cap, c.user_id, u.external_id as person, c.company_id,
  coalesce(o.external_id, o.name) as company, c.company_master, c.cost_centre_id,
  z.code as centre, c.accounting_strategy_id, c.partner_id, c.own_block
from card c left join users u on u.id = c.user_id left join company o on o.id = c.company_id
  left join cost_centre z on z.id = c.cost_centre_id
where c.operator_id = :operator
"""


async def zone_of(db: AsyncSession, operator_id: UUID) -> ZoneInfo:
    name = await db.scalar(select(Operator.time_zone).where(Operator.id == operator_id))
    if name is None:
        raise UnknownOperator("no operator has the id in Operator-Id")
    return ZoneInfo(name)


async def load(db: AsyncSession, operator_id: UUID, file: File, *, full: bool) -> Known:
    """full: all users with an external id and all cards, for what is missing."""
    known = Known()
    async for row in _rows(db, USERS, "u.external_id", operator_id, list(file.named), full=full):
        values = dict(row) | {"groups": frozenset(row["groups"])}
        known.users[row["external_id"]] = UserNow(**values)
    async for row in _rows(db, CARDS, "c.uid", operator_id, list(file.uids), full=full):
        known.cards[row["uid"]] = CardNow(**row)
    await _load_names(db, operator_id, known)
    return known


async def _rows(
    db: AsyncSession, question: str, key: str, operator_id: UUID, keys: Sequence[str], *, full: bool
) -> AsyncIterator[Any]:
    values: dict[str, Any] = {"operator": operator_id}
    statement = text(question)
    if not full:
        named = bindparam("keys", type_=ARRAY(Text))
        statement = text(f"{question} and {key} = any(:keys)").bindparams(named)
        values["keys"] = keys
    result = await db.stream(statement, values, execution_options={"yield_per": BATCH})
    async for batch in result.mappings().partitions():
        for row in batch:
            yield row


async def _load_names(db: AsyncSession, operator_id: UUID, known: Known) -> None:
    groups = select(UserGroup.name, UserGroup.id).where(UserGroup.operator_id == operator_id)
    known.groups = {row.name: row.id for row in await db.execute(groups)}
    companies = select(Company.external_id, Company.id).where(
        Company.operator_id == operator_id, Company.external_id.is_not(None)
    )
    known.companies = {row.external_id: row.id for row in await db.execute(companies)}
    centres = select(CostCentre.company_id, CostCentre.code, CostCentre.id).where(
        CostCentre.operator_id == operator_id
    )
    known.centres = {(row.company_id, row.code): row.id for row in await db.execute(centres)}
