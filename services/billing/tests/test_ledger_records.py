"""Records that become journals: the customer owes the gross, the operator has earned the net."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from billing import tables
from billing.ledger import book_record, book_records
from billing.ledger.sharing import Share, charged
from common.clock import now
from common.events import Incident, IncidentOpened
from common.ids import uuid7

from .booking import WALLET, balance, bonus, booked, booking, opened, pays, top_up
from .conftest import Billing

D = Decimal


async def charge(billing: Billing, account: UUID | None, **more: Any) -> UUID:
    """A session of 4.90 (10 kWh at 0.49) that the account pays; its id."""
    start = billing.started()
    incidents = more.pop("incidents", ())
    await billing.handle(start)
    await pays(billing, start.session_id, account, **more)
    await billing.handle(billing.ended(session_id=start.session_id, incidents=incidents))
    return start.session_id


async def correct(billing: Billing, session_id: UUID, kind: str, gross: str) -> None:
    """A further record of a session, as a review makes it, and its journal."""
    net = (D(gross) / D("1.19")).quantize(D("0.01"))
    async with booking(billing) as db:
        first = select(tables.Record).where(tables.Record.session_id == session_id)
        record = (await db.scalars(first.where(tables.Record.refers_to.is_(None)))).one()
        left_out = {"id", "account_id", "partner_id", "company_id", "closed_at", "review"}
        columns = {c.key for c in tables.Record.__table__.columns} - left_out
        facts = {name: getattr(record, name) for name in columns}
        sums = {"total_net": net, "total_gross": D(gross), "vat": D(gross) - net, "taxes": None}
        new = tables.Record(**facts | sums | {"kind": kind, "refers_to": record.id})
        db.add(new)
        await db.flush()
        assert await book_record(db, new) is not None
        assert await book_record(db, new) is None


async def own(billing: Billing) -> dict[tuple[str, str], Decimal]:
    """The operator's own accounts: what was posted to each."""
    rows = await billing.stored(
        "select a.kind, a.detail, sum(p.amount) as amount from account a "
        "join posting p on p.account_id = a.id where a.operator_id = $1 and a.kind <> 'customer' "
        "group by 1, 2",
        billing.operator_id,
    )
    return {(row["kind"], row["detail"]): row["amount"] for row in rows}


async def test_a_record_is_booked_with_its_revenue_and_its_vat(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing)
    session_id = await charge(billing, account, method="monthly")
    record = await billing.record(session_id)
    assert record is not None
    assert await balance(billing, account) == (D("-4.90"), 0, 0)
    found = await own(billing)
    assert found == {
        ("revenue", "19"): D(record["total_net"]["amount"]),
        ("vat", "19"): D(record["vat"]["amount"]),
    }
    assert sum(found.values()) == D("4.90")
    async with booking(billing) as db:  # told again, by a review for example
        await book_records(db, [UUID(record["id"])])
    assert await balance(billing, account) == (D("-4.90"), 0, 0)


@pytest.mark.parametrize("method", ["free", "none"])
async def test_what_nobody_is_billed_for_is_not_booked(billing: Billing, method: str) -> None:
    await billing.tariff()
    account = await opened(billing)
    await charge(billing, account, method=method)
    await charge(billing, None, method="monthly")
    assert await balance(billing, account) == (0, 0, 0)
    assert await own(billing) == {}


async def test_reverse_charge_has_an_account_of_its_own(billing: Billing) -> None:
    await billing.tariff(vat_percent="0", tax_included=False)
    account = await opened(billing)
    await charge(billing, account, method="monthly", tax="reverse_charge")
    assert await own(billing) == {("revenue", "reverse_charge"): D("4.90")}


async def test_a_record_under_review_is_not_booked_until_it_counts(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing)
    doubt = Incident(kind="clock", detail="x")
    session_id = await charge(billing, account, method="monthly", incidents=(doubt,))
    record = await billing.record(session_id)
    assert record is not None and record["review"] == "pending"
    assert await balance(billing, account) == (0, 0, 0)
    async with booking(billing) as db:
        await book_records(db, [UUID(record["id"])])  # it is still pending
    assert await balance(billing, account) == (0, 0, 0)
    async with booking(billing) as db:
        await book_record(db, await db.get_one(tables.Record, UUID(record["id"])))
    assert await balance(billing, account) == (D("-4.90"), 0, 0)


