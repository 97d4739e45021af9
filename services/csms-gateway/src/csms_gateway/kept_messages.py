"""Messages of sessions that are kept whole: what fits no transaction (R3), and signed readings."""

import hashlib
import logging
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from common.clock import now
from common.events import IncidentOpened, SessionEnded
from common.ids import uuid7
from csms_gateway import transaction_statements as sql
from csms_gateway.charger import Charger
from csms_gateway.signed_readings_told import Settle, told
from csms_gateway.stored_json import as_json
from csms_gateway.transaction_endings import outbox

log = logging.getLogger(__name__)


async def keep_unmatched(
    charger: Charger,
    action: str,
    payload: dict[str, Any],
    received_at: datetime,
    event: SessionEnded | IncidentOpened | None = None,
) -> None:
    """Store a message that fits no transaction; a repeat of it is stored, and told of, once."""
    log.warning("%s of %s fits no transaction", action, charger.station_id)
    kept = await charger.gateway.pool.fetchval(
        sql.UNMATCHED, charger.operator_id, charger.station_id, action, _digest(payload),
        as_json(payload), received_at, event.session_id if event else None,
        event.id if event else None, event.subject if event else None,
        event.model_dump_json() if event else None, uuid7(),
    )  # fmt: skip
    if kept and event:
        charger.gateway.parts.connections.emitted.set()


async def keep_signed(
    charger: Charger,
    evse_id: int,
    session_id: UUID | None,
    payload: dict[str, Any],
    settle: Settle,
) -> None:
    """Store a message with signed readings whole: they are evidence, byte for byte.

    settle: when a reading was taken, by the charger's words.
    """
    message_id, received_at = uuid7(), now()
    events = told(
        charger.operator_id, charger.station_id, evse_id, session_id, message_id, payload,
        received_at, settle,
    )  # fmt: skip
    kept = await charger.gateway.pool.fetchval(
        sql.SIGNED, message_id, charger.operator_id, charger.station_id, evse_id, session_id,
        _digest(payload), as_json(payload), received_at, outbox(events),
    )  # fmt: skip
    if kept and events:
        charger.gateway.parts.connections.emitted.set()


def _digest(payload: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()
