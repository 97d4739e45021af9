"""The statement of an account: what there was, each movement, and what there is then.

By when things were booked, not by when they happened: what comes late stands in the statement of
the day it comes, and one that was handed out stays as it was.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import text

from billing import tables
from common import exports, single, unsettled
from common.auth import Caller, Principal, scoped
from common.clock import EARLIEST, Moment, now
from common.database import Connections
from common.money import Currency, Exact
from common.problems import Problem

router = APIRouter(prefix="/v1/accounts", tags=["accounts"])

MOVEMENTS_MAX: Final = 10_000  # in JSON; a file has any number
BATCH: Final = 1000
# The clocks of PostgreSQL, by which is booked, and of this service are not as far apart as this.
SETTLED_AFTER: Final = timedelta(seconds=10)
SETTLES_WITHIN_S: Final = 1.0  # who books does it in milliseconds; only an import takes longer
ZERO: Final = Decimal(0)
HEADER: Final = (
    "booked_at", "at", "kind", "memo", "record_id", "payment_id", "currency", "money", "bonus",
    "money_balance", "bonus_balance",
)  # fmt: skip

# One statement, so all of it is of one moment: first what there was before, then each movement.
MOVEMENTS: Final = text(
    """
    select 0 as place, null::uuid as journal_id, null::timestamptz as booked_at,
        null::timestamptz as at, 'opening' as kind, null as memo, null::uuid as record_id,
        null::uuid as payment_id,
        coalesce(sum(p.amount) filter (where p.purse = 'money'), 0) as money,
        coalesce(sum(p.amount) filter (where p.purse = 'bonus'), 0) as bonus
    from posting p join journal j on j.id = p.journal_id
    where p.account_id = :account and j.booked_at < :first
    union all
    select min(p.id), j.id, j.booked_at, j.at, j.kind, j.memo, j.record_id, j.payment_id,
        coalesce(sum(p.amount) filter (where p.purse = 'money'), 0),
        coalesce(sum(p.amount) filter (where p.purse = 'bonus'), 0)
    from posting p join journal j on j.id = p.journal_id
    where p.account_id = :account and j.booked_at >= :first and j.booked_at < :last
    group by j.id
    order by place
    """
)


class TooManyMovements(Problem):
    status = 422
    title = "Too many movements for one answer"


class StatementReversed(Problem):
    status = 422
    title = "The statement would end before it begins"


class BooksOfEveryLocation(Problem):
    status = 403
    title = "The operator's books are for staff who see every location"


From = Annotated[Moment | None, Query(alias="from", description="inclusive")]
To = Annotated[Moment | None, Query(alias="to", description="exclusive; null: up to now")]
FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {}, exports.XLSX: {}}}
}


class Sum(BaseModel):
    """Above zero: the customer's; below: owed by the customer. bonus: never paid out."""

    money: Exact
    bonus: Exact


class Line(BaseModel):
    """A movement; or, without a journal, what there is before the first or after the last."""

    journal_id: UUID | None = None
    booked_at: AwareDatetime | None = None
    at: AwareDatetime | None = Field(default=None, description="when it happened")
    kind: str = Field(description="record, top_up, refund, chargeback, bonus, …")
    memo: str | None = None
    record_id: UUID | None = None
    payment_id: UUID | None = Field(
        default=None, description="the top-up, refund, chargeback or bonus"
    )
    money: Exact
    bonus: Exact
    balance: Sum = Field(description="after it")


class AccountStatementOut(BaseModel):
    account_id: UUID
    currency: Currency
    first: AwareDatetime = Field(alias="from", description="inclusive")
    last: AwareDatetime = Field(alias="to", description="exclusive")
    final: bool = Field(
        description="nothing can be booked into it any more; false also if that is in doubt, "
        "for to was just now or somebody is booking much"
    )
    opening: Sum
    movements: list[Line]
    closing: Sum


