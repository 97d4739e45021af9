"""How far firmware updates and uploads of logs have come, in the same words for every version.

Read from what chargers told (notifications.py), so it goes back as far as that is kept. Each
request has one place in the list, with its newest status. Plain OCPP 1.6 has no request numbers
(UpdateFirmware, GetDiagnostics): what such a charger tells is of the last request, in one place.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging
from common.auth import scoped
from common.database import Db
from csms_gateway.commands.mirrored import snake
from csms_gateway.tables import Command, Notification


class Theme(NamedTuple):
    """Calls of ours, and what chargers call to tell how they go."""

    asked: tuple[str, ...]
    told: tuple[str, ...]


FIRMWARE: Final = Theme(
    asked=("UpdateFirmware", "SignedUpdateFirmware", "PublishFirmware"),
    told=(
        "FirmwareStatusNotification",
        "SignedFirmwareStatusNotification",
        "PublishFirmwareStatusNotification",
    ),
)
LOGS: Final = Theme(
    asked=("GetDiagnostics", "GetLog"),
    told=("DiagnosticsStatusNotification", "LogStatusNotification"),
)

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
    request_id: int | None = Field(description="OCPP's requestId; null: plain OCPP 1.6 has none")
    command_id: UUID | None = Field(
        description="the command that asked for it; null: none did, or it is still being sent"
    )
    action: str = Field(examples=["FirmwareStatusNotification"])
    status: str = Field(
        description="OCPP's word in lower case", examples=["downloading", "install_rebooting"]
    )
    outcome: Outcome = Field(
        description="idle: the station is at nothing; failed: also if another request replaced it"
    )
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
    db: AsyncSession, station_id: str, theme: Theme, limit: int, cursor: str | None
) -> paging.Page[ProgressOut]:
    of_station = (Notification.station_id == station_id, Notification.action.in_(theme.told))
    newest = select(func.max(Notification.id)).where(*of_station).group_by(Notification.request_id)
    query = select(Notification).where(Notification.id.in_(newest))
    rows, after = await paging.rows(
        db, query, Notification.id, limit=limit, cursor=cursor, newest_first=True
    )
    commands = await _commands(db, theme, [row.id for row in rows])
    replaced = await _replaced(db, theme, [row.id for row in rows])
    items = [_told(row, commands.get(row.id), replaced=row.id in replaced) for row in rows]
    return paging.Page(items=items, next_cursor=after)


async def _commands(
    db: AsyncSession, theme: Theme, notification_ids: list[int]
) -> dict[int, UUID | None]:
    """The last command before each that has its number, or like it none."""
    call = Command.calls[0]
    number = call["payload"]["requestId"].as_string()
    command = (
        select(Command.id)
        .where(
            Command.station_id == Notification.station_id,
            Command.sent_at <= Notification.received_at,
            call["action"].as_string().in_(theme.asked),
            # As text: a call exactly as given may have a number of any size.
            number.is_not_distinct_from(cast(Notification.request_id, Text)),
        )
        .order_by(Command.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(Notification.id, command).where(Notification.id.in_(notification_ids))
    return {row[0]: row[1] for row in await db.execute(query)}


async def _replaced(db: AsyncSession, theme: Theme, notification_ids: list[int]) -> set[int]:
    """Those after which the station told that it gave up what ran for a newer request (2.0.1,
    L01.FR.24 and N01.FR.12): nothing more need follow, and "downloading" would stand for ever.
    """
    call = Command.calls[0]
    newer = (
        select(Command.id)
        .where(
            Command.station_id == Notification.station_id,
            Command.finished_at >= Notification.received_at,
            call["action"].as_string().in_(theme.asked),
            call["payload"]["requestId"]
            .as_string()
            .is_distinct_from(cast(Notification.request_id, Text)),
            Command.result["status"].as_string() == "AcceptedCanceled",
        )
        .exists()
    )
    query = select(Notification.id).where(
        Notification.id.in_(notification_ids),
        Notification.action != "PublishFirmwareStatusNotification",  # not what was given up
        newer,
    )
    return set(await db.scalars(query))


def _told(row: Notification, command_id: UUID | None, *, replaced: bool) -> ProgressOut:
    status = snake(str(row.payload.get("status", "")))
    outcome = OUTCOMES.get(status, "running")
    return ProgressOut(
        request_id=row.request_id,
        command_id=command_id,
        action=row.action,
        status=status,
        outcome="failed" if replaced and outcome == "running" else outcome,
        received_at=row.received_at,
    )
