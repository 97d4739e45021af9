"""DataTransfer (OCPP 1.6, 4.3): no vendor's extension is understood yet; the log keeps it."""

from typing import Any

from csms_gateway.charger import Charger


async def answer(_: Charger, __: dict[str, Any]) -> dict[str, Any]:
    return {"status": "UnknownVendorId"}
