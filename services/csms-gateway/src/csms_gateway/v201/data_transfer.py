"""DataTransfer (OCPP 2.0.1, P02): no vendor's extension is understood yet; the log keeps it."""

from typing import Any

from csms_gateway.charger import Charger


async def answer(_: Charger, __: dict[str, Any]) -> dict[str, Any]:
    return {"status": "UnknownVendorId"}
