"""What the ledger's own checks found, and where money could not be had; for staff to look at."""

from typing import Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from common import paging
from common.auth import Caller, scoped
from common.database import Db
from common.ids import uuid7
from common.paging import Cursor, Limit, Page

router = APIRouter(prefix="/v1/ledger-findings", tags=["accounts"])

# Differences are found by the check and resolved by it; what happened to a session stays.
Difference = Literal["balance_differs", "held_differs", "journal_unbalanced", "record_not_booked"]
Happened = Literal["began_without_credit", "hold_expired", "below_floor", "stop_refused"]
Kind = Difference | Happened

NOTE: Final = text(
    """
    insert into ledger_finding (id, operator_id, kind, subject, account_id, session_id, detail)
    values (:id, :operator, :kind, :subject, :account, :session, :detail)
    on conflict (operator_id, kind, subject) do update set
        detail = excluded.detail, seen_at = now(), resolved_at = null
    """
)


class FindingOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: Kind
    subject: str = Field(description="what it is about; of each kind it is there once")
    account_id: UUID | None
    session_id: UUID | None
    detail: str
    found_at: AwareDatetime
    seen_at: AwareDatetime = Field(description="last")
    resolved_at: AwareDatetime | None = Field(description="the nightly check did not find it again")


@router.get("", summary="List what the ledger found", dependencies=[scoped("accounts:read")])
async def list_findings(
    db: Db,
    caller: Caller,
    kind: Kind | None = None,
    account_id: UUID | None = None,
    session_id: UUID | None = None,
    resolved: bool | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[FindingOut]:
    """The newest first."""
    table = tables.LedgerFinding
    wanted: dict[Any, Any] = {
        table.operator_id: caller.operator_id,
        table.kind: kind,
        table.account_id: account_id,
        table.session_id: session_id,
    }
    query = select(table).where(*paging.given(wanted))
    if resolved is not None:
        query = query.where(table.resolved_at.is_not(None) == resolved)
    found, after = await paging.rows(
        db, query, table.id, limit=limit, cursor=cursor, newest_first=True
    )
    return Page(items=[FindingOut.model_validate(row) for row in found], next_cursor=after)


async def note(
    db: AsyncSession,
    operator_id: UUID,
    kind: Kind,
    subject: str,
    detail: str,
    *,
    account_id: UUID | None = None,
    session_id: UUID | None = None,
) -> None:
    values = {
        "id": uuid7(),
        "operator": operator_id,
        "kind": kind,
        "subject": subject,
        "account": account_id,
        "session": session_id,
        "detail": detail,
    }
    await db.execute(NOTE, values)
