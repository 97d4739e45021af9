"""Who has which accounting strategy: companies, users, user groups, or everybody by default.

A card carries its own, which identity keeps (`accounting_strategy_id`). Each holder has one at
most; resolution.py says whose counts.
"""

from contextlib import AbstractContextManager
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.pricing.choosing import HolderKind
from billing.pricing.payers import account_of
from billing.pricing.strategies import (
    UnknownStrategy,
    known_strategy,
    of_every_location,
    reads,
    writes,
)
from common import outbox, paging, single
from common.auth import Caller
from common.database import Db
from common.events import StrategyAssignmentChanged
from common.fields import Body, Patch
from common.paging import Cursor, Limit, Page
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected

router = APIRouter(prefix="/v1/strategy-assignments", tags=["accounting strategies"])

PRIORITY_MAX: Final = 1000
STRATEGY_THERE: Final = "fk_strategy_assignment_operator_id_strategy_id"
KEPT: Final[dict[HolderKind, type[Any]]] = {
    "company": tables.Company, "user": tables.Person, "user_group": tables.UserGroup,
}  # fmt: skip


class StrategySwitchedOff(Problem):
    status = 422
    title = "The accounting strategy is switched off"


class UnknownHolder(Problem):
    status = 422
    title = "The operator has no such company, user or user group"


class HolderHasStrategy(Problem):
    status = 409
    title = "It has an accounting strategy already"


class MasterCardHasStrategy(Problem):
    status = 409
    title = "The company's master card carries another accounting strategy"


class ReverseChargeNeedsVatId(Problem):
    status = 422
    title = "A reverse charge is for a company with a VAT id"


class Holder(Body):
    kind: HolderKind
    id: UUID | None = Field(default=None, description="null: kind is everybody")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "everybody") != (self.id is None):
            raise ValueError("everybody has no id, any other holder has one")
        return self


Priority = Annotated[
    int,
    Field(
        ge=0, le=PRIORITY_MAX, description="of user groups: the higher one's counts, then the later"
    ),
]


class AssignmentIn(Body):
    strategy_id: UUID
    holder: Holder
    priority: Priority = 0


class AssignmentPatch(Patch):
    strategy_id: UUID | None = None
    priority: Priority | None = None


class AssignmentOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    strategy_id: UUID
    holder: Holder
    priority: int
    version: int

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, row: Any) -> Any:
        if not isinstance(row, tables.StrategyAssignment):
            return row
        columns = {name: getattr(row, name) for name in cls.model_fields if name != "holder"}
        return columns | {"holder": Holder(kind=_kind(row), id=row.holder_id)}


