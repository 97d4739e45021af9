"""RequestStopTransaction (OCPP 2.0.1, F03)."""

from csms_gateway import transactions
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import RemoteStop


async def calls(charger: Charger, command: RemoteStop) -> list[Call]:
    number, ocpp_id = await transactions.ids_of(charger, command.session_id)
    return [Call("RequestStopTransaction", {"transactionId": ocpp_id or str(number)})]
