"""Amounts as people send and read them, and the accounts that they are of."""

from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import accounts
from billing.ledger.accounts import AccountClosed
from common.auth import Principal
from common.fields import Body
from common.money import CurrencyIn, Exact, digits, schema
from common.problems import Problem


class UnknownAccount(Problem):
    status = 422
    title = "The operator has no such customer's account"


class CurrencyMismatch(Problem):
    status = 422
    title = "The account is in another currency"


class MoneyOfEveryLocation(Problem):
    status = 403
    title = "Money is moved by staff who see every location"


CENTS: Final = r"[0-9]{1,10}(\.[0-9]{1,2})?"
Cents = Annotated[Exact, digits(CENTS), Field(gt=0), schema(CENTS, "25.00")]


class MoneyIn(Body):
    amount: Cents
    currency: CurrencyIn


def of_every_location(caller: Principal) -> None:
    """Raises MoneyOfEveryLocation."""
    if caller.locations is not None:
        raise MoneyOfEveryLocation("an account is charged to at every location; ask an admin")


async def customer_account(
    db: AsyncSession, operator_id: UUID, account_id: UUID, money: MoneyIn
) -> tables.Account:
    """One that money may come into. Raises UnknownAccount, AccountClosed, CurrencyMismatch."""
    row = await db.get(tables.Account, account_id)
    if row is None or row.operator_id != operator_id or row.kind != "customer":
        raise UnknownAccount(f"no account has the id {account_id}")
    await accounts.lock(db, account_id)  # or it could be closed until the money is booked
    if row.state == "closed":
        raise AccountClosed("open it again first")
    if row.currency != money.currency:
        raise CurrencyMismatch(f"it is in {row.currency}")
    return row


def asked_for(body: Body, **more: Any) -> dict[str, Any]:
    """What somebody asked for, as it is kept beside the Idempotency-Key."""
    return body.model_dump(mode="json") | {name: str(value) for name, value in more.items()}
