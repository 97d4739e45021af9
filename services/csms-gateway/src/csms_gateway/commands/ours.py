"""Commands that the gateway itself asks for: records like any other, by whoever caused them."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from common.clock import now
from common.ids import uuid7
from csms_gateway.charger import Charger
from csms_gateway.commands.records import BY, deliver_soon

QUEUE: Final = """
insert into command (
    id, operator_id, station_id, idempotency_key, type, parameters, requested_by, requested_at,
    deadline_at
) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
# Whoever has asked may note first what it is for.
SOON_S: Final = 0.1


async def queue(
    charger: Charger,
    kind: str,
    parameters: dict[str, Any],
    deadline_s: float,
) -> UUID:
    """Return when it is stored; it is sent soon after, behind the answer to the charger's own call
    that it follows from: stations refuse a profile that comes before it (2.0.1, K15.FR.17).
    """
    at: datetime = now()
    command_id = uuid7()
    await charger.gateway.pool.execute(
        QUEUE, command_id, charger.operator_id, charger.station_id, command_id.hex, kind,
        orjson.dumps(parameters).decode(), BY, at, at + timedelta(seconds=deadline_s),
    )  # fmt: skip
    charger.gateway.tasks.spawn(
        _soon(charger, command_id), f"commands of ours to {charger.station_id}"
    )
    return command_id


async def _soon(charger: Charger, command_id: UUID) -> None:
    await asyncio.sleep(SOON_S)
    await charger.gateway.feed.tell(charger.station_id, command_id, "queued")
    deliver_soon(charger.gateway, charger)
