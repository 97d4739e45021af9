"""Heartbeat (OCPP 1.6, 4.6): also how a charger sets its clock."""

from typing import Any

from common.clock import now
from csms_gateway.charger import Charger
from csms_gateway.clocks import wire_time


async def answer(_: Charger, __: dict[str, Any]) -> dict[str, Any]:
    return {"currentTime": wire_time(now())}
