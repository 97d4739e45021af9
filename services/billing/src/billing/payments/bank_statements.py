"""Bank statements (camt.053): transfers with an account's reference are credited, each once.

What names no account, or several, is listed for staff, who assign or dismiss it.
"""

import asyncio
import hashlib
from typing import Any, Final, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import booking, camt, references
from billing.payments.amounts import of_every_location
from billing.payments.camt import Credit, Statement
from billing.payments.topups import NEAR, in_turn
from common import paging, uploads
from common.auth import Caller, scoped
from common.clock import now
from common.database import Connections, Db
from common.ids import uuid7
from common.paging import Cursor, Limit, Page
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/bank-statements", tags=["payments"])

reads = scoped("payments:read")
writes = scoped("payments:write")

BYTES_MAX: Final = 20 * 2**20
BATCH: Final = 500
BY_STATEMENT: Final = "bank statement"  # who made a top-up that came of one


class NotABankStatement(Problem):
    status = 422
    title = "This is no bank statement that can be read"


class BankStatementTooLarge(Problem):
    status = 413
    title = "The bank statement is too large"


class OfAnotherBankAccount(Problem):
    status = 422
    title = "The statement is not of the operator's bank account"


class Counts(BaseModel):
    """Of a file. Entries that earlier files told of are repeated, and nothing comes of them."""

    entries: int = Field(default=0, description="transfers that came in, and that were taken back")
    matched: int = Field(default=0, description="credited by their reference")
    linked: int = Field(default=0, description="staff had credited them before")
    unmatched: int = 0
    repeated: int = 0
    debits: int = Field(default=0, description="left out")
    pending: int = Field(default=0, description="left out: not booked by the bank yet")


class BankStatementOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    digest: str = Field(description="SHA-256 of the file")
    imported_by: str
    imported_at: AwareDatetime
    counts: Counts


@router.get("", summary="List imported statements, the newest first", dependencies=[reads])
async def list_bank_statements(
    db: Db, caller: Caller, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[BankStatementOut]:
    table = tables.BankStatement
    query = select(table)
    if caller.operator_id is not None:
        query = query.where(table.operator_id == caller.operator_id)
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[BankStatementOut.model_validate(row) for row in found], next_cursor=after)


@router.get("/{statement_id}", summary="Read what came of a statement", dependencies=[reads])
async def read_bank_statement(statement_id: UUID, db: Db) -> BankStatementOut:
    row = await db.get(tables.BankStatement, statement_id)
    if row is None:
        raise NotFound(f"there is no bank statement with the id {statement_id}")
    return BankStatementOut.model_validate(row)


