"""BootNotification (OCPP 1.6, 4.2)."""

from typing import Any

from common.clock import now
from common.events import StationBooted
from csms_gateway.charger import Charger
from csms_gateway.v16.heartbeat import wire_time
from csms_gateway.v16.status_notification import TEXT_MAX, short


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    await charger.gateway.publisher.event(
        StationBooted(
            operator_id=charger.operator_id,
            station_id=charger.station_id,
            generation=charger.generation,
            vendor=payload["chargePointVendor"][:TEXT_MAX],
            model=payload["chargePointModel"][:TEXT_MAX],
            serial_number=short(
                payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber")
            ),
            firmware_version=short(payload.get("firmwareVersion")),
        )
    )
    return {
        "status": "Accepted",
        "currentTime": wire_time(now()),
        "interval": charger.gateway.settings.ocpp_heartbeat_interval_s,
    }
