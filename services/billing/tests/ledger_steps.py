"""What happens to a ledger, done by the product's own functions, and what is in it then.

Each method is one of ledger_model's, and answers as that one does.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from fastapi import FastAPI, Request, Response
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.ledger import account_for, accounts, book_record, book_records, holds, prepaid
from billing.ledger.accounts import Reason
from billing.ledger.prepaid import Prepaid
from billing.payments import answers, bonuses, refunds, topups
from billing.payments.amounts import MoneyIn
from billing.payments.provider import Chargeback, Payment, Refund
from billing.records import corrections, deciding, reviews
from billing.records.closing import close_records
from billing.records.deciding import DecisionOut, Ruling
from billing.settings import Settings
from billing.terms import Terms, to_json
from common.auth import Principal
from common.clock import now
from common.database import Connections
from common.ids import uuid7
from common.problems import Problem

from .ledger_model import Account, Postings, Step

WH_PER_UNIT = 10_000  # the tariff is 0.10 a kWh, VAT in it; below 50 Wh nothing is charged
# Nothing of this is ever there. An id of what is wrong.
WRONG = {
    "a balance is not the sum of its postings": """
        select b.account_id::text from balance b left join posting p using (account_id)
        group by b.account_id
        having b.posted <> coalesce(sum(p.amount) filter (where p.purse = 'money'), 0)
            or b.bonus <> coalesce(sum(p.amount) filter (where p.purse = 'bonus'), 0)""",
    "what is held is not the sum of the holds": """
        select b.account_id::text from balance b
        left join hold h on h.account_id = b.account_id and h.state = 'held'
        group by b.account_id having b.held <> coalesce(sum(h.amount), 0)""",
    "a journal is off in a currency": """
        select p.journal_id::text from posting p join account a on a.id = p.account_id
        group by p.journal_id, a.currency having sum(p.amount) <> 0""",
    "a record has moved another customer than its payer": """
        select j.event_id from journal j join record r on r.id = j.record_id
        join posting p on p.journal_id = j.id join account a on a.id = p.account_id
        where a.kind = 'customer' and a.id is distinct from r.account_id""",
    "a payment has moved another customer than its own": """
        select j.event_id from journal j
        join (select id, account_id from topup union all select id, account_id from refund
            union all select id, account_id from bonus
            union all select id, account_id from chargeback) own on own.id = j.payment_id
        join posting p on p.journal_id = j.id join account a on a.id = p.account_id
        where a.kind = 'customer' and a.id <> own.account_id""",
    "bonus is below zero": "select account_id::text from balance where bonus < 0",
    # What a customer takes back may go there; what a prepaid session costs may not.
    "a wallet is below its floor for what it was charged": """
        select b.account_id::text from balance b join account a on a.id = b.account_id
        left join posting p on p.account_id = a.id and p.purse = 'money' and p.amount < 0
            and exists (select from journal j where j.id = p.journal_id
                and j.kind in ('refund', 'chargeback'))
        where a.owner_kind <> 'company'
        group by b.account_id, a.id
        having b.posted < -(a.credit_limit + a.floor) + coalesce(sum(p.amount), 0)""",
    "a record that counts is not booked once": """
        select r.id::text from record r
        left join journal j on j.record_id = r.id and j.kind = 'record'
        where not exists (select from incident i
            where i.session_id = r.session_id and i.decided_at is null)
        group by r.id having count(j.id) <> 1""",
}
BALANCES = (
    "select a.id, b.posted, b.bonus, b.held, a.state from balance b join account a on a.id = "
    "b.account_id"
)
# By what tests call them. A record is the so-and-so-many of its session.
NAMES = """
select id::text, idempotency_key as name from topup where idempotency_key is not null
union all select id::text, coalesce(idempotency_key, provider_refund_id) from refund
union all select id::text, idempotency_key from bonus
union all select id::text, provider_chargeback_id from chargeback
union all select id::text, transaction_id || '.' ||
    row_number() over (partition by session_id order by id) - 1 from record