@router.post(
    "",
    status_code=201,
    summary="Import a bank statement",
    dependencies=[writes],
    responses={200: {"model": BankStatementOut, "description": "This file was imported before"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/xml": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_bank_statement(
    caller: Caller, request: Request, response: Response
) -> BankStatementOut:
    """camt.053 in any of its versions. All of it counts or nothing; the same file again, or a
    transfer that another file told of, changes nothing, so it needs no Idempotency-Key.
    """
    of_every_location(caller)
    operator_id = caller.tenant()
    too_large = BankStatementTooLarge(f"at most {BYTES_MAX} bytes")
    data = await uploads.body(request, BYTES_MAX, too_large)
    try:
        statements = await asyncio.to_thread(camt.read, data)
    except camt.Unreadable as error:
        raise NotABankStatement(error.why) from error
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        await in_turn(db, operator_id)
        await _check_account(db, operator_id, statements)
        row = await _store(db, operator_id, hashlib.sha256(data).hexdigest(), caller.sub)
        if row is None:
            response.status_code = 200
            row = await _imported(db, operator_id, hashlib.sha256(data).hexdigest())
        else:
            counts = await Importing(db, row, caller.sub).take(statements)
            row.counts = counts.model_dump()
    return BankStatementOut.model_validate(row)


async def _check_account(
    db: AsyncSession, operator_id: UUID, statements: tuple[Statement, ...]
) -> None:
    """Raises OfAnotherBankAccount: a wrong file would credit what never came in."""
    operator = await db.get(tables.Operator, operator_id)
    known = operator and operator.iban
    if known is None:
        raise OfAnotherBankAccount("set the IBAN in the operator's settings first")
    if others := {one.iban for one in statements} - {known}:
        raise OfAnotherBankAccount(f"it is of {min(others)}, the operator's is {known}")


async def _store(
    db: AsyncSession, operator_id: UUID, digest: str, by: str
) -> tables.BankStatement | None:
    """None: it is there."""
    new = insert(tables.BankStatement).values(
        operator_id=operator_id, digest=digest, imported_by=by, counts={}
    )
    return await db.scalar(new.on_conflict_do_nothing().returning(tables.BankStatement))


async def _imported(db: AsyncSession, operator_id: UUID, digest: str) -> tables.BankStatement:
    table = tables.BankStatement
    query = select(table).where(table.operator_id == operator_id, table.digest == digest)
    return (await db.scalars(query)).one()


# Transfers that staff have booked by hand, and that no statement has told of yet.
BOOKED_BY_HAND: Final = text(
    """
    select t.id, t.account_id, t.amount, t.received_on from topup t
    where t.account_id = any(cast(:accounts as uuid[])) and t.way = 'bank' and t.state = 'paid'
        and t.received_on between :first and :last
        and not exists (select from bank_entry e where e.topup_id = t.id)
    order by t.id
    """
)


LINK: Final = text(
    """
    update bank_entry e set topup_id = l.topup
    from unnest(cast(:entries as uuid[]), cast(:topups as uuid[])) l (entry, topup)
    where e.id = l.entry
    """
)


class Importing:
    """One file, in one transaction."""

    def __init__(self, db: AsyncSession, statement: tables.BankStatement, by: str) -> None:
        self._db = db
        self._statement = statement
        self._by = by
        self.counts = Counts()

    async def take(self, statements: tuple[Statement, ...]) -> Counts:
        found = [one for statement in statements for one in statement.credits]
        self.counts.debits = sum(one.debits for one in statements)
        self.counts.pending = sum(one.pending for one in statements)
        accounts = await self._accounts(found)
        meant = {one.key: _meant(one, accounts) for one in found}
        new = await self._kept(found, meant)
        self.counts.entries = len(found)
        self.counts.repeated = len(found) - len(new)
        credited = [(row, account) for row in new if (account := meant[row.key].account)]
        # In everybody's order, so that two files never wait for each other in a circle.
        credited.sort(key=lambda one: (one[1].id, one[0].id))
        self.counts.unmatched = len(new) - len(credited)
        await self._credit(credited)
        return self.counts

    async def _accounts(self, told: list[Credit]) -> dict[str, tables.Account]:
        """By the references that stand in the entries."""
        named = sorted({reference for one in told for reference in _named(one)})
        reference, account = tables.PaymentReference, tables.Account
        query = (
            select(reference.reference, account)
            .join(account, account.id == reference.account_id)
            .where(
                reference.operator_id == self._statement.operator_id,
                text("reference = any(cast(:named as text[]))"),
            )
        )
        found = await self._db.execute(query, {"named": named})
        return {row[0]: row[1] for row in found}

    async def _kept(self, told: list[Credit], meant: dict[str, "_Meant"]) -> list[tables.BankEntry]:
        """Those that no file has told of before."""
        rows = [self._row(one, meant[one.key]) for one in told]
        rows.sort(key=lambda row: str(row["key"]))
        found: list[tables.BankEntry] = []
        for at in range(0, len(rows), BATCH):
            new = insert(tables.BankEntry).on_conflict_do_nothing().returning(tables.BankEntry)
            found += (await self._db.scalars(new, rows[at : at + BATCH])).all()
        return found

    def _row(self, one: Credit, meant: "_Meant") -> dict[str, Any]:
        return {
            "id": uuid7(),  # in the order of the file
            "operator_id": self._statement.operator_id,
            "statement_id": self._statement.id,
            "key": one.key,
            "booked_on": one.booked_on,
            "amount": one.amount,
            "currency": one.currency,
            "bank_reference": one.bank_reference,
            "end_to_end_id": one.end_to_end_id,
            "debtor_name": one.debtor_name,
            "debtor_iban": one.debtor_iban,
            "remittance": one.text,
            "state": "matched" if meant.account else "unmatched",
            "why": meant.why_not,
            "decided_at": now() if meant.account else None,
        }

    async def _credit(self, meant: list[tuple[tables.BankEntry, tables.Account]]) -> None:
        by_hand = await _by_hand(self._db, meant)
        topups: dict[UUID, UUID] = {}  # by entry
        new: list[tables.Topup] = []
        for row, account in meant:
            there = _taken(by_hand, row, account)
            if there is None:
                new.append(_topup(row, account, BY_STATEMENT, row.remittance))
            topups[row.id] = there or new[-1].id
        self.counts.matched, self.counts.linked = len(new), len(meant) - len(new)
        self._db.add_all(new)
        await self._db.flush()
        values = {"entries": list(topups), "topups": list(topups.values())}
        await self._db.execute(LINK, values)
        for topup in new:
            await booking.book(self._db, topup, BY_STATEMENT)


async def _by_hand(
    db: AsyncSession, meant: list[tuple[tables.BankEntry, tables.Account]]
) -> list[Any]:
    if not meant:
        return []
    days = [row.booked_on for row, _ in meant]
    values = {
        "accounts": sorted({account.id for _, account in meant}),
        "first": min(days) - NEAR,
        "last": max(days) + NEAR,
    }
    return list((await db.execute(BOOKED_BY_HAND, values)).all())


def _taken(by_hand: list[Any], row: tables.BankEntry, account: tables.Account) -> UUID | None:
    """The top-up that staff have made of this entry; each is of one."""
    for at, one in enumerate(by_hand):
        same = (one.account_id, one.amount) == (account.id, row.amount)
        if same and abs(one.received_on - row.booked_on) <= NEAR:
            del by_hand[at]
            return UUID(str(one.id))
    return None


class _Meant(NamedTuple):
    """The account that an entry is credited to, or why to none."""

    account: tables.Account | None
    why_not: str | None


def _named(one: Credit) -> set[str]:
    return references.found_in(f"{one.end_to_end_id or ''}\n{one.text}")


def _meant(one: Credit, accounts: dict[str, tables.Account]) -> _Meant:
    found = {accounts[name].id: accounts[name] for name in _named(one) if name in accounts}
    if one.amount < 0:
        return _Meant(None, "the bank has taken a transfer back; name the top-up that it was of")
    if len(found) != 1:
        return _Meant(None, "it names several accounts" if found else "it names no account")
    (account,) = found.values()
    if account.currency != one.currency:
        return _Meant(None, f"the account is in {account.currency}")
    if account.state == "closed":
        return _Meant(None, "the account is closed")
    return _Meant(account, None)


def _topup(row: tables.BankEntry, account: tables.Account, by: str, reason: str) -> tables.Topup:
    return tables.Topup(
        id=uuid7(),
        operator_id=row.operator_id,
        account_id=account.id,
        way="bank",
        amount=row.amount,
        currency=row.currency,
        state="paid",
        paid_at=now(),
        made_by=by,
        received_on=row.booked_on,
        receipt=row.bank_reference,
        reason=reason[:200] or None,
    )


async def credit(
    db: AsyncSession, row: tables.BankEntry, account: tables.Account, by: str, reason: str
) -> None:
    """The entry is linked with what staff have booked of it by hand, else with a new top-up.

    The caller has waited for its turn (topups.in_turn).
    """
    row.topup_id = _taken(await _by_hand(db, [(row, account)]), row, account)
    if row.topup_id is not None:
        await db.flush()
        return
    topup = _topup(row, account, by, reason)
    db.add(topup)
    await db.flush()
    row.topup_id = topup.id
    await booking.book(db, topup, by)
