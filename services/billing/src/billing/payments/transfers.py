"""How a customer transfers money: to which bank account, with which reference, and as a QR code."""

import secrets
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import accounts
from billing.payments import girocode, references
from billing.payments.girocode import Transfer
from common.auth import scoped
from common.database import Db
from common.problems import Problem

router = APIRouter(prefix="/v1/accounts", tags=["payments"])

reads = scoped("accounts:read")

EURO: Final = "EUR"
TRIES: Final = 20  # of ten billion numbers one is soon free
MAKE: Final = text(
    """
    insert into payment_reference (account_id, operator_id, reference)
    values (:account, :operator, :reference) on conflict do nothing
    """
)
KINDS: Final = {"svg": "image/svg+xml", "png": "image/png"}
CODE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {kind: {"schema": {"type": "string"}} for kind in KINDS.values()}}
}


class NoBankAccount(Problem):
    status = 409
    title = "The operator's bank account is not known"


class NotInEuros(Problem):
    status = 409
    title = "Only euros are transferred by such a code"


class TransferOut(BaseModel):
    """What stands on the customer's transfer."""

    account_id: UUID
    payee: str
    iban: str
    bic: str | None
    reference: str = Field(description="ISO 11649", examples=["RF480539007547"])
    printed: str = Field(description="the same in groups of four", examples=["RF48 0539 0075 47"])


@router.get(
    "/{account_id}/transfer", summary="How money is transferred to an account", dependencies=[reads]
)
async def read_transfer(account_id: UUID, db: Db) -> TransferOut:
    account = await accounts.get(db, account_id)
    operator = await _bank(db, account.operator_id)
    reference = await reference_of(db, account)
    return TransferOut(
        account_id=account.id,
        payee=operator.payee or "",
        iban=operator.iban or "",
        bic=operator.bic,
        reference=reference,
        printed=references.printed(reference),
    )


@router.get(
    "/{account_id}/transfer/code",
    summary="A QR code by which a banking app fills in the transfer (EPC069-12, GiroCode)",
    dependencies=[reads],
    responses=CODE,
    response_class=Response,
)
async def read_code(
    account_id: UUID,
    db: Db,
    amount: Annotated[
        Decimal | None,
        Query(
            ge=girocode.LEAST,
            le=girocode.MOST,
            decimal_places=2,
            description="in euros; null: the customer types it",
        ),
    ] = None,
    format: Literal["svg", "png"] = "svg",  # noqa: A002 - as the parameter is called
) -> Response:
    account = await accounts.get(db, account_id)
    if account.currency != EURO:
        raise NotInEuros(f"the account is in {account.currency}")
    operator = await _bank(db, account.operator_id)
    transfer = Transfer(
        name=operator.payee or "",
        iban=operator.iban or "",
        bic=operator.bic,
        amount=amount,
        reference=await reference_of(db, account),
    )
    image = girocode.svg(transfer) if format == "svg" else girocode.png(transfer)
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    return Response(image, media_type=KINDS[format], headers=headers)


async def reference_of(db: AsyncSession, account: tables.Account) -> str:
    """The account's own; made when it is first asked for, and the same for good."""
    query = select(tables.PaymentReference.reference).where(
        tables.PaymentReference.account_id == account.id
    )
    for _ in range(TRIES):
        found: str | None = await db.scalar(query)
        if found is not None:
            return found
        # Random, so that a reference does not tell how many customers there are.
        new = references.made(secrets.randbelow(references.NUMBERS))
        values = {"account": account.id, "operator": account.operator_id, "reference": new}
        await db.execute(MAKE, values)
    raise AssertionError("no reference is free")


async def _bank(db: AsyncSession, operator_id: UUID) -> tables.Operator:
    """Raises NoBankAccount."""
    row = await db.get(tables.Operator, operator_id)
    if row is None or row.iban is None or row.payee is None:
        raise NoBankAccount("set its IBAN in the operator's settings")
    return row
