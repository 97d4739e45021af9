"""A charger has started: told to the others, and whether it may work."""

from dataclasses import dataclass
from typing import Literal

from common.clock import now
from common.events import BootReport, BootsReported
from csms_gateway.charger import Charger
from csms_gateway.readings import TEXT_MAX, short


@dataclass(frozen=True, slots=True)
class Booted:
    status: Literal["Accepted", "Pending", "Rejected"]
    interval_s: int  # between heartbeats, or until the charger asks again


async def booted(
    charger: Charger, vendor: str, model: str, serial_number: str | None, firmware: str | None
) -> Booted:
    """Return when the start is durable."""
    await charger.gateway.publisher.report(
        BootsReported,
        BootReport(
            operator_id=charger.operator_id,
            station_id=charger.station_id,
            generation=charger.generation,
            vendor=vendor[:TEXT_MAX],
            model=model[:TEXT_MAX],
            serial_number=short(serial_number),
            firmware_version=short(firmware),
            at=now(),
        ),
    )
    return Booted("Accepted", charger.gateway.settings.ocpp_heartbeat_interval_s)
