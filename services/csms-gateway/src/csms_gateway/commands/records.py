"""Commands on their way to chargers: records first, then messages (R5).

queued → sent → accepted | rejected | failed | timed_out, or cancelled while queued. A queued
command waits in the database for its station; the notice over NATS only says that it is there, so a
lost notice delays it to the next sweep and a station that is away gets it when it connects.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
import orjson

from common.database import STATEMENT_FAILED
from csms_gateway import masking, password_rotation, schemas, secrets_in
from csms_gateway.awaited_answers import CallFailed, NoAnswer
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.all_kinds import KINDS, RAW
from csms_gateway.commands.verdict import start_of, taken
from csms_gateway.gateway import Gateway

if TYPE_CHECKING:
    from csms_gateway.connections import Held

log = logging.getLogger(__name__)

BY: Final = "csms-gateway"  # who has asked for a command, when nobody did

SWEEP_S = 5.0
FINISH_RETRY_S = 1.0

# By the newest socket alone: an old one that lingers here would only lose it.
CLAIM = """
update command set
    state = 'sent', sent_at = now(), replica = $2, change = nextval('command_change_seq')
where id = (
    select id from command
    where station_id = $1 and state = 'queued' and deadline_at > now()
    and exists (select from connection where station_id = $1 and generation = $3)
    order by id limit 1 for update skip locked
)
returning id, station_id, type, parameters, secrets, requested_by
"""
ASKS_FOR_START = """
update command set start_id_token = $2, start_evse_id = $3, remote_start_id = $4 where id = $1
"""
FINISH = """
update command set
    state = $2, result = $3, calls = $4, parameters = $5, finished_at = now(), secrets = null,
    change = nextval('command_change_seq')
where id = $1 and state = 'sent'
"""
# The deadline is for a station that is away. A sent one has its own clock, the charger's time to
# answer; a quarter of an hour is for those of many calls.
TIME_OUT = """
update command set
    state = 'timed_out', finished_at = now(), secrets = null, change = nextval('command_change_seq')
where state = 'queued' and deadline_at < now()
    or state = 'sent' and sent_at < now() - interval '15 minutes'
returning id, station_id, parameters
"""
# A sent one of a replica that died. The charger may have carried it out; nobody will ever know, so
# it cannot be sent again either.
ABANDON = """
update command set
    state = 'failed', finished_at = now(), secrets = null, change = nextval('command_change_seq'),
    result = '{"description": "the gateway stopped before the charger answered"}'
