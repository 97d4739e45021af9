"""BootNotification (OCPP 1.6, 4.2)."""

from typing import Any

from common.clock import now
from common.events import StationBooted
from csms_gateway.charger import Charger
from csms_gateway.v16.heartbeat import wire_time


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    await charger.gateway.publisher.event(
        StationBooted(
            operator_id=charger.operator_id,
            station_id=charger.station_id,
            generation=charger.generation,
            vendor=payload["chargePointVendor"],
            model=payload["chargePointModel"],
            serial_number=payload.get("chargePointSerialNumber")
            or payload.get("chargeBoxSerialNumber"),
            firmware_version=payload.get("firmwareVersion"),
        )
    )
    return {
        "status": "Accepted",
        "currentTime": wire_time(now()),
        "interval": charger.gateway.settings.ocpp_heartbeat_interval_s,
    }
