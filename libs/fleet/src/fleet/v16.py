"""Pure: the OCPP 1.6 messages that a charger sends (OCPP 1.6 edition 2, section 6)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fleet.charging import Sample
from fleet.faults import Faults

Payload = dict[str, Any]

SUBPROTOCOL = "ocpp1.6"
NO_TRANSACTION_ID = -1  # what chargers put in StopTransaction when the start was never answered

REGISTER = "Energy.Active.Import.Register"
MEASURANDS = (REGISTER, "Power.Active.Import", "Current.Import", "Voltage", "SoC")


@dataclass(frozen=True)
class Electrics:
    """What stands between the grid and the car.

    An AC charger knows nothing of the battery: no SoC.
    """

    power_w: int = 11_000
    dc: bool = False

    @property
    def voltage_v(self) -> int:
        return 400 if self.dc else 230

    def current_a(self, power_w: int) -> Decimal:
        """Amperes with one decimal; of an AC charger in each of its three phases."""
        conductors = 1 if self.dc else 3
        return (Decimal(power_w) / (self.voltage_v * conductors)).quantize(Decimal("0.1"))


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def boot_notification(*, vendor: str, model: str, serial: str, firmware: str) -> Payload:
    return {
        "chargePointVendor": vendor[:20],
        "chargePointModel": model[:20],
        "chargePointSerialNumber": serial[:25],
        "firmwareVersion": firmware[:50],
    }


def status_notification(connector_id: int, status: str, at: datetime) -> Payload:
    return {
        "connectorId": connector_id,
        "errorCode": "NoError",
        "status": status,
        "timestamp": moment(at),
    }


def authorize(id_tag: str) -> Payload:
    return {"idTag": id_tag}


def start_transaction(connector_id: int, id_tag: str, meter_wh: int, at: datetime) -> Payload:
    return {
        "connectorId": connector_id,
        "idTag": id_tag,
        "meterStart": meter_wh,
        "timestamp": moment(at),
    }


def meter_values(
    connector_id: int, transaction_id: int | None, values: list[Payload], faults: Faults
) -> Payload:
    payload: Payload = {"connectorId": connector_id, "meterValue": values}
    if faults.zero_transaction_id:
        payload["transactionId"] = 0
    elif transaction_id is not None:
        payload["transactionId"] = transaction_id
    if faults.omit_transaction_id:
        payload.pop("transactionId", None)
    return payload


def stop_transaction(
    transaction_id: int | None,
    *,
    meter_wh: int,
    at: datetime,
    reason: str,
    id_tag: str | None,
    data: list[Payload],
    faults: Faults,
) -> Payload:
    """`data` are meter values of the transaction's begin and end, or empty."""
    payload: Payload = {
        "transactionId": NO_TRANSACTION_ID if transaction_id is None else transaction_id,
        "meterStop": meter_wh,
        "timestamp": moment(at),
        "reason": reason,
    }
    if faults.zero_transaction_id:
        payload["transactionId"] = 0
    if id_tag is not None:
        payload["idTag"] = id_tag
    if data:
        payload["transactionData"] = data
    return payload


def meter_value(
    sample: Sample, electrics: Electrics, faults: Faults, measurands: Iterable[str] = MEASURANDS
) -> Payload:
    """One meterValue with a sampledValue for each measurand the charger knows."""
    wanted = set(measurands)
    readings: dict[str, tuple[Decimal, str, str]] = {
        REGISTER: _register(sample.register_wh, faults),
        "Power.Active.Import": (Decimal(sample.power_w), "W", "Outlet"),
        "Current.Import": (electrics.current_a(sample.power_w), "A", "Outlet"),
        "Voltage": (Decimal(electrics.voltage_v), "V", "Outlet"),
    }
    if electrics.dc and sample.soc_percent is not None:
        readings["SoC"] = (Decimal(sample.soc_percent), "Percent", "EV")
    chosen = {name: reading for name, reading in readings.items() if name in wanted}
    return {
        "timestamp": moment(sample.at),
        "sampledValue": [
            {
                "value": _written(value, faults),
                "context": sample.context,
                "format": "Raw",
                "measurand": measurand,
                "location": location,
                "unit": unit,
            }
            for measurand, (value, unit, location) in (chosen or readings).items()
        ],
    }


def _register(register_wh: int, faults: Faults) -> tuple[Decimal, str, str]:
    if faults.kilowatt_hours:
        return Decimal(register_wh) / 1000, "kWh", "Outlet"
    return Decimal(register_wh), "Wh", "Outlet"


def _written(value: Decimal, faults: Faults) -> str:
    if not faults.decimal_comma:
        return str(value)
    return (f"{value:.1f}" if value == value.to_integral_value() else str(value)).replace(".", ",")
