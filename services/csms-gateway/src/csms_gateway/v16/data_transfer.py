"""DataTransfer (OCPP 1.6, 4.3 and 5.6), both ways.

No vendor's extension is understood, so a charger's own is kept and answered UnknownVendorId: it
must not believe that anything followed from it.
"""

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import DataTransfer
from csms_gateway.notifications import kept
from csms_gateway.v16 import outgoing

answer = kept("DataTransfer", {"status": "UnknownVendorId"})


async def calls(_: Charger, command: DataTransfer) -> list[Call]:
    if command.data is not None and not isinstance(command.data, str):
        raise Unsupported("the data of OCPP 1.6's DataTransfer is text")
    payload = outgoing.without_none(
        vendorId=command.vendor_id, messageId=command.message_id, data=command.data
    )
    return [outgoing.call("DataTransfer", payload)]
