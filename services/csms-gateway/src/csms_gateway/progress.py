"""How far firmware updates and uploads of logs have come, in the same words for every version.

Read from what chargers told (notifications.py), so it goes back as far as that is kept. Each
request has one place in the list, with its newest status. Plain OCPP 1.6 has no request numbers
(UpdateFirmware, GetDiagnostics): what such a charger tells is of the last request, in one place.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging
from common.auth import scoped
from common.database import Db
from csms_gateway.commands.mirrored import snake
from csms_gateway.tables import Notification

FIRMWARE: Final = (
    "FirmwareStatusNotification",
    "SignedFirmwareStatusNotification",
    "PublishFirmwareStatusNotification",
)
LOGS: Final = ("DiagnosticsStatusNotification", "LogStatusNotification")

Outcome = Literal["idle", "running", "done", "failed"]
# Whatever else a charger says is on the way.
OUTCOMES: Final[Mapping[str, Outcome]] = {
    "idle": "idle",
    "installed": "done",
    "published": "done",
    "uploaded": "done",
    "accepted_canceled": "failed",
    "bad_message": "failed",
    "download_failed": "failed",
    "install_verification_failed": "failed",
    "installation_failed": "failed",
    "invalid_checksum": "failed",
    "invalid_signature": "failed",
    "not_supported_operation": "failed",
    "permission_denied": "failed",
    "publish_failed": "failed",
    "upload_failed": "failed",  # 1.6, DiagnosticsStatusNotification
    "upload_failure": "failed",
}

router = APIRouter(tags=["notifications"])


class ProgressOut(BaseModel):
    request_id: int | None = Field(
        description="requestId in the command's calls; null: OCPP 1.6 gives none"
    )
    action: str = Field(examples=["FirmwareStatusNotification"])
    status: str = Field(
        description="OCPP's word in lower case", examples=["downloading", "install_rebooting"]
    )
    outcome: Outcome = Field(description="idle: the station is at nothing")
    received_at: datetime


@router.get(
    "/v1/stations/{station_id}/firmware-updates",
    summary="Firmware updates of a station and how far each has come, newest first",
    dependencies=[scoped("messages:read")],
)
async def list_firmware_updates(
    station_id: str,
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[ProgressOut]:
    return await _newest(db, station_id, FIRMWARE, limit, cursor)


@router.get(
    "/v1/stations/{station_id}/log-uploads",
    summary="Logs a station was asked for and how far each upload has come, newest first",
    dependencies=[scoped("messages:read")],
)
async def list_log_uploads(
    station_id: str,
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[ProgressOut]:
    return await _newest(db, station_id, LOGS, limit, cursor)


async def _newest(
    db: AsyncSession, station_id: str, actions: tuple[str, ...], limit: int, cursor: str | None
) -> paging.Page[ProgressOut]:
    of_station = (Notification.station_id == station_id, Notification.action.in_(actions))
    newest = select(func.max(Notification.id)).where(*of_station).group_by(Notification.request_id)
    query = select(Notification).where(Notification.id.in_(newest))
    rows, after = await paging.rows(
        db, query, Notification.id, limit=limit, cursor=cursor, newest_first=True
    )
    return paging.Page(items=[_told(row) for row in rows], next_cursor=after)


def _told(row: Notification) -> ProgressOut:
    status = snake(str(row.payload.get("status", "")))
    return ProgressOut(
        request_id=row.request_id,
        action=row.action,
        status=status,
        outcome=OUTCOMES.get(status, "running"),
        received_at=row.received_at,
    )
