"""Commands that other services ask for, over NATS: the same as by REST (common.commanding)."""

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from common import bus
from common.commanding import SUBJECT, CommandAnswer, CommandQuestion, CommandRefused
from common.problems import Problem
from csms_gateway.commands.all_kinds import CommandIn
from csms_gateway.commands.asking import store
from csms_gateway.gateway import Gateway

if TYPE_CHECKING:
    from csms_gateway.connections import Held

log = logging.getLogger(__name__)

COMMAND: Final[TypeAdapter[Any]] = TypeAdapter(CommandIn)


class InvalidQuestion(Problem):
    status = 422
    title = "The question is not one"


async def answer(gateway: Gateway, held: "Held") -> None:
    """Answer for ever, together with the other replicas."""
    answered = partial(_stored, gateway, held)
    await bus.respond(gateway.parts.nats, "csms-gateway", SUBJECT, answered)


async def _stored(gateway: Gateway, held: "Held", data: bytes) -> CommandAnswer:
    try:
        return await _store(gateway, held, data)
    except Problem as refused:
        told = CommandRefused(type=refused.type_uri(), status=refused.status, detail=refused.detail)
        return CommandAnswer(refused=told)


async def _store(gateway: Gateway, held: "Held", data: bytes) -> CommandAnswer:
    """Raises a Problem."""
    try:
        question = CommandQuestion.model_validate_json(data)
        command = COMMAND.validate_python(question.command)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise InvalidQuestion(f"{where}: {first['msg']}") from None
    deadline_s = question.deadline_s or gateway.settings.command_deadline_s
    # Its operator's rows alone are seen, so nobody commands another operator's station.
    async with gateway.parts.connections.begin(question.operator_id) as db:
        row = await store(
            db,
            question.station_id,
            command,
            question.requested_by,
            question.idempotency_key,
            deadline_s,
            gateway.sealer,
        )
    await gateway.feed.tell(question.station_id, row.id, row.state)
    await held.notify(question.station_id)
    return CommandAnswer(command_id=row.id, state=row.state)
