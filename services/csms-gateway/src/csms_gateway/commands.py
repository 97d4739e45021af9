"""Commands to chargers: records first, then messages (R5).

queued → sent → accepted | rejected | failed | timed_out. A queued command waits in the database
for its station; the notice over NATS only says that it is there, so a lost notice delays it to
the next sweep and a station that is away gets it when it connects.
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import PLATFORM, Db
from common.problems import NotFound, Problem
from csms_gateway import connections, schemas, tables
from csms_gateway.charger import CallFailed, Charger, NoAnswer
from csms_gateway.gateway import Gateway
from csms_gateway.v16 import commands as v16

if TYPE_CHECKING:
    from csms_gateway.connections import Held

log = logging.getLogger(__name__)

SWEEP_S = 5.0

CLAIM = """
update command set state = 'sent', sent_at = now()
where id = (
    select id from command
    where station_id = $1 and state = 'queued' and deadline_at > now()
    order by id limit 1 for update skip locked
)
returning id, type, parameters
"""
FINISH = """
update command set state = $2, result = $3, finished_at = now() where id = $1 and state = 'sent'
"""
TIME_OUT = """
update command set state = 'timed_out', finished_at = now()
where state in ('queued', 'sent') and deadline_at < now()
"""
WAITING = "select distinct station_id from command where state = 'queued' and station_id = any($1)"


# --- towards the charger ----------------------------------------------------------------------


def deliver_soon(gateway: Gateway, charger: Charger) -> None:
    """Send what waits for this charger, beside whatever it is saying itself."""
    gateway.tasks.spawn(_deliver(charger), f"commands {charger.station_id}")


async def _deliver(charger: Charger) -> None:
    async with charger.commands:
        while row := await charger.gateway.pool.fetchrow(CLAIM, charger.station_id):
            state, result = await _send(charger, row["type"], orjson.loads(row["parameters"]))
            await charger.gateway.pool.execute(
                FINISH, row["id"], state, orjson.dumps(result).decode()
            )


async def _send(
    charger: Charger, kind: str, parameters: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The state a command ends in, and what the charger said to it."""
    action, payload = v16.translate(kind, parameters)
    try:
        answer = await charger.call(action, payload, charger.gateway.settings.ocpp_call_timeout_s)
    except CallFailed as failed:
        return "failed", {"code": failed.code, "description": failed.description}
    except (NoAnswer, schemas.Violation) as failed:
        return "failed", {"description": str(failed)}
    accepted = answer.get("status") == "Accepted"
    return ("accepted" if accepted else "rejected"), answer


async def sweep(gateway: Gateway, held: "Held") -> None:
    """End what is past its deadline; deliver what a lost notice left behind."""
    while True:
        await gateway.pool.execute(TIME_OUT)
        await held.close_changed()
        stations = [charger.station_id for charger in held.all()]
        for row in await gateway.pool.fetch(WAITING, stations):
            if charger := held.get(row["station_id"]):
                deliver_soon(gateway, charger)
        await asyncio.sleep(SWEEP_S)


# --- REST -------------------------------------------------------------------------------------

router = APIRouter(tags=["commands"])

State = Literal["queued", "sent", "accepted", "rejected", "failed", "timed_out"]
Key = Annotated[
    str, Header(min_length=1, max_length=80, description="a repeat with the same key does nothing")
]


class UnknownStation(NotFound):
    title = "Unknown station"


class NoOpenSession(Problem):
    status = 409
    title = "No such open session"


class IdempotencyKeyReused(Problem):
    status = 422
    title = "Idempotency key already used for something else"


