"""The signed readings of a record by REST: what a driver checks a bill with."""

from collections.abc import Iterator
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.signed import judging, transparency
from billing.signed.judging import SAYS, Signature
from billing.signed.transparency import Value
from billing.tables import SignedReading, Verification
from common import paging
from common.auth import scoped
from common.database import Db
from common.money import Exact
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/records", tags=["records"])

XML: Final = "application/xml"
FILE_MAX: Final = 2_000  # readings in a file; some MB


class SignedReadingOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    sampled_at: AwareDatetime = Field(description="the charger's own time, settled")
    received_at: AwareDatetime
    context: str = Field(examples=["Transaction.Begin"], description="empty: not said")
    measurand: str = Field(description="empty: not said")
    data: str = Field(description="as the charger sent it, byte for byte")
    signing_method: str | None
    encoding_method: str | None
    public_key: str | None = Field(
        description="as the charger sent it; nothing is verified by it, for a forger has one too"
    )


class SignedReadingsOut(Page[SignedReadingOut]):
    record_id: UUID
    session_id: UUID
    signature: Signature = Field(description=SAYS)
    why: list[str]
    energy_wh: int = Field(description="that this record bills")
    signed_energy_wh: Exact | None = Field(description="that the meter signed; null: not known")
    public_key: str | None = Field(description="of the meter, as it is registered")
    checked_at: AwareDatetime | None


@router.get(
    "/{record_id}/signed-readings",
    summary="What the meter signed of a session, oldest first, and whether it proves the bill",
    dependencies=[scoped("records:read")],
    response_model=SignedReadingsOut,
    responses={200: {"content": {XML: {"schema": {"type": "string"}}}}},
)
async def get_signed_readings(
    record_id: UUID,
    db: Db,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
    accept: Annotated[
        str, Header(description=f"{XML}: one file for the S.A.F.E. transparency software")
    ] = "",
) -> SignedReadingsOut | Response:
    record = await db.get(tables.Record, record_id)
    if record is None:
        raise NotFound("there is no such record")
    found = await db.get(Verification, record.session_id)
    if XML in accept.lower():
        return await _file(db, record, found)
    query = select(SignedReading).where(SignedReading.session_id == record.session_id)
    rows, after = await paging.rows(db, query, SignedReading.id, limit=limit, cursor=cursor)
    return SignedReadingsOut(
        items=[SignedReadingOut.model_validate(row) for row in rows],
        next_cursor=after,
        record_id=record.id,
        session_id=record.session_id,
        signature=_signature(found),
        why=found.why if found else [],
        energy_wh=record.energy_wh,
        signed_energy_wh=found.energy_wh if found else None,
        public_key=found.public_key if found else None,
        checked_at=found.checked_at if found else None,
    )


def _signature(found: Verification | None) -> Signature:
    if found is None:
        return "none"
    verdict: Signature = found.verdict or "pending"  # type: ignore[assignment]
    return verdict


async def _file(db: AsyncSession, record: tables.Record, found: Verification | None) -> Response:
    """Of very many those of the begin and the end, then the oldest."""
    one = SignedReading
    marked = case((one.context.in_((judging.BEGIN, judging.END)), 0), else_=1)
    query = (
        select(one)
        .where(one.session_id == record.session_id)
        .order_by(marked, one.id)
        .limit(FILE_MAX)
    )
    rows = sorted(await db.scalars(query), key=lambda row: row.id)
    key = found.public_key if found else None
    pieces: Iterator[str] = transparency.written(_apart(rows), record.transaction_id, key)
    name = f"signed-readings-{record.id}.xml"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response("".join(pieces), media_type=XML, headers=headers)


def _apart(rows: list[SignedReading]) -> list[Value]:
    """Each once: the end of a session may tell all of it again."""
    apart: dict[str, Value] = {}
    for row in rows:
        apart.setdefault(row.data, Value(row.data, row.context, row.encoding_method))
    return list(apart.values())
