"""RemoteStopTransaction (OCPP 1.6, 5.12)."""

from csms_gateway import transactions
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import RemoteStop


async def calls(charger: Charger, command: RemoteStop) -> list[Call]:
    number, _ = await transactions.ids_of(charger, command.session_id)
    return [Call("RemoteStopTransaction", {"transactionId": number})]