"""
# In the order in which bonus is spent: by the customer's own posting of it.
JOURNALS = """
select j.event_id, p.account_id::text, a.kind, a.detail, a.currency, p.purse, p.amount
from journal j left join posting p on p.journal_id = j.id left join account a on a.id = p.account_id
order by min(p.id) filter (where p.purse = 'bonus') over (partition by j.id) nulls last, p.id
"""
HELD = """
select coalesce(s.transaction_id, h.key) as key, h.account_id::text, h.amount,
    h.expires_at < now() as due
from hold h left join session s on s.id = h.session_id where h.state = 'held' order by h.expires_at
"""
SESSIONS = """
select s.transaction_id as key, s.state,
    exists (select from incident i where i.session_id = s.id and i.decided_at is null) as doubted,
    coalesce((select d.verdict = 'void' from decision d where d.session_id = s.id
        order by d.id desc limit 1), false) as void,
    array(select total_gross from record r where r.session_id = s.id order by r.id) as records
from session s
"""


class Seen(NamedTuple):
    """What is in the database."""

    balances: dict[str, tuple[Decimal, Decimal, Decimal, str]]  # money, bonus, held, state
    journals: dict[str, Postings]  # in the order of booking
    holds: dict[str, tuple[str, Decimal, bool]]  # of whom, how much, is it over; the first first
    # State, doubted, found void at last, its records' gross.
    sessions: dict[str, tuple[str, bool, bool, list[Decimal]]]


class World:
    """An operator of its own."""

    def __init__(self, settings: Settings, connections: Connections) -> None:
        self.settings = settings
        self.connections = connections
        self.operator = uuid7()
        self.began_at = now()
        self.caller = Principal(
            sub="staff", role="admin", operator_id=self.operator, scopes=frozenset()
        )
        app = FastAPI()
        app.state.connections = self.connections
        self.request = Request({"type": "http", "app": app})
        self.ids: dict[str, UUID] = {}
        self.of: dict[str, Account] = {}
        self.tariffs: dict[str, UUID] = {}

    def begin_(self) -> Any:
        return self.connections.begin(self.operator)

    def id_of(self, key: str) -> UUID:
        return uuid5(self.operator, key)

    def name_of(self) -> dict[str, str]:
        return {str(found): name for name, found in self.ids.items()}

    def money(self, account: str, sum_: Decimal) -> MoneyIn:
        return MoneyIn.model_validate({"amount": str(sum_), "currency": self.of[account].currency})

    async def open(self, those: dict[str, Account]) -> None:
        async with self.begin_() as db:
            for name, one in those.items():
                kind: Any = "company" if one.method == "monthly" else "user"
                self.of[name] = one
                self.ids[name] = await account_for(
                    db, self.operator, kind, uuid7(), one.currency,
                    credit_limit=one.limit, floor=one.floor,
                )  # fmt: skip
            for currency in {one.currency for one in those.values()}:
                tariff = tables.Tariff(
                    operator_id=self.operator, series_id=uuid7(), name="house", currency=currency,
                    tax_included=True, vat_percent=Decimal(19), energy_price=Decimal("0.1"),
                    time_price=Decimal(0), start_fee=Decimal(0), valid_from=self.began_at,
                    agreed_only=True,
                )  # fmt: skip
                db.add(tariff)
                await db.flush()
                self.tariffs[currency] = tariff.id

    async def happens(self, step: Step) -> Any:
        try:
            return await getattr(self, step.name)(**step.said)
        except Problem as problem:
            return type(problem).__name__

    async def _made(self, route: Callable[..., Any], *said: Any) -> str:
        response = Response()
        response.status_code = 201
        await route(*said, response)
        return "made" if response.status_code == 201 else "made before"

    # Money that comes and goes.

    async def cash(self, key: str, account: str, sum_: Decimal) -> str:
        body = topups.CashIn(
            way="cash", account_id=self.ids[account], amount=self.money(account, sum_),
            receipt="K", reason="at the counter",
        )  # fmt: skip
        return await self._made(topups.make_topup, body, self.caller, key, self.request)

    async def online(self, key: str, account: str, sum_: Decimal) -> None:
        row = {
            "id": self.id_of(key), "operator_id": self.operator, "account_id": self.ids[account],
            "way": "provider", "amount": sum_, "currency": self.of[account].currency,
            "state": "open", "provider": "mollie", "made_by": "driver",
        }  # fmt: skip
        async with self.begin_() as db:
            await db.execute(insert(tables.Topup).on_conflict_do_nothing(), row)
        await self._told(key)

    async def _told(self, topup: str, **more: Any) -> None:
        """What the provider says of a payment when it is asked."""
        async with self.begin_() as db:
            row = await topups.get(db, self.id_of(topup), lock=True)
            said = Payment(topup, row.id, "paid", row.amount, row.currency, None)
            if "refund" in more:
                key, sum_, status = more["refund"]
                refund = Refund(key, None, sum_, row.currency, status)
                said = Payment(topup, row.id, "paid", row.amount, row.currency, None, (refund,))
            if "chargeback" in more:
                key, sum_, undone = more["chargeback"]
                back = Chargeback(key, sum_, row.currency, None, now(), undone)
                said = Payment(topup, row.id, "paid", row.amount, row.currency, None, (), (back,))
            await answers.apply(db, row, said)

    async def refund(self, key: str, topup: str, sum_: Decimal) -> str:
        async with self.begin_() as db:
            query = select(tables.Topup.id).where(tables.Topup.idempotency_key == topup)
            topup_id = (await db.scalars(query)).one()
        body = refunds.RefundIn.model_validate(
            {"amount": str(sum_), "reason": "leaves", "receipt": "K"}
        )
        return await self._made(refunds.make_refund, topup_id, body, self.caller, key, self.request)

    async def refund_told(self, key: str, topup: str, sum_: Decimal, status: str) -> None:
        await self._told(topup, refund=(key, sum_, status))

    async def charge_back(self, key: str, topup: str, sum_: Decimal, undone: bool) -> None:
        await self._told(topup, chargeback=(key, sum_, undone))

    async def block(self, account: str) -> None:
        async with self.begin_() as db:
            said = Reason(reason="lost")
            await accounts.block_account(self.ids[account], said, None, db, Response())

    async def unblock(self, account: str) -> None:
        async with self.begin_() as db:
            said = Reason(reason="found")
            await accounts.unblock_account(self.ids[account], said, None, db, Response())

    # Bonus.

    async def bonus(self, key: str, account: str, sum_: Decimal, day: int | None) -> str:
        body = bonuses.BonusIn(
            account_id=self.ids[account], amount=self.money(account, sum_), reason="spring",
            expires_at=None if day is None else self.began_at + timedelta(days=day),
        )  # fmt: skip
        async with self.begin_() as db:
            return await self._made(bonuses.give_bonus, body, db, self.caller, key)

    async def days_pass(self, day: int) -> None:
        await bonuses.expire_once(self.connections, self.began_at + timedelta(days=day))

    # What is held.

    def _until(self, due: bool) -> Any:
        return now() + timedelta(days=-1 if due else 1)

    def _hold(self, key: str) -> str:
        return holds.key_of(self.id_of(key)) if key.startswith("session") else key

    async def place(self, key: str, account: str, sum_: Decimal) -> bool:
        async with self.begin_() as db:
            of, until = self.ids[account], self._until(due=False)
            return await holds.place(db, self.operator, of, self._hold(key), sum_, until)

    async def extend(self, key: str, upto: Decimal, due: bool) -> Decimal | None:
        async with self.begin_() as db:
            until = self._until(due)
            return await holds.extend(db, self.operator, self._hold(key), upto, until)

    async def release(self, key: str) -> Decimal | None:
        async with self.begin_() as db:
            return await holds.end(db, self.operator, self._hold(key), "released")

    async def holds_expire(self) -> None:
        await prepaid.expire_once(self.connections)

    # Sessions and their records.

    async def begin(self, key: str, account: str, upto: Decimal, due: bool) -> None:
        of = self.of[account]
        method: Any = of.method
        row = {
            "id": self.id_of(key), "operator_id": self.operator, "state": "running",
            "transaction_id": key, "station_id": "CP-1", "evse_id": 1, "connector_id": 1,
            "id_token": "04A2", "token_status": "Accepted", "started_at": self.began_at,
            "tariff_id": self.tariffs[of.currency],
            "terms": to_json(Terms(method=method, account_id=self.ids[account])),
        }  # fmt: skip
        days = {"prepaid_step": upto, "hold_days": -1 if due else 1}
        async with self.begin_() as db:
            query = insert(tables.Session).on_conflict_do_nothing().returning(tables.Session)
            session = await db.scalar(query, row)
            if session is not None:
                await Prepaid(self.settings.model_copy(update=days)).begin(db, session)

    async def end(self, key: str, gross: Decimal | None, doubted: bool) -> None:
        async with self.begin_() as db:
            session = await deciding.locked(db, self.id_of(key))
            if session.state == "running":
                session.state, session.ended_at = "ended", self.began_at + timedelta(hours=1)
                session.energy_wh = None if gross is None else int(gross * WH_PER_UNIT)
                await db.flush()
                if doubted:
                    await self._doubt(db, key)
            assert session.tariff_id is not None
            tariff = await db.get_one(tables.Tariff, session.tariff_id)
            await close_records(db, [session], tariff)
            await book_records(db, await self._records(db, key))

    async def doubt(self, key: str) -> None:
        async with self.begin_() as db:
            await deciding.locked(db, self.id_of(key))
            await self._doubt(db, key)

    async def _doubt(self, db: AsyncSession, key: str) -> None:
        row = {
            "session_id": self.id_of(key), "kind": f"clock {uuid7()}", "detail": "",
            "operator_id": self.operator, "opened_at": now(),
        }  # fmt: skip
        await db.execute(insert(tables.Incident), row)

    async def _records(self, db: AsyncSession, key: str) -> list[UUID]:
        query = select(tables.Record.id).where(tables.Record.session_id == self.id_of(key))
        return list(await db.scalars(query.order_by(tables.Record.id)))

    async def book(self, key: str) -> None:
        async with self.begin_() as db:
            found = await self._records(db, key)
            await book_records(db, found)
            rows = await db.scalars(select(tables.Record).where(tables.Record.id.in_(found)))
            for row in rows:
                if row.review != "pending":
                    assert await book_record(db, row) is None

    async def decide(
        self, key: str, session: str, about: int | None, verdict: Any, gross: Decimal
    ) -> str:
        facts: Any = {"energy_wh": int(gross * WH_PER_UNIT)} if verdict == "corrected" else None
        ruling = Ruling(verdict=verdict, reason="seen", facts=facts)
        async with self.begin_() as db:
            if about is None:
                said = await reviews.decide_review(
                    self.id_of(session), ruling, key, db, self.caller
                )
            else:
                record = (await self._records(db, session))[about]
                said = await corrections.correct_record(record, ruling, key, db, self.caller)
        return _made_by(said)

    # What is there.

    async def seen(self) -> Seen:
        names = self.name_of()
        async with self.begin_() as db:
            rows = await db.execute(text(BALANCES))
            balances = {
                names[str(row.id)]: (row.posted, row.bonus, row.held, row.state) for row in rows
            }
            names |= {row.id: row.name for row in await db.execute(text(NAMES))}
            journals: dict[str, dict[tuple[str, str], Decimal]] = {}
            for row in await db.execute(text(JOURNALS)):
                event = ":".join(names.get(part, part) for part in row.event_id.split(":"))
                postings = journals.setdefault(event, {})
                if row.account_id is not None:
                    of = names.get(row.account_id, f"{row.kind}/{row.detail}/{row.currency}")
                    assert (of, row.purse) not in postings
                    postings[of, row.purse] = row.amount
            held = {
                row.key: (names[row.account_id], row.amount, row.due)
                for row in await db.execute(text(HELD))
            }
            sessions = {
                row.key: (row.state, row.doubted, row.void, row.records)
                for row in await db.execute(text(SESSIONS))
            }
        return Seen(balances, dict(journals), held, sessions)

    async def wrong(self) -> list[tuple[str, str]]:
        found = []
        async with self.begin_() as db:
            for what, query in WRONG.items():
                found += [(what, one) for one in await db.scalars(text(query))]
        return found


def _made_by(said: DecisionOut) -> str:
    made = {
        "record": said.record_id, "cancellation": said.cancellation_id,
        "correction": said.correction_id,
    }  # fmt: skip
    return " ".join(name for name, found in made.items() if found is not None)
