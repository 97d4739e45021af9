"""Heartbeat (OCPP 1.6, 4.6): also how a charger sets its clock."""

from datetime import datetime
from typing import Any

from common.clock import now
from csms_gateway.charger import Charger


def wire_time(at: datetime) -> str:
    """Milliseconds and Z: some chargers cannot read microseconds or an offset."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def answer(_: Charger, __: dict[str, Any]) -> dict[str, Any]:
    return {"currentTime": wire_time(now())}
