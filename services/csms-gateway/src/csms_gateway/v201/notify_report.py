"""NotifyReport (OCPP 2.0.1, B07 and B08): a part of the device model; each stands for itself."""

from typing import Any

from csms_gateway import masking, notifications, variables
from csms_gateway.charger import Charger
from csms_gateway.device_model import reported


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    await variables.store(charger, reported(payload.get("reportData", [])))
    kept = masking.payload("NotifyReport", payload)
    await notifications.keep(charger, "NotifyReport", kept)
    return {}
