"""DataTransfer (OCPP 1.6, 4.3 and 5.6), both ways.

Of extensions only the one for costs is understood (costmsg.py). What a charger tells of any other
is kept and answered UnknownVendorId: it must not believe that anything followed from it.
"""

from typing import Any

from csms_gateway import costmsg, notifications
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import DataTransfer
from csms_gateway.v16 import outgoing


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    await notifications.keep(charger, "DataTransfer", payload)
    if payload["vendorId"] != costmsg.VENDOR:
        return {"status": "UnknownVendorId"}
    # That the cable was pulled after the stop: kept, but a session ends with its stop.
    known = payload.get("messageId") == costmsg.UNPLUGGED
    return {"status": "Accepted" if known else "UnknownMessageId"}


async def calls(_: Charger, command: DataTransfer) -> list[Call]:
    if command.data is not None and not isinstance(command.data, str):
        raise Unsupported("the data of OCPP 1.6's DataTransfer is text")
    payload = outgoing.without_none(
        vendorId=command.vendor_id, messageId=command.message_id, data=command.data
    )
    return [outgoing.call("DataTransfer", payload)]
