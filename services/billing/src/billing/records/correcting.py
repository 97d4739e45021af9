"""Records that take back and correct others: what was closed stays as it is.

A cancellation has the amounts and the energy of its record negated. A correction is priced by the
terms and the tariff that were locked when the session began.
"""

from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import costs, tables
from billing.discounts import quotas
from billing.incidents import Review
from billing.ledger import holds
from billing.records import closing
from billing.records.facts import CorrectedFacts, Impossible, Known, corrected, known
from common.clock import now
from common.ids import uuid7
from common.problems import Problem

# Of a record: what the database fills in by itself.
MADE: Final = {"account_id", "strategy_id", "partner_id", "company_id", "cost_centre_id"}
AMOUNTS: Final = ("energy_wh", "total_net", "vat", "total_gross")


class NoTariffYet(Problem):
    status = 409
    title = "The session has no tariff"


class FactsImpossible(Problem):
    status = 422
    title = "These facts cannot be true together"


class NothingCorrected(Problem):
    status = 422
    title = "Nothing would be corrected"


class Made(NamedTuple):
    """Ids of records: what stood until then, what takes it back, what counts instead."""

    record_id: UUID | None = None
    cancellation_id: UUID | None = None
    correction_id: UUID | None = None


async def correct(db: AsyncSession, session: tables.Session, said: CorrectedFacts) -> Made:
    """Cancel the record that counts, if there is one, and close the right one.

    The caller has locked the session. Raises NoTariffYet, FactsImpossible, NothingCorrected.
    """
    if session.tariff_id is None:
        raise NoTariffYet("set a tariff that is valid at its start, or find it void")
    records = await _records(db, session.id)
    before = known(records[-1] if records else session)
    try:
        right = corrected(before, said)
    except Impossible as error:
        raise FactsImpossible(str(error)) from error
    standing = await _standing(db, session.id)
    if standing is not None and right == before:
        raise NothingCorrected("these facts are the record's own")
    tariff = await db.get_one(tables.Tariff, session.tariff_id)
    changed = _as_corrected(session, right)
    # First, so that what it got of quotas is there for the right one.
    taken_back = await _take_back(db, standing) if standing else []
    of = {"kind": "correction", "refers_to": records[-1].id} if records else {}
    details = await costs.details_of(db, [changed], [tariff])
    rows = await closing.close_one(db, changed, tariff, details[session.id], **of)
    reviews: dict[UUID, Review] = {session.id: "corrected"}
    await closing.tell(db, session.operator_id, [*taken_back, *rows], reviews)
    return Made(
        standing.id if standing else None,
        taken_back[0]["id"] if taken_back else None,
        rows[0]["id"],
    )


async def cancel(db: AsyncSession, session: tables.Session, decision_id: UUID) -> Made:
    """Nothing counts of the session any more. The caller has locked it."""
    standing = await _standing(db, session.id)
    if standing is None:
        await quotas.give_back(db, session.id, decision_id)
        key = holds.key_of(session.id)  # what a prepaid session held for a record that never comes
        await holds.end(db, session.operator_id, key, "released")
        return Made()
    rows = await _take_back(db, standing)
    await closing.tell(db, session.operator_id, rows, {session.id: "void"})
    return Made(standing.id, rows[0]["id"])


async def _take_back(db: AsyncSession, record: tables.Record) -> list[dict[str, Any]]:
    row = _cancellation(record)
    await db.execute(closing.NEW, row)
    await quotas.give_back(db, record.session_id, row["id"])
    return [row]


async def _standing(db: AsyncSession, session_id: UUID) -> tables.Record | None:
    return (await closing.current_records(db, [session_id])).get(session_id)


async def _records(db: AsyncSession, session_id: UUID) -> list[tables.Record]:
    """What was closed of a session, the oldest first, without what took it back."""
    record = tables.Record
    query = select(record).where(record.session_id == session_id, record.kind != "cancellation")
    return list(await db.scalars(query.order_by(record.id)))


def _as_corrected(session: tables.Session, right: Known) -> tables.Session:
    """The session with other facts: in memory, for the charger's own words stay."""
    columns = [column.key for column in inspect(tables.Session).column_attrs]
    told = {name: getattr(session, name) for name in columns if name not in MADE | {"review"}}
    return tables.Session(**told | right._asdict())


def _cancellation(record: tables.Record) -> dict[str, Any]:
    columns = [column.key for column in tables.Record.__table__.columns]
    row = {name: getattr(record, name) for name in columns if name not in MADE | {"closed_at"}}
    lines = [
        line | {"quantity": _negated(line["quantity"]), "amount": _negated(line["amount"])}
        for line in record.lines
    ]
    taxes = record.taxes and [
        {k: v if k == "vat_percent" or v is None else _negated(v) for k, v in one.items()}
        for one in record.taxes
    ]
    return (
        row
        | {name: -getattr(record, name) for name in AMOUNTS}
        | {
            "id": uuid7(),
            "kind": "cancellation",
            "refers_to": record.id,
            "lines": lines,
            "taxes": taxes,
            "late": closing.is_late(record.ended_at, now(), record.time_zone),
        }
    )


def _negated(amount: str) -> str:
    """Of a decimal as text, digit by digit as it is."""
    if not amount.strip("0."):
        return amount
    return amount.removeprefix("-") if amount.startswith("-") else f"-{amount}"
