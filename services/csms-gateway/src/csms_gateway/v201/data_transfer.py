"""DataTransfer (OCPP 2.0.1, P01 and P02): no vendor's extension is understood yet; all are kept."""

from typing import Any

from csms_gateway.commands.kinds import DataTransfer
from csms_gateway.notifications import kept

answer = kept("DataTransfer", {"status": "UnknownVendorId"})  # P02.FR.06


def payload(command: DataTransfer) -> dict[str, Any]:
    found: dict[str, Any] = {"vendorId": command.vendor_id}
    if command.message_id is not None:
        found["messageId"] = command.message_id
    if command.data is not None:
        found["data"] = command.data
    return found
