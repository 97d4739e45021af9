"""A record that staff correct by themselves: no incident, no dispute."""

from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.records import closing, deciding
from billing.records.deciding import Asked, DecisionOut, Ruling
from common import idempotency
from common.auth import Caller, scoped
from common.database import Db
from common.idempotency import Key
from common.problems import NotFound, Problem

router = APIRouter(prefix="/v1/records", tags=["records"])


class RecordTakenBack(Problem):
    status = 409
    title = "The record does not count any more"


class RulingAboutNothing(Problem):
    status = 422
    title = "A correction says what was otherwise"


@router.post(
    "/{record_id}/corrections",
    status_code=201,
    summary="Correct a record, or take it back",
    dependencies=[scoped("records:write")],
)
async def correct_record(
    record_id: UUID, body: Ruling, key: Key, db: Db, caller: Caller
) -> DecisionOut:
    """A further record takes it back, and with the verdict corrected another one counts instead,
    by the tariff and the terms that were fixed when the session began.
    """
    session = await deciding.locked(db, await session_of(db, record_id))
    digest = idempotency.digest(f"records/{record_id}/corrections", body)
    asked = Asked("correction", body, key, digest)
    if before := await deciding.repeated(db, session.operator_id, asked):
        return DecisionOut.model_validate(before)
    await require_standing(db, session.id, record_id)
    if body.verdict == "valid":
        raise RulingAboutNothing("take the verdict corrected or void")
    return await deciding.decide(db, caller, session, asked)


async def session_of(db: AsyncSession, record_id: UUID) -> UUID:
    """Raises NotFound."""
    record = await db.get(tables.Record, record_id)
    if record is None:
        raise NotFound("there is no such record")
    return record.session_id


async def require_standing(db: AsyncSession, session_id: UUID, record_id: UUID) -> None:
    """Raises RecordTakenBack."""
    standing = (await closing.current_records(db, [session_id])).get(session_id)
    if standing is None or standing.id != record_id:
        counts = str(standing.id) if standing else None
        raise RecordTakenBack("name the record that counts", counts=counts)
