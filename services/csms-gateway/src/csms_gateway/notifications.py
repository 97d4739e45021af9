"""What chargers tell of themselves that is no session, status or reading: kept whole as it came,
but for secrets, which are masked as in the message log.

Reports, events, alarms, progress of firmware and logs. Answered when stored; a repeat is kept
twice, which harms nobody.
"""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import asyncpg
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import paging
from common.auth import scoped
from common.clock import now
from common.database import Db
from csms_gateway import customer_information, masking, tables
from csms_gateway.charger import Charger, Handler
from csms_gateway.clocks import wire_time
from csms_gateway.gateway import Gateway
from csms_gateway.integers import INTEGER_END
from csms_gateway.stored_json import as_json

INSERT: Final = """
insert into notification (operator_id, station_id, action, request_id, payload, received_at)
values ($1, $2, $3, $4, $5, $6)
"""
PRUNE: Final = """
delete from notification where id = any(array(
    select id from notification where received_at < now() - make_interval(days => $1)
    order by received_at limit $2
))
"""
PRUNE_ROWS: Final = 10_000  # a statement; so many are gone in a second
PRUNE_EVERY_S: Final = 600.0
# The action of our own remarks; like SecurityEventNotification, which is the station's.
SEEN: Final = "SecurityEvent"


async def keep(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    """Return when it is stored."""
    request_id = payload.get("requestId")
    known = isinstance(request_id, int) and abs(request_id) < INTEGER_END
    await charger.gateway.pool.execute(
        INSERT, charger.operator_id, charger.station_id, action, request_id if known else None,
        as_json(masking.kept(action, payload)), now(),
    )  # fmt: skip


async def note(
    pool: "asyncpg.Pool[asyncpg.Record]", operator_id: UUID, station_id: str, what: str, detail: str
) -> None:
    """Keep what we have seen of a station ourselves, beside what it tells."""
    at = now()
    payload = {"type": what, "timestamp": wire_time(at), "techInfo": detail[:1000]}
    await pool.execute(INSERT, operator_id, station_id, SEEN, None, as_json(payload), at)


def kept(action: str, answer: dict[str, Any] | None = None) -> Handler:
    """The handler of a message that is only to be kept; answer: what it is always answered."""

    async def handle(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
        await keep(charger, action, payload)
        return dict(answer or {})

    return handle


async def prune_once(gateway: Gateway, rows: int = PRUNE_ROWS) -> None:
    """Until nothing old is left, however much the stations have told."""
    while True:
        done = await gateway.pool.execute(PRUNE, gateway.settings.notification_keep_days, rows)
        if done != f"DELETE {rows}":
            return


async def prune(gateway: Gateway) -> None:
    while True:
        await prune_once(gateway)
        await asyncio.sleep(PRUNE_EVERY_S)


router = APIRouter(tags=["notifications"])


class NotificationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    station_id: str
    action: str = Field(examples=["FirmwareStatusNotification"])
    request_id: int | None = Field(description="requestId of the command that it answers")
    payload: dict[str, Any]
    received_at: datetime


@router.get(
    "/v1/stations/{station_id}/notifications",
    summary="Reports, events and progress that a station told, newest first",
    dependencies=[scoped("messages:read")],
)
async def list_notifications(
    station_id: str,
    db: Db,
    action: Annotated[str | None, Query(max_length=64)] = None,
    request_id: Annotated[int | None, Query(ge=-(2**31), lt=2**31)] = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[NotificationOut]:
    query = select(tables.Notification).where(
        tables.Notification.station_id == station_id,
        tables.Notification.action != customer_information.ACTION,  # it has a route of its own
    )
    if action:
        query = query.where(tables.Notification.action == action)
    if request_id is not None:
        query = query.where(tables.Notification.request_id == request_id)
    rows, after = await paging.rows(
        db, query, tables.Notification.id, limit=limit, cursor=cursor, newest_first=True
    )
    items = [NotificationOut.model_validate(row) for row in rows]
    return paging.Page(items=items, next_cursor=after)
