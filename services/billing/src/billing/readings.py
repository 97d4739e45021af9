"""Meter readings of a session as its charger sent them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select

from billing import tables
from common import paging
from common.auth import scoped
from common.database import Db
from common.money import Exact
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


class ReadingOut(BaseModel):
    """Words as OCPP has them; empty: the charger said none."""

    model_config = ConfigDict(from_attributes=True)

    sampled_at: AwareDatetime = Field(description="by the charger's clock")
    received_at: AwareDatetime
    measurand: str
    phase: str
    location: str
    context: str
    value: Exact
    unit: str


@router.get(
    "/{session_id}/readings",
    summary="The meter readings of a session, the oldest first",
    dependencies=[scoped("sessions:read")],
)
async def list_readings(
    session_id: UUID,
    db: Db,
    measurand: Annotated[
        str | None,
        Query(max_length=100, pattern=r"^[^\x00]*$", examples=["Energy.Active.Import.Register"]),
    ] = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[ReadingOut]:
    if await db.get(tables.Session, session_id) is None:
        raise NotFound("there is no such session")
    sample = tables.MeterSample
    query = select(sample).where(sample.session_id == session_id)
    if measurand is not None:
        query = query.where(sample.measurand == measurand)
    found, after = await paging.sorted_rows(
        db, query, sample.sampled_at, sample.id, limit=limit, cursor=cursor, descending=False
    )
    return Page(items=[ReadingOut.model_validate(row) for row in found], next_cursor=after)
