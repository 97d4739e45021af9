"""MeterValues (OCPP 1.6, 4.7)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from common.clock import now
from csms_gateway import clocks, kept_messages, readings, transactions
from csms_gateway.charger import Charger
from csms_gateway.publishing import UNREADABLE
from csms_gateway.signed_values import SIGNED
from csms_gateway.v16.status_notification import connector


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    number = connector(payload)
    transaction_id = payload.get("transactionId")
    session_id = await transactions.session_of(charger, transaction_id, number, payload)
    await store(charger, number, session_id, payload["meterValue"], payload)
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
    message = payload.get("timestamp")  # of a StopTransaction
    since = charger.reachable_since

    def settle(raw: str) -> datetime:
        return clocks.settle_reading(raw, message, received_at, since)

    if _any_signed(meter_values):
        await kept_messages.keep_signed(charger, evse_id, session_id, payload, settle)
    report = {
        "operator_id": str(charger.operator_id),
        "station_id": charger.station_id,
        "evse_id": evse_id,
        "session_id": session_id and str(session_id),
        "received_at": received_at,
        "samples": [
            sample for one in meter_values for sample in samples(one, settle(one["timestamp"]))
        ],
    }
    if report["samples"]:
        await charger.gateway.publisher.meter(report)


def _any_signed(meter_values: list[dict[str, Any]]) -> bool:
    for one in meter_values:
        for sampled in one.get("sampledValue", ()):
            if "format" in sampled and sampled["format"] == SIGNED:
                return True
            # Some do not say so; nothing else is as long.
            if len(str(sampled["value"])) > readings.VALUE_MAX:
                return True
    return False


def samples(meter_value: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    """The readings of one MeterValue, as events.MeterSample in JSON-ready members."""
    found = []
    for sampled in meter_value.get("sampledValue", ()):
        if sampled.get("format") == SIGNED:
            continue  # no number; the whole message is kept
        value = str(sampled["value"])
        if one := readings.sample(sampled, value, sampled.get("unit", ""), at):
            found.append(one)
        else:
            UNREADABLE.inc()
    return found
