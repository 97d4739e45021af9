"""Signed readings of sessions told to the others: billing verifies them, a driver's bill has them.

They are told with the message that is kept of them, in one statement, so a repeat of the message
tells nothing. What an older release has kept without telling is told once by a loop.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from common.events import Event, SignedReading, SignedReadingsReported
from csms_gateway import clocks, readings, signed_values
from csms_gateway.gateway import Gateway
from csms_gateway.transaction_endings import outbox

log = logging.getLogger(__name__)

# Of readings in one event, as JSON: NATS refuses messages over 1 MiB, and of one message of a
# charger all may be signed readings.
EVENT_BYTES_MAX: Final = 300_000
LOOK_S: Final = 60.0  # for what replicas of an older release still keep without telling
AT_ONCE: Final = 50
UNTOLD: Final = """
select id, operator_id, station_id, evse_id, session_id, payload, received_at from signed_message
where not told and session_id is not null order by id limit $1
"""
TOLD: Final = """
with told as (
    update signed_message set told = true where id = $1 and not told returning id
)
insert into outbox (event_id, subject, body)
select (event->>0)::uuid, event->>1, event->>2
from told, json_array_elements($2::json) as event
"""

Settle = Callable[[str], datetime]


def told(
    operator_id: UUID,
    station_id: str,
    evse_id: int,
    session_id: UUID | None,
    message_id: UUID,
    payload: dict[str, Any],
    received_at: datetime,
    settle: Settle,
) -> list[Event]:
    """The events that tell of a message; none if it is of no session.

    settle: when a reading was taken, by the charger's words.
    """
    if session_id is None:
        return []
    return [
        SignedReadingsReported(
            operator_id=operator_id,
            station_id=station_id,
            evse_id=evse_id,
            session_id=session_id,
            message_id=message_id,
            first=first,
            received_at=received_at,
            readings=tuple(part),
        )
        for first, part in _parts(payload, received_at, settle)
    ]


def _parts(
    payload: dict[str, Any], received_at: datetime, settle: Settle
) -> Iterator[tuple[int, list[SignedReading]]]:
    """Each with the place of its first reading in the message."""
    first, size = 0, 0
    part: list[SignedReading] = []
    for place, found in enumerate(signed_values.found_in(payload)):
        one = SignedReading(
            sampled_at=settle(found.timestamp) if found.timestamp else received_at,
            context=(found.context or "")[: readings.NAME_MAX],
            measurand=(found.measurand or "")[: readings.NAME_MAX],
            data=found.data,
            signing_method=readings.short(found.signing_method),
            encoding_method=readings.short(found.encoding_method),
            public_key=found.public_key,
        )
        length = len(one.model_dump_json().encode())
        if part and size + length > EVENT_BYTES_MAX:
            yield first, part
            first, size, part = place, 0, []
        part.append(one)
        size += length
    if part:
        yield first, part


async def sweep(gateway: Gateway) -> None:
    while True:
        while await tell_untold(gateway):
            pass
        await asyncio.sleep(LOOK_S)


async def tell_untold(gateway: Gateway) -> int:
    """Tell some of what was kept without being told; return how many messages there were."""
    rows = await gateway.pool.fetch(UNTOLD, AT_ONCE)
    for row in rows:
        payload, received_at = orjson.loads(row["payload"]), row["received_at"]
        message = payload.get("timestamp")

        def settle(
            raw: str, message: Any = message, received_at: datetime = received_at
        ) -> datetime:
            # Whether the station could have told it earlier, nobody knows any more.
            return clocks.settle_reading(raw, message, received_at, received_at)

        events = told(
            row["operator_id"], row["station_id"], row["evse_id"], row["session_id"], row["id"],
            payload, received_at, settle,
        )  # fmt: skip
        await gateway.pool.execute(TOLD, row["id"], outbox(events))
        gateway.parts.connections.emitted.set()
    return len(rows)