where state = 'sent' and replica = $1
returning id, station_id, parameters
"""
# A command that is over keeps no password.
HIDE = "update command set parameters = $2 where id = $1"
WAITING = "select distinct station_id from command where state = 'queued' and station_id = any($1)"


def deliver_soon(gateway: Gateway, charger: Charger) -> None:
    """Send what waits for this charger, beside whatever it is saying itself."""
    if charger.delivery_waits:
        return  # it will find this one too
    charger.delivery_waits = True
    delivery = gateway.tasks.spawn(_deliver(charger), f"commands {charger.station_id}")
    gateway.deliveries.add(delivery)
    delivery.add_done_callback(gateway.deliveries.discard)


async def _deliver(charger: Charger) -> None:
    gateway = charger.gateway
    async with charger.commands:
        charger.delivery_waits = False
        while not gateway.draining and (
            row := await gateway.pool.fetchrow(
                CLAIM, charger.station_id, gateway.replica, charger.generation
            )
        ):
            await _tell(gateway, row, "sent")
            if row["requested_by"] == BY:
                # It may follow from what the charger is saying, and stations refuse a profile that
                # comes before the answer to that (2.0.1, K15.FR.17).
                await charger.answered()
            sent: list[dict[str, Any]] = []
            state, result = await _carried_out(charger, row, sent)
            parts = (result, sent, orjson.loads(row["parameters"]))
            await _finish(gateway, row["id"], state, *map(_json, parts))
            await _tell(gateway, row, state)


async def _finish(gateway: Gateway, command_id: UUID, state: str, *parts: str) -> None:
    """Store how it ended: the charger has taken it or not, whatever becomes of our database."""
    while True:
        try:
            await gateway.pool.execute(FINISH, command_id, state, *parts)
        except asyncpg.DataError:
            raise  # it will never be taken
        except STATEMENT_FAILED as error:
            if gateway.pool.is_closing():
                raise
            log.warning("the end of command %s is not stored yet: %s", command_id, error)
            await asyncio.sleep(FINISH_RETRY_S)
        else:
            return


def _json(value: Any) -> str:
    """Without passwords."""
    return orjson.dumps(masking.hidden(value)).decode().replace("\\u0000", "\\ufffd")


async def _tell(gateway: Gateway, row: asyncpg.Record, state: str) -> None:
    await gateway.feed.tell(row["station_id"], row["id"], state)


async def _carried_out(
    charger: Charger, row: asyncpg.Record, sent: list[dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """The state the command ends in, and what the charger said to it; sent: its calls, as made."""
    answers: list[dict[str, Any]] = []
    try:
        for call in await _calls(charger, row["type"], _parameters(charger.gateway, row)):
            if call.needs_previous and not taken(answers[-1]):
                break
            if start := start_of(call.action, call.payload):
                await charger.gateway.pool.execute(ASKS_FOR_START, row["id"], *start)
            shown, _ = secrets_in.take_out(call.action, call.payload)
            sent.append({"action": call.action, "payload": shown})
            charger.under_way = call
            answer = await _asked(charger, call)
            answers.append(masking.hidden(answer))
            sent[-1]["answer"] = answers[-1]
            if hook := charger.version.answered.get(call.action):
                schemas.require_complete(charger.version.schemas, call.action, answer)
                await hook(charger, call.payload, answer)
    except CallFailed as failed:
        error = {"code": failed.code, "description": failed.description}
        return "failed", error | ({"details": failed.details} if failed.details else {})
    except NoAnswer as failed:
        return ("timed_out" if failed.timed_out else "failed"), {"description": str(failed)}
    except Unsupported as failed:
        return "failed", {"code": "NotSupported", "description": str(failed)}
    except schemas.Violation as failed:
        return "failed", {"code": failed.code, "description": str(failed)}
    except Exception:
        log.exception("command %s to %s failed", row["id"], charger.station_id)
        return "failed", {"description": "an error of ours; see the log"}
    finally:
        charger.under_way = None
    result = answers[0] if len(answers) == 1 else {"answers": answers}
    return ("accepted" if all(map(taken, answers)) else "rejected"), result


def _parameters(gateway: Gateway, row: asyncpg.Record) -> dict[str, Any]:
    """As they were given, passwords and all."""
    parameters: dict[str, Any] = orjson.loads(row["parameters"])
    if row["secrets"] is None:
        return parameters
    if gateway.sealer is None:
        raise schemas.Violation("InternalError", "CSMS_SECRET_KEY is gone; send it again")
    secrets = orjson.loads(gateway.sealer.open(row["secrets"].encode()))
    return secrets_in.put_back(row["type"], parameters, secrets)


async def _asked(charger: Charger, call: Call) -> dict[str, Any]:
    """The charger's answer. Raises as Charger.call."""
    timeout_s = charger.gateway.settings.ocpp_call_timeout_s
    try:
        return await password_rotation.call(charger, call, timeout_s)
    except (CallFailed, schemas.Violation) as failed:
        if refused := charger.version.refused.get(call.action):
            await refused(charger, call.payload, failed.code)
        raise


async def _calls(charger: Charger, kind: str, parameters: dict[str, Any]) -> list[Call]:
    """Raises Unsupported."""
    if kind == RAW:
        if not schemas.known(charger.version.schemas, parameters["action"]):
            raise Unsupported(f"{charger.version.name} has no action {parameters['action']}")
        return [Call(parameters["action"], parameters["payload"])]
    command = KINDS[kind].model_validate({"type": kind, **parameters})
    if why := charger.version.lacks(command):
        raise Unsupported(why)
    return await charger.version.commands[kind](charger, command)


async def abandon(gateway: Gateway, replica: UUID) -> None:
    """End what a dead replica had sent."""
    await _end(gateway, "failed", ABANDON, replica)


async def _end(gateway: Gateway, state: str, statement: str, *values: Any) -> None:
    """End commands of which no more will be heard; statement ends them in that state."""
    async with gateway.pool.acquire() as db, db.transaction():
        rows = await db.fetch(statement, *values)
        for row in rows:
            await db.execute(HIDE, row["id"], _json(orjson.loads(row["parameters"])))
    for row in rows:
        await _tell(gateway, row, state)


async def sweep(gateway: Gateway, held: "Held") -> None:
    """End what is past its deadline; deliver what a lost notice left behind."""
    while True:
        await _end(gateway, "timed_out", TIME_OUT)
        await held.close_changed()
        stations = [charger.station_id for charger in held.all()]
        for row in await gateway.pool.fetch(WAITING, stations):
            if charger := held.get(row["station_id"]):
                deliver_soon(gateway, charger)
        await asyncio.sleep(SWEEP_S)