class _Command(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RemoteStart(_Command):
    """Let a driver charge without tapping a card."""

    type: Literal["remote_start"]
    # 20: OCPP 1.6, 7.28; OCPP 2.x allows more and gets its own bound with its version
    id_token: str = Field(min_length=1, max_length=20, pattern=r"^[^\x00]+$")
    evse_id: int | None = Field(default=None, ge=1, le=1000, description="null: charger's choice")


class RemoteStop(_Command):
    """End a running session."""

    type: Literal["remote_stop"]
    session_id: UUID


CommandIn = Annotated[RemoteStart | RemoteStop, Field(discriminator="type")]


class CommandOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    station_id: str
    type: str
    parameters: dict[str, Any]
    state: State
    requested_by: str
    requested_at: datetime
    deadline_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    result: dict[str, Any] | None = Field(description="what the charger answered")
    session_id: UUID | None = Field(description="the session that came of it or was stopped by it")


@router.post(
    "/v1/stations/{station_id}/commands",
    summary="Send a command to a charger",
    status_code=202,
    dependencies=[scoped("commands:write")],
)
async def create_command(
    station_id: connections.StationPath,
    body: CommandIn,
    caller: Caller,
    request: Request,
    idempotency_key: Key,
) -> CommandOut:
    """Answered when the command is stored; follow it by its id. It waits for a station that is
    away until its deadline.
    """
    parts = request.app.state.parts
    # Not the Db dependency: the notice must go out after the commit, or it would find nothing.
    async with parts.connections.begin(caller.operator_id or PLATFORM) as db:
        row = await _store(
            db, station_id, body, caller.sub, idempotency_key, parts.settings.command_deadline_s
        )
    await parts.nats.publish(connections.subject(station_id), b"")
    return row


async def _store(
    db: AsyncSession, station_id: str, body: RemoteStart | RemoteStop, by: str, key: str,
    deadline_s: float,
) -> CommandOut:  # fmt: skip
    station = await db.get(tables.Station, station_id)
    if station is None or not station.active:
        raise UnknownStation(f"there is no station {station_id!r}")
    parameters = body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    at = now()
    new = insert(tables.Command).values(
        operator_id=station.operator_id,
        station_id=station_id,
        idempotency_key=key,
        type=body.type,
        parameters=parameters,
        requested_by=by,
        requested_at=at,
        deadline_at=at + timedelta(seconds=deadline_s),
    )
    if isinstance(body, RemoteStop):
        new = new.values(
            session_id=body.session_id,
            parameters=parameters
            | {"transaction_id": await _transaction_id(db, station_id, body.session_id, key)},
        )
    row = await db.scalar(new.on_conflict_do_nothing().returning(tables.Command))
    if row is None:
        row = (await db.scalars(_by_key(station, key))).one()
        same = row.type == body.type and row.station_id == station_id
        if not same or {**row.parameters, **parameters} != row.parameters:
            raise IdempotencyKeyReused("this key belongs to another command", command=str(row.id))
    return CommandOut.model_validate(row)


def _by_key(station: tables.Station, key: str) -> Any:
    return select(tables.Command).where(
        tables.Command.operator_id == station.operator_id, tables.Command.idempotency_key == key
    )


async def _transaction_id(
    db: AsyncSession, station_id: str, session_id: UUID, key: str
) -> int | None:
    query = select(tables.Transaction).where(
        tables.Transaction.station_id == station_id, tables.Transaction.session_id == session_id
    )
    transaction = await db.scalar(query)
    repeated = select(tables.Command.id).where(tables.Command.idempotency_key == key)
    if transaction is None or (
        transaction.ended_at is not None and await db.scalar(repeated) is None
    ):
        raise NoOpenSession(f"no session {session_id} is running at {station_id!r}")
    return transaction.id


@router.get(
    "/v1/stations/{station_id}/commands",
    summary="Commands to a station, newest first",
    dependencies=[scoped("commands:read")],
)
async def list_commands(
    station_id: connections.StationPath,
    db: Db,
    state: Annotated[State | None, Query()] = None,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[CommandOut]:
    query = select(tables.Command).where(tables.Command.station_id == station_id)
    if state:
        query = query.where(tables.Command.state == state)
    rows, after = await paging.rows(
        db, query, tables.Command.id, limit=limit, cursor=cursor, newest_first=True
    )
    return paging.Page(items=[CommandOut.model_validate(row) for row in rows], next_cursor=after)


@router.get(
    "/v1/stations/{station_id}/commands/{command_id}",
    summary="One command and what came of it",
    dependencies=[scoped("commands:read")],
)
async def get_command(station_id: connections.StationPath, command_id: UUID, db: Db) -> CommandOut:
    row = await db.get(tables.Command, command_id)
    if row is None or row.station_id != station_id:
        raise NotFound(f"no command {command_id} to {station_id!r}")
    return CommandOut.model_validate(row)
