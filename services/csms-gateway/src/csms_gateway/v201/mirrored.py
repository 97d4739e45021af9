"""The commands that mirror a call of OCPP 2.x: see commands/mirrored.py."""

from csms_gateway.charger import Call, Charger, Translation
from csms_gateway.commands import mirrored, request_ids
from csms_gateway.commands.kinds import Kind


def translation(kind: str) -> Translation:
    action, _ = mirrored.MIRRORED[kind]

    async def calls(charger: Charger, command: Kind) -> list[Call]:
        parameters = command.model_dump(mode="json", exclude={"type"}, exclude_none=True)
        if mirrored.wants_request_id(kind) and "request_id" not in parameters:
            parameters["request_id"] = await request_ids.following(charger)
        return [Call(action, mirrored.payload(kind, parameters))]

    return calls


def commands(since: str) -> dict[str, Translation]:
    """Those of the actions that this version has first: v201 or v21."""
    kinds = map(mirrored.snake, mirrored.ACTIONS[since])
    return {kind: translation(kind) for kind in kinds}
