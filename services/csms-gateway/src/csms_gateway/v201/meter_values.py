"""MeterValues (OCPP 2.0.1, J01), and the readings in a TransactionEvent."""

from datetime import datetime
from typing import Any
from uuid import UUID

from common.clock import now
from csms_gateway import clocks, kept_messages, readings, statuses, transactions
from csms_gateway.charger import Charger
from csms_gateway.publishing import UNREADABLE


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    evse_id = statuses.number(payload["evseId"], "evseId")
    session_id = await transactions.session_of(charger, None, evse_id, payload)
    await store(charger, evse_id, session_id, payload["meterValue"], payload)
    return {}


async def store(
    charger: Charger,
    evse_id: int,
    session_id: UUID | None,
    meter_values: list[dict[str, Any]],
    payload: dict[str, Any],
) -> None:
    """Return when the readings are durable."""
    received_at = now()
    # What waited offline is old by right, not by a clock that is behind.
    since = received_at if payload.get("offline") else charger.reachable_since
    message = payload.get("timestamp")  # of a TransactionEvent

    def settle(raw: str) -> datetime:
        return clocks.settle_reading(raw, message, received_at, since)

    if any("signedMeterValue" in sampled for one in meter_values for sampled in _sampled(one)):
        await kept_messages.keep_signed(charger, evse_id, session_id, payload, settle)
    found = [sample for one in meter_values for sample in samples(one, settle(one["timestamp"]))]
    if found:
        report = {
            "operator_id": str(charger.operator_id),
            "station_id": charger.station_id,
            "evse_id": evse_id,
            "session_id": session_id and str(session_id),
            "received_at": received_at,
            "samples": found,
        }
        await charger.gateway.publisher.meter(report)


def _sampled(meter_value: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = meter_value.get("sampledValue", [])
    return found


def samples(meter_value: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    """The readings of one MeterValue, as events.MeterSample in JSON-ready members."""
    found = []
    for sampled in _sampled(meter_value):
        unit = sampled.get("unitOfMeasure", {})
        one = readings.sample(
            # The default location (2.0.1, SampledValueType) is the outlet, as in 1.6.
            sampled,
            str(sampled["value"]),
            unit.get("unit", ""),
            at,
            unit.get("multiplier", 0),
        )
        if one:
            found.append(one)
        else:
            UNREADABLE.inc()
    return found
