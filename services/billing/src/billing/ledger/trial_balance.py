"""The trial balance: what every account of the books was, moved and is, and that it sums to zero.

By when things were booked, as in statements of account. Customers' accounts are one line, for money
and for bonus; each of the operator's own has its line, and its statement.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import text

from billing.ledger import statements
from billing.ledger.entries import AccountKind, Purse
from common import exports
from common.auth import Caller, scoped
from common.database import Connections
from common.money import Currency, Exact

router = APIRouter(prefix="/v1/trial-balance", tags=["accounts"])

HEADER: Final = (
    "kind", "detail", "purse", "currency", "account_id", "opening", "debits", "credits", "closing",
)  # fmt: skip

LINES: Final = text(
    """
    select a.kind, a.detail, p.purse, p.currency,
        case when a.kind <> 'customer' then a.id end as account_id,
        coalesce(sum(p.amount) filter (where j.booked_at < :first), 0) as opening,
        coalesce(-sum(p.amount) filter (where j.booked_at >= :first and p.amount < 0), 0) as debits,
        coalesce(sum(p.amount) filter (where j.booked_at >= :first and p.amount > 0), 0) as credits,
        sum(p.amount) as closing
    from journal j
    join posting p on p.journal_id = j.id
    join account a on a.id = p.account_id
    where j.operator_id = :operator and j.booked_at < :last
    group by 1, 2, 3, 4, 5
    order by p.currency, a.kind, a.detail, p.purse
    """
)


class TrialBalanceLine(BaseModel):
    """closing = opening - debits + credits. Above zero: a credit; below: a debit."""

    kind: AccountKind
    detail: str = Field(description="the VAT rate, the payment provider; mostly empty")
    purse: Purse
    currency: Currency
    account_id: UUID | None = Field(description="null: of all customers together")
    opening: Exact
    debits: Exact
    credits: Exact
    closing: Exact


class TrialBalanceOut(BaseModel):
    first: AwareDatetime = Field(alias="from", description="inclusive")
    last: AwareDatetime = Field(alias="to", description="exclusive")
    final: bool = Field(description="nothing can be booked into it any more, as in a statement")
    lines: list[TrialBalanceLine] = Field(description="in each currency they sum to zero")


@router.get(
    "",
    summary="The trial balance, as JSON, CSV or a spreadsheet",
    dependencies=[scoped("accounts:read")],
    response_model=TrialBalanceOut,
    responses=statements.FILES,
)
async def read_trial_balance(
    request: Request,
    caller: Caller,
    first: statements.From = None,
    last: statements.To = None,
) -> Any:
    """By the header Accept, as a statement of account."""
    statements.sees_the_books(caller)
    operator_id = caller.tenant()
    connections: Connections = request.app.state.connections
    begins, ends = statements.period(first, last)
    final = await statements.settled(connections, ends)
    async with connections.acting(caller) as db:
        values = {"operator": operator_id, "first": begins, "last": ends}
        lines = [TrialBalanceLine(**row) for row in (await db.execute(LINES, values)).mappings()]
    if written := statements.asked_for_file(request):
        return await exports.written(HEADER, _cells(lines), name="trial-balance", format=written)
    return {"from": begins, "to": ends, "final": final, "lines": lines}


async def _cells(lines: Sequence[TrialBalanceLine]) -> AsyncIterator[Sequence[Sequence[Any]]]:
    yield [
        (
            one.kind, one.detail, one.purse, one.currency, one.account_id, one.opening,
            one.debits, one.credits, one.closing,
        )
        for one in lines
    ]  # fmt: skip