async def test_a_doubt_that_comes_after_the_booking_undoes_nothing(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing)
    session_id = await charge(billing, account, method="monthly")
    doubt = Incident(kind="clock", detail="late")
    late = {
        "operator_id": billing.operator_id,
        "session_id": session_id,
        "station_id": "CP-1",
        "incident": doubt,
    }
    await billing.handle(IncidentOpened.model_validate(late | {"occurred_at": now()}))
    assert await balance(billing, account) == (D("-4.90"), 0, 0)


async def test_bonus_is_spent_before_money(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"), bonus(account, "6"))
    await charge(billing, account)
    assert await balance(billing, account) == (10, D("1.10"), 0)
    await charge(billing, account)
    assert await balance(billing, account) == (D("6.20"), 0, 0)


async def test_a_cancellation_gives_each_purse_its_own_back(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, **WALLET)
    await booked(billing, top_up(account, "10"), bonus(account, "3"))
    session_id = await charge(billing, account)
    assert await balance(billing, account) == (D("8.10"), 0, 0)
    await correct(billing, session_id, "cancellation", "-4.90")
    assert await balance(billing, account) == (10, 3, 0)
    await correct(billing, session_id, "correction", "3.40")
    assert await balance(billing, account) == (D("9.60"), 0, 0)
    assert sum((await own(billing)).values()) == D("3.40") - 13


async def test_what_is_below_the_floor_the_operator_bears(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, floor=D(2), **WALLET)
    await booked(billing, top_up(account, "1"))
    session_id = await charge(billing, account)
    assert await balance(billing, account) == (-2, 0, 0)
    assert (await own(billing))["write_off", ""] == D("-1.90")
    async with billing.as_(billing.operator_id, "accounts:read") as api:
        found = (await api.get("/v1/ledger-findings")).json()["items"]
    told = [(one["kind"], one["account_id"], one["session_id"]) for one in found]
    assert told == [("below_floor", str(account), str(session_id))]
    # The next top-up nets it, and what is taken back is what was charged, no more.
    await booked(billing, top_up(account, "10"))
    assert await balance(billing, account) == (8, 0, 0)
    await correct(billing, session_id, "cancellation", "-4.90")
    assert await balance(billing, account) == (11, 0, 0)
    assert (await own(billing))["write_off", ""] == 0


async def test_who_pays_by_invoice_owes_it_all(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing, floor=D(2), credit_limit=D(1))
    await charge(billing, account, method="monthly")
    assert await balance(billing, account) == (D("-4.90"), 0, 0)


async def test_another_operators_record_cannot_be_booked(billing: Billing) -> None:
    await billing.tariff()
    doubt = Incident(kind="clock", detail="x")
    account = await opened(billing)
    session_id = await charge(billing, account, method="monthly", incidents=(doubt,))
    record = await billing.record(session_id)
    assert record is not None
    other = Billing.of(billing)
    other.operator_id = uuid7()
    async with booking(other) as db:
        await book_records(db, [UUID(record["id"])])
    assert await balance(billing, account) == (0, 0, 0)


@pytest.mark.parametrize(
    ("total", "posted", "given", "lowest", "expected"),
    [
        ("5", "10", "0", "-2", Share(D(0), D(5))),
        ("5", "10", "2", "-2", Share(D(2), D(3))),
        ("5", "10", "9", "-2", Share(D(5), D(0))),
        ("5", "1", "0", "-2", Share(D(0), D(5), D(2))),
        ("5", "-2", "1", "-2", Share(D(1), D(4), D(4))),
        ("5", "-9", "0", "-2", Share(D(0), D(5), D(5))),  # what was below before stays owed
        ("5", "-9", "0", None, Share(D(0), D(5))),
        ("-5", "-9", "3", "-2", Share(D(0), D(-5))),
        ("0", "0", "3", "0", Share(D(0), D(0))),
    ],
)
def test_how_a_sum_is_shared(
    total: str, posted: str, given: str, lowest: str | None, expected: Share
) -> None:
    lowest_ = None if lowest is None else D(lowest)
    assert charged(D(total), posted=D(posted), bonus=D(given), lowest=lowest_) == expected
