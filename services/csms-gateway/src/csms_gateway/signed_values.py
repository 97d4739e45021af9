"""Pure: the signed readings in a message, in the words of its version of OCPP."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from csms_gateway import readings

SIGNED: Final = "SignedData"  # OCPP 1.6, ValueFormat


class Signed(NamedTuple):
    """One signed reading. None: the charger does not say."""

    timestamp: str | None  # in the charger's own words
    context: str | None
    measurand: str | None
    data: str  # as the meter signed it, byte for byte
    signing_method: str | None
    encoding_method: str | None
    public_key: str | None


def found_in(payload: dict[str, Any]) -> Iterator[Signed]:
    """Of a MeterValues, StopTransaction or TransactionEvent, in the order in which they stand."""
    for meter_value in payload.get("meterValue") or payload.get("transactionData") or ():
        for sampled in meter_value.get("sampledValue") or ():
            if signed := _signed(sampled):
                yield Signed(
                    timestamp=_text(meter_value.get("timestamp")),
                    context=_text(sampled.get("context")),
                    measurand=_text(sampled.get("measurand")),
                    data=str(signed.get("signedMeterData", "")),
                    signing_method=_text(signed.get("signingMethod")),
                    encoding_method=_text(signed.get("encodingMethod")),
                    public_key=_text(signed.get("publicKey")),
                )


def _text(value: Any) -> str | None:
    """An empty one says nothing: 2.0.1 asks for each of them."""
    return str(value) if value not in (None, "") else None


def _signed(sampled: dict[str, Any]) -> dict[str, Any] | None:
    """SignedMeterValueType (OCPP 2.0.1, 2.46); in 1.6 the value is the data, or such a type as JSON
    (OCA's application note on signed meter values in OCPP 1.6).
    """
    if isinstance(signed := sampled.get("signedMeterValue"), dict):
        return signed
    value = str(sampled.get("value", ""))
    if sampled.get("format") != SIGNED and len(value) <= readings.VALUE_MAX:
        return None
    try:
        parts = orjson.loads(value)
    except orjson.JSONDecodeError:
        parts = None
    if isinstance(parts, dict) and "signedMeterData" in parts:
        return parts
    return {"signedMeterData": value}