@router.get(
    "/{account_id}/statement",
    summary="The statement of an account, as JSON, CSV or a spreadsheet",
    dependencies=[scoped("accounts:read")],
    response_model=AccountStatementOut,
    responses=FILES,
)
async def read_statement(
    account_id: UUID,
    request: Request,
    caller: Caller,
    first: From = None,
    last: To = None,
) -> Any:
    """A customer's, or one of the operator's own (the trial balance has their ids). By the header
    Accept: application/json, text/csv or the type of XLSX.
    """
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        account = await single.get(db, tables.Account, account_id)
    if account.kind != "customer":
        sees_the_books(caller)
    begins, ends = period(first, last)
    lines = _lines(connections, caller, account_id, begins, ends)
    if written := asked_for_file(request):
        cells = _cells(lines, account.currency)
        return await exports.written(HEADER, cells, name=f"statement-{account_id}", format=written)
    final = await settled(connections, ends)  # before they are read, or one could come between
    opening, *movements = await _few(lines)
    return {
        "account_id": account_id,
        "currency": account.currency,
        "from": begins,
        "to": ends,
        "final": final,
        "opening": opening.balance,
        "movements": movements,
        "closing": (movements or [opening])[-1].balance,
    }


def sees_the_books(caller: Principal) -> None:
    """Raises BooksOfEveryLocation."""
    if caller.locations is not None:
        raise BooksOfEveryLocation("they are of all locations together; ask an admin")


def period(first: datetime | None, last: datetime | None) -> tuple[datetime, datetime]:
    """Raises StatementReversed."""
    begins, ends = first or EARLIEST, last or now()
    if ends < begins:
        raise StatementReversed("exchange from and to")
    return begins, ends


def asked_for_file(request: Request) -> Literal["csv", "xlsx"] | None:
    accept = request.headers.get("accept", "")
    if exports.XLSX in accept:
        return "xlsx"
    return "csv" if "text/csv" in accept else None


async def settled(connections: Connections, ends: datetime) -> bool:
    """Whether what is booked before that moment is all to be seen."""
    if ends > now() - SETTLED_AFTER:
        return False
    return await unsettled.gone(connections, tables.Journal, SETTLES_WITHIN_S)


async def _few(lines: AsyncIterator[list[Line]]) -> list[Line]:
    """Raises TooManyMovements."""
    found: list[Line] = []
    async for batch in lines:
        found += batch
        if len(found) > MOVEMENTS_MAX:
            raise TooManyMovements(
                f"{MOVEMENTS_MAX} at most in JSON; ask for a shorter time, or for text/csv"
            )
    return found


async def _lines(
    connections: Connections,
    caller: Principal,
    account_id: UUID,
    first: datetime,
    last: datetime,
) -> AsyncIterator[list[Line]]:
    """What there was, then each movement; in a transaction of their own, for a file is read while
    it is sent.
    """
    values = {"account": account_id, "first": first, "last": last}
    money = bonus = ZERO
    async with connections.acting(caller) as db:
        result = await db.stream(MOVEMENTS, values, execution_options={"yield_per": BATCH})
        async for rows in result.mappings().partitions():
            batch = []
            for row in rows:
                money, bonus = money + row["money"], bonus + row["bonus"]
                batch.append(Line(**row, balance=Sum(money=money, bonus=bonus)))
            yield batch


async def _cells(
    lines: AsyncIterator[list[Line]], currency: str
) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """The same with a line before and after for what there was and is."""
    balance = Sum(money=ZERO, bonus=ZERO)
    async for batch in lines:
        balance = batch[-1].balance
        yield [_row(one, currency) for one in batch]
    last = Line(kind="closing", money=ZERO, bonus=ZERO, balance=balance)
    yield [_row(last, currency)]


def _row(one: Line, currency: str) -> Sequence[Any]:
    moved = (one.money, one.bonus) if one.journal_id else (None, None)
    balance = (one.balance.money, one.balance.bonus)
    return (
        one.booked_at, one.at, one.kind, one.memo, one.record_id, one.payment_id, currency,
        *moved, *balance,
    )  # fmt: skip
