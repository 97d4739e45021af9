"""What a charger says of a connector, told to the others."""

from common.clock import now
from common.events import ConnectorStatus, StatusesReported, StatusReport
from csms_gateway import clocks
from csms_gateway.charger import Charger
from csms_gateway.readings import short
from csms_gateway.schemas import Violation

NUMBER_END = 2**15  # the database's smallint


def number(value: int, name: str, *, least: int = 0, end: int = NUMBER_END) -> int:
    """An EVSE or connector number that can be one. Raises Violation."""
    if not least <= value < end:
        raise Violation("PropertyConstraintViolation", f"{name} {value} cannot be")
    return value


async def report(
    charger: Charger,
    evse_id: int,
    connector_id: int,
    status: ConnectorStatus,
    timestamp: str | None,
    *,
    error_code: str | None = None,
    vendor_error_code: str | None = None,
    info: str | None = None,
) -> StatusReport:
    """Return what was told, once it is durable.

    Connector 0 or EVSE 0: the EVSE or the station itself.
    """
    received_at = now()
    at = received_at
    if timestamp is not None:
        at = clocks.settle(timestamp, received_at, charger.reachable_since).at
    told = StatusReport(
        operator_id=charger.operator_id,
        station_id=charger.station_id,
        generation=charger.generation,
        evse_id=evse_id,
        connector_id=connector_id,
        status=status,
        error_code=short(error_code),
        vendor_error_code=short(vendor_error_code),
        info=short(info),
        reported_at=at,
        received_at=received_at,
    )
    await charger.gateway.publisher.report(StatusesReported, told)
    return told
