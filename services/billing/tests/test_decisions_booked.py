"""What was decided about records is in the ledger and in the quotas, to the cent and the Wh."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select

from billing import tables
from common.clock import now
from common.events import Incident, IncidentOpened

from .booking import balance, booking, opened
from .conftest import Billing
from .test_discount_quotas import FREE, TOTAL_KWH, begun, uses
from .test_discounts import active, found_by
from .test_ledger_records import charge, own
from .test_reviews import VALID, VOID, facts

D = Decimal
DOUBT = (Incident(kind="stop_repeated", detail="another value"),)


async def agrees(billing: Billing, account: UUID, owed: str) -> None:
    """The balance is what is owed, and the revenue and VAT are the sums of all the records."""
    assert (await balance(billing, account))[0] == D(owed)
    found = await own(billing)
    async with booking(billing) as db:
        records = (await db.scalars(select(tables.Record))).all()
    assert found.get(("revenue", "19"), D(0)) == sum(one.total_net for one in records)
    assert found.get(("vat", "19"), D(0)) == sum(one.vat for one in records)


@pytest.mark.parametrize(
    ("ruling", "owed"), [(VALID, "-4.90"), (VOID, "0"), (facts(energy_wh=7_000), "-3.43")]
)
async def test_what_waited_is_booked_by_the_decision_with_all_that_it_made(
    billing: Billing, ruling: dict[str, object], owed: str
) -> None:
    await billing.tariff()
    account = await opened(billing)
    session_id = await charge(billing, account, method="monthly", incidents=DOUBT)
    assert await balance(billing, account) == (0, 0, 0)
    assert await own(billing) == {}
    path = f"reviews/{session_id}/decisions"
    for _ in range(2):
        await billing.posted(path, ruling, "once")
        await agrees(billing, account, owed)


async def test_what_was_booked_before_its_review_is_taken_back(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing)
    session_id = await charge(billing, account, method="monthly")
    await agrees(billing, account, "-4.90")
    doubt = IncidentOpened(
        operator_id=billing.operator_id, session_id=session_id, station_id="CP-1",
        incident=DOUBT[0], occurred_at=now(),
    )  # fmt: skip
    await billing.handle(doubt)
    await billing.posted(f"reviews/{session_id}/decisions", VOID)
    await agrees(billing, account, "0")


async def test_a_session_without_a_record_is_booked_when_it_gets_one(billing: Billing) -> None:
    await billing.tariff()
    account = await opened(billing)
    start = billing.started()
    await billing.handle(start)
    terms = f'{{"method": "monthly", "account_id": "{account}"}}'
    change = "update session set terms = $1::jsonb where id = $2"
    await billing.stored(change, terms, start.session_id)
    end = billing.ended(session_id=start.session_id, energy_wh=None, meter_stop_wh=None)
    await billing.handle(end)
    await billing.posted(f"reviews/{end.session_id}/decisions", facts(energy_wh=20_000))
    await agrees(billing, account, "-9.80")


async def test_a_correction_draws_its_quota_anew_and_what_is_void_gives_it_back(
    billing: Billing,
) -> None:
    await billing.tariff()
    free = await active(billing, **FREE, quota=TOTAL_KWH)  # 100 kWh
    session = await begun(billing, await found_by(billing))
    end = billing.ended(
        session_id=session.id, started_at=session.started_at, energy_wh=25_000,
        meter_stop_wh=26_000, ended_at=session.started_at + timedelta(hours=1),
    )  # fmt: skip
    await billing.handle(end)
    assert await uses(billing, free["id"]) == {"": 25_000}
    record = await billing.record(end.session_id)
    assert record
    assert record["total_gross"]["amount"] == "0.00"
    path = f"records/{record['id']}/corrections"
    decision = await billing.posted(path, facts(energy_wh=110_000))
    # All 100 kWh are there for it, for the 25 of before were given back: 10 are paid.
    assert await uses(billing, free["id"]) == {"": 100_000}
    correction = await billing.get(f"records/{decision['correction_id']}")
    assert correction["total_gross"]["amount"] == "4.90"
    await billing.posted(f"records/{correction['id']}/corrections", VOID)
    assert await uses(billing, free["id"]) == {"": 0}
