"""Streams of periodic values (OCPP 2.1, N11 to N14): opened, fed and closed by the station.

Each delivery is kept as a notification, with the monitor that its stream stands for (N11.FR.04).
"""

from typing import Any, Final

from common.clock import now
from csms_gateway import notifications
from csms_gateway.charger import Charger
from csms_gateway.integers import INTEGER_END
from csms_gateway.schemas import Violation
from csms_gateway.stored_json import as_json

OPEN: Final = """
insert into event_stream (
    station_id, stream_id, operator_id, variable_monitoring_id, params, opened_at
) values ($1, $2, $3, $4, $5, $6)
on conflict (station_id, stream_id) do update set
    operator_id = $3, variable_monitoring_id = $4, params = $5, opened_at = $6, closed_at = null
"""
CLOSE: Final = "update event_stream set closed_at = $3 where station_id = $1 and stream_id = $2"
VALUES: Final = """
insert into notification (operator_id, station_id, action, payload, received_at)
select $1, $2, 'NotifyPeriodicEventStream', $3::jsonb || coalesce((
    select jsonb_build_object('variableMonitoringId', variable_monitoring_id)
    from event_stream where station_id = $2 and stream_id = $4
), '{}'), $5
"""


def _number(value: int, name: str) -> int:
    if abs(value) >= INTEGER_END:
        raise Violation("PropertyConstraintViolation", f"{name} {value} cannot be")
    return value


async def opened(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """OpenPeriodicEventStream: always taken, since whatever comes is kept."""
    stream = payload["constantStreamData"]
    await notifications.keep(charger, "OpenPeriodicEventStream", payload)
    await charger.gateway.pool.execute(
        OPEN, charger.station_id, _number(stream["id"], "id"), charger.operator_id,
        _number(stream["variableMonitoringId"], "variableMonitoringId"),
        as_json(stream["params"]), now(),
    )  # fmt: skip
    return {"status": "Accepted"}


async def fed(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """NotifyPeriodicEventStream: a SEND, so nothing of this is told to the station."""
    await charger.gateway.pool.execute(
        VALUES, charger.operator_id, charger.station_id, as_json(payload),
        _number(payload["id"], "id"), now(),
    )  # fmt: skip
    return {}


async def closed(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """ClosePeriodicEventStream."""
    await notifications.keep(charger, "ClosePeriodicEventStream", payload)
    await charger.gateway.pool.execute(
        CLOSE, charger.station_id, _number(payload["id"], "id"), now()
    )
    return {}