@router.get("", summary="List who has which strategy", dependencies=[reads])
async def list_assignments(
    db: Db,
    caller: Caller,
    strategy_id: UUID | None = None,
    holder_kind: HolderKind | None = None,
    holder_id: UUID | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[AssignmentOut]:
    table = tables.StrategyAssignment
    wanted = {
        table.operator_id: caller.operator_id,
        table.strategy_id: strategy_id,
        table.holder_kind: holder_kind,
        table.holder_id: holder_id,
    }
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    return Page(items=[AssignmentOut.model_validate(row) for row in found], next_cursor=after)


@router.get("/{assignment_id}", summary="Read one assignment", dependencies=[reads])
async def read_assignment(assignment_id: UUID, db: Db, response: Response) -> AssignmentOut:
    row = await single.get(db, tables.StrategyAssignment, assignment_id)
    return AssignmentOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Give somebody a strategy", dependencies=[writes])
async def assign(body: AssignmentIn, db: Db, caller: Caller, response: Response) -> AssignmentOut:
    """From the next session on. A card's own strategy is set at identity."""
    of_every_location(caller)
    row = tables.StrategyAssignment(
        operator_id=caller.tenant(),
        strategy_id=body.strategy_id,
        holder_kind=body.holder.kind,
        holder_id=body.holder.id,
        priority=body.priority,
    )
    strategy = await _check(db, row)
    db.add(row)
    with _refusing(body.holder.kind):
        await db.flush()
    await _open_account(db, row, strategy)
    await _tell(db, row)
    return AssignmentOut.model_validate(single.tagged(response, row))


@router.patch("/{assignment_id}", summary="Give another strategy", dependencies=[writes])
async def reassign(
    assignment_id: UUID,
    body: AssignmentPatch,
    expected: Expected,
    db: Db,
    caller: Caller,
    response: Response,
) -> AssignmentOut:
    """From the next session on; those that run keep their terms."""
    of_every_location(caller)
    with refusing({STRATEGY_THERE: UnknownStrategy(f"no strategy has the id {body.strategy_id}")}):
        row = await single.change(
            db, tables.StrategyAssignment, assignment_id, expected, body.changes()
        )
    await _open_account(db, row, await _check(db, row))
    await _tell(db, row)
    return AssignmentOut.model_validate(single.tagged(response, row))


@router.delete(
    "/{assignment_id}", status_code=204, summary="Take a strategy away", dependencies=[writes]
)
async def take_away(assignment_id: UUID, expected: Expected, db: Db, caller: Caller) -> None:
    of_every_location(caller)
    # A version of its own, so that what is told of the end is newer than what was told before.
    row = await single.change(db, tables.StrategyAssignment, assignment_id, expected, {})
    await db.delete(row)
    await db.flush()
    await _tell(db, row, removed=True)


async def _check(db: AsyncSession, row: tables.StrategyAssignment) -> tables.AccountingStrategy:
    """The strategy. Raises what refuses the assignment."""
    strategy = await known_strategy(db, row.operator_id, row.strategy_id)
    if not strategy.active:
        raise StrategySwitchedOff(f"switch {strategy.name!r} on first")
    holder = await _holder(db, row)
    if strategy.tax == "reverse_charge" and not (
        isinstance(holder, tables.Company) and holder.vat_id
    ):
        raise ReverseChargeNeedsVatId(f"of {strategy.name!r} the customer owes the VAT")
    if isinstance(holder, tables.Company):
        carried = select(tables.Card.accounting_strategy_id).where(
            tables.Card.operator_id == row.operator_id,
            tables.Card.company_id == holder.company_id,
            tables.Card.company_master,
            tables.Card.accounting_strategy_id != row.strategy_id,
        )
        if other := await db.scalar(carried.limit(1)):
            raise MasterCardHasStrategy(f"the master card carries {other}; change it there")
    return strategy


async def _open_account(
    db: AsyncSession, row: tables.StrategyAssignment, strategy: tables.AccountingStrategy
) -> None:
    """So that whoever prepays can pay before the first session; of a group's users each account is
    opened when it is needed.
    """
    kind = _kind(row)
    if strategy.method == "free" or row.holder_id is None:
        return
    if kind in {"user", "company"}:
        await account_of(db, strategy, "user" if kind == "user" else "company", row.holder_id)


async def _holder(db: AsyncSession, row: tables.StrategyAssignment) -> object:
    """What billing knows of it. Raises UnknownHolder."""
    if row.holder_kind == "everybody":
        return None
    kept = KEPT[_kind(row)]
    holder = await db.get(kept, row.holder_id)
    gone = getattr(holder, "deleted", False)
    if holder is None or holder.operator_id != row.operator_id or gone:
        raise UnknownHolder(f"no {row.holder_kind} has the id {row.holder_id}")
    return holder


def _kind(row: tables.StrategyAssignment) -> HolderKind:
    kind: HolderKind = row.holder_kind  # type: ignore[assignment]
    return kind


def _refusing(kind: HolderKind) -> AbstractContextManager[None]:
    taken = HolderHasStrategy(f"this {kind} has one: change that, or take it away")
    return refusing(
        {
            "uq_strategy_assignment_operator_id_holder_kind_holder_id": taken,
            "uq_strategy_assignment_everybody": taken,
        }
    )


async def _tell(db: AsyncSession, row: tables.StrategyAssignment, *, removed: bool = False) -> None:
    await outbox.emit(
        db,
        StrategyAssignmentChanged(
            operator_id=row.operator_id,
            assignment_id=row.id,
            version=row.version,
            strategy_id=row.strategy_id,
            holder_kind=_kind(row),
            holder_id=row.holder_id,
            priority=row.priority,
            removed=removed,
        ),
    )
