"""Drivers top up their own wallet, online, by an app."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import account_for
from billing.payments import topups
from billing.payments.amounts import CurrencyMismatch, MoneyIn
from billing.payments.topups import OnlineIn, State, Way
from billing.pricing.payers import account_of
from billing.pricing.resolution import strategy_of_user
from common import idempotency, paging
from common.auth import Caller, Principal, scoped
from common.database import Connections, Db
from common.fields import Body
from common.money import Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/me/topups", tags=["me"])

reads = scoped("me:read")
writes = scoped("me:write")

DESCRIPTION: Final = "Top-up"


class NotADriver(Problem):
    status = 403
    title = "Only a driver has a wallet of their own"


class MyTopupIn(Body):
    account_id: UUID | None = Field(
        default=None, description="one of /v1/me/accounts; null: that of the currency, opened now"
    )
    amount: MoneyIn
    redirect_url: Annotated[str, Field(max_length=500, pattern=r"^https?://[!-~]+$")] = Field(
        description="where the provider sends the driver back to",
        examples=["https://app.example/wallet"],
    )


class MyTopupOut(BaseModel):
    id: UUID
    account_id: UUID
    way: Way
    amount: Money
    state: State
    made_at: AwareDatetime
    paid_at: AwareDatetime | None
    checkout_url: str | None = Field(description="where one pays, as long as it is open")


def _driver(caller: Principal) -> UUID:
    """Raises NotADriver."""
    if caller.user_id is None:
        raise NotADriver("sign in as a driver")
    return caller.user_id


@router.post(
    "",
    status_code=201,
    summary="Top up my account online",
    dependencies=[writes],
    responses={200: {"model": MyTopupOut, "description": "It was made before, with this key"}},
)
async def make_my_topup(
    body: MyTopupIn, caller: Caller, key: idempotency.Key, request: Request, response: Response
) -> MyTopupOut:
    """Pay at checkout_url. It is credited once the provider, asked by us, says that it is paid."""
    user_id = _driver(caller)
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        account_id = await _account(db, caller.tenant(), user_id, body)
    online = OnlineIn(
        way="provider",
        account_id=account_id,
        amount=body.amount,
        redirect_url=body.redirect_url,
        description=DESCRIPTION,
    )
    # Keys are the operator's: another driver may have thought of the same.
    made = await topups.made(online, caller, f"{user_id} {key}", request, response)
    return MyTopupOut.model_validate(made, from_attributes=True)


async def _account(db: AsyncSession, operator_id: UUID, user_id: UUID, body: MyTopupIn) -> UUID:
    """Raises NotFound, for another driver's too, CurrencyMismatch and NoPaymentProvider."""
    account = tables.Account
    if body.account_id is None:
        currency, tariff = body.amount.currency, tables.Tariff
        sold_in = select(tariff.id).where(
            tariff.operator_id == operator_id,
            tariff.currency == currency,
            tariff.withdrawn_at.is_(None),
        )
        if await db.scalar(sold_in.limit(1)) is None:
            raise CurrencyMismatch(f"nothing costs {currency} here")
        there = _accounts(user_id).where(
            account.operator_id == operator_id, account.currency == currency
        )
        found: UUID | None = await db.scalar(there)
        return found or await _opened(db, operator_id, user_id, currency)
    query = _accounts(user_id).where(account.id == body.account_id)
    if await db.scalar(query) is None:
        raise NotFound(f"you have no account with the id {body.account_id}")
    return body.account_id


async def _opened(db: AsyncSession, operator_id: UUID, user_id: UUID, currency: str) -> UUID:
    """With the limits that the driver's next session would give it, none if nobody bills them: it
    stays there when they ask and do not pay, and must not keep them from charging.

    Raises NoPaymentProvider.
    """
    await topups.provider_of(db, operator_id)
    strategy = await strategy_of_user(db, operator_id, user_id)
    if strategy is None:
        return await account_for(db, operator_id, "user", user_id, currency)
    return await account_of(db, strategy, "user", user_id, currency)


def _accounts(user_id: UUID) -> Select[Any]:
    account = tables.Account
    return select(account.id).where(account.owner_kind == "user", account.owner_id == user_id)


@router.get("", summary="My top-ups, the newest first", dependencies=[reads])
async def list_my_topups(
    db: Db, caller: Caller, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[MyTopupOut]:
    table = tables.Topup
    query = select(table).where(
        table.operator_id == caller.operator_id,
        table.account_id.in_(_accounts(_driver(caller))),
    )
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    items = [MyTopupOut.model_validate(topups.out(row), from_attributes=True) for row in found]
    return Page[MyTopupOut](items=items, next_cursor=after)
