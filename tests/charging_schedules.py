"""Charging schedules as OCPP 2.x has them, in few words."""

from datetime import UTC, datetime
from typing import Any

from csms_gateway.commands.charging_profile import ChargingSchedule

AT = datetime(2030, 1, 1, tzinfo=UTC)


def ocpp(*schedules: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"chargingProfileKind": "Absolute", "chargingSchedule": list(schedules)} | changes


def steps(unit: str, *limits: tuple[int, float], **changes: Any) -> dict[str, Any]:
    periods = [{"startPeriod": start, "limit": limit} for start, limit in limits]
    start = AT.isoformat()
    return {
        "id": 1,
        "chargingRateUnit": unit,
        "startSchedule": start,
        "chargingSchedulePeriod": periods,
    } | changes


def made(schedule: ChargingSchedule) -> list[tuple[int, float]]:
    return [(one.start_s, one.limit) for one in schedule.periods if one.limit is not None]
