"""Rulings about sessions and their records: one way for reviews, disputes and corrections.

Each is kept for good with who made it and why, beside what it made: a decision never changes a
record. Of the decisions about one session only one is made at a time.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.incidents import IncidentOut
from billing.ledger.recording import book_records
from billing.records import closing, correcting
from billing.records.correcting import Made
from billing.records.facts import CorrectedFacts
from common import idempotency
from common.auth import Principal
from common.clock import now
from common.fields import Body
from common.idempotency import IdempotencyKeyReused
from common.ids import uuid7
from common.problems import NotFound, Problem
from common.refusals import refusing

About = Literal["review", "dispute", "correction"]
Verdict = Literal["valid", "corrected", "void"]

# For whoever reads it in years. PostgreSQL's text holds no NUL.
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]*$"),
]

KEY: Final = "uq_decision_operator_id_idempotency_key"


class SessionRuns(Problem):
    status = 409
    title = "The session runs"


class CannotBeValid(Problem):
    status = 409
    title = "It cannot be priced as it is"


class ReviewPending(Problem):
    status = 409
    title = "Its review is pending"


class NothingUnderReview(Problem):
    status = 409
    title = "Nothing is under review"


class Ruling(Body):
    verdict: Verdict = Field(
        description="valid: what the charger said, or the record, counts; corrected: facts count; "
        "void: nothing does"
    )
    reason: Reason
    facts: CorrectedFacts | None = Field(
        default=None, description="verdict corrected: what was otherwise"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.verdict == "corrected" and self.facts is None:
            raise ValueError("the facts are missing: the verdict corrected says what was otherwise")
        if self.verdict != "corrected" and self.facts is not None:
            raise ValueError("facts belong to the verdict corrected, and to no other")
        return self


class DecisionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    session_id: UUID
    about: About
    verdict: Verdict
    reason: str
    facts: CorrectedFacts | None
    incidents: list[IncidentOut] = Field(description="that were open until then")
    dispute_id: UUID | None = Field(description="the dispute that it decides")
    record_id: UUID | None = Field(description="the record that counted before; null: none did")
    cancellation_id: UUID | None = Field(description="the record that takes it back")
    correction_id: UUID | None = Field(description="the record that counts instead")
    decided_by: str
    decided_as: str = Field(description="the role")
    decided_at: AwareDatetime


class Asked(NamedTuple):
    about: About
    ruling: Ruling
    key: str
    digest: str  # idempotency.digest of the request
    dispute_id: UUID | None = None


async def locked(db: AsyncSession, session_id: UUID) -> tables.Session:
    """The session; its end and other decisions wait for this transaction. Raises NotFound."""
    query = select(tables.Session).where(tables.Session.id == session_id)
    session = await db.scalar(query.with_for_update(of=tables.Session))
    if session is None:
        raise NotFound("there is no such session")
    return session


async def repeated(db: AsyncSession, operator_id: UUID, asked: Asked) -> tables.Decision | None:
    """What was decided when the same was asked before. Raises IdempotencyKeyReused."""
    query = select(tables.Decision).where(
        tables.Decision.operator_id == operator_id, tables.Decision.idempotency_key == asked.key
    )
    row = await db.scalar(query)
    if row is not None:
        idempotency.require_same(asked.digest, row.asked)
    return row


async def decide(
    db: AsyncSession, caller: Principal, session: tables.Session, asked: Asked
) -> DecisionOut:
    """The session is locked, and nobody asked the same before.

    Raises SessionRuns, CannotBeValid, ReviewPending, NothingUnderReview, and what a correction
    raises.
    """
    incidents = await _open_incidents(db, session.id)
    if asked.about == "review" and not incidents:
        raise NothingUnderReview("nobody doubts it, or somebody decided before")
    if asked.about != "review" and incidents:
        raise ReviewPending(f"decide first: /v1/reviews/{session.id}")
    at, decision_id = now(), uuid7()
    if asked.about == "review":
        await closing.tell_reviewed(db, session.id, asked.ruling.verdict)
    made = await _made(db, session, asked.ruling, decision_id)
    dispute_id = asked.dispute_id
    if made.cancellation_id is not None and dispute_id is None:
        dispute_id = await _open_dispute(db, made.record_id)
    facts = asked.ruling.facts
    row = tables.Decision(
        id=decision_id,
        operator_id=session.operator_id,
        station_id=session.station_id,
        session_id=session.id,
        about=asked.about,
        verdict=asked.ruling.verdict,
        reason=asked.ruling.reason,
        facts=facts.model_dump(mode="json", exclude_none=True) if facts else None,
        incidents=[IncidentOut.model_validate(one).model_dump(mode="json") for one in incidents],
        dispute_id=dispute_id,
        **made._asdict(),
        decided_by=caller.sub,
        decided_as=caller.role,
        decided_at=at,
        idempotency_key=asked.key,
        asked=asked.digest,
    )
    db.add(row)
    with refusing({KEY: IdempotencyKeyReused("take a new key for what is not the same request")}):
        await db.flush()
    await _close(db, session.id, [one.kind for one in incidents], at)
    await _book(db, session.id)
    return DecisionOut.model_validate(row)


async def decisions_of(db: AsyncSession, session_ids: list[UUID]) -> dict[UUID, list[DecisionOut]]:
    """Of each session, the oldest first."""
    decision = tables.Decision
    query = select(decision).where(decision.session_id.in_(session_ids)).order_by(decision.id)
    found: dict[UUID, list[DecisionOut]] = {one: [] for one in session_ids}
    for row in await db.scalars(query):
        found[row.session_id].append(DecisionOut.model_validate(row))
    return found


async def _open_incidents(db: AsyncSession, session_id: UUID) -> list[tables.Incident]:
    incident = tables.Incident
    query = select(incident).where(incident.session_id == session_id, incident.decided_at.is_(None))
    return list(await db.scalars(query.order_by(incident.opened_at, incident.kind)))


async def _made(
    db: AsyncSession, session: tables.Session, ruling: Ruling, decision_id: UUID
) -> Made:
    if ruling.verdict == "valid":
        record = (await closing.current_records(db, [session.id])).get(session.id)
        if record is None and session.state == "ended" and not closing.can_be_priced(session):
            raise CannotBeValid("say what was otherwise, or find it void")
        return Made(record_id=record.id if record else None)
    if session.state == "running":
        raise SessionRuns("its end is told yet; only valid can be said of it before")
    if ruling.verdict == "void":
        return await correcting.cancel(db, session, decision_id)
    assert ruling.facts is not None
    return await correcting.correct(db, session, ruling.facts)


async def _open_dispute(db: AsyncSession, record_id: UUID | None) -> UUID | None:
    """About a record that is taken back: left open it could only be rejected, as if that counted.

    It is accepted by whatever took the record back.
    """
    dispute = tables.Dispute
    decided = exists().where(tables.Decision.dispute_id == dispute.id)
    return await db.scalar(select(dispute.id).where(dispute.record_id == record_id, ~decided))


async def _close(db: AsyncSession, session_id: UUID, kinds: list[str], at: datetime) -> None:
    """Only what was seen: an incident that comes up meanwhile opens the review again."""
    incident = tables.Incident
    seen = update(incident).where(incident.session_id == session_id, incident.kind.in_(kinds))
    values: dict[str, Any] = {"decided_at": at}
    await db.execute(seen.values(values), execution_options={"synchronize_session": False})


async def _book(db: AsyncSession, session_id: UUID) -> None:
    """What waited for the decision, and what it made; what is booked already stays so."""
    query = select(tables.Record.id).where(tables.Record.session_id == session_id)
    await book_records(db, list(await db.scalars(query)))
