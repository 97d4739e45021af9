"""BootNotification (OCPP 2.0.1, B01 to B03)."""

from typing import Any

from common.clock import now
from csms_gateway.boots import booted
from csms_gateway.charger import Charger
from csms_gateway.clocks import wire_time


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    station = payload["chargingStation"]
    boot = await booted(
        charger,
        station["vendorName"],
        station["model"],
        station.get("serialNumber"),
        station.get("firmwareVersion"),
    )
    return {"status": boot.status, "currentTime": wire_time(now()), "interval": boot.interval_s}
