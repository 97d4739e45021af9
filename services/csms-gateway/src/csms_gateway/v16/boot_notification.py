"""BootNotification (OCPP 1.6, 4.2)."""

from typing import Any

from common.clock import now
from csms_gateway.boots import booted
from csms_gateway.charger import Charger
from csms_gateway.clocks import wire_time


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    boot = await booted(
        charger,
        payload["chargePointVendor"],
        payload["chargePointModel"],
        payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber"),
        payload.get("firmwareVersion"),
    )
    return {"status": boot.status, "currentTime": wire_time(now()), "interval": boot.interval_s}
