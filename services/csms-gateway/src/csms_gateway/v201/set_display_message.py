"""SetDisplayMessage (OCPP 2.0.1, O01 and O02): mirrored, with an id of ours if none is given."""

from typing import Any

from csms_gateway.charger import Call, Charger
from csms_gateway.commands import request_ids
from csms_gateway.v201 import mirrored

_translate = mirrored.translation("set_display_message")


async def calls(charger: Charger, command: Any) -> list[Call]:
    (call,) = await _translate(charger, command)
    message = call.payload["message"]
    if "id" not in message:
        message = {"id": await request_ids.following(charger), **message}
    return [Call(call.action, call.payload | {"message": message})]
