"""Commands asked for by REST: stored, then sent, and waited for if the caller likes."""

import asyncio
import time
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import uuid4

import orjson
from fastapi import APIRouter, Body, Header, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Caller, Principal, scoped
from common.clock import now
from common.idempotency import IdempotencyKeyReused
from common.problems import NotFound, Problem
from common.sealing import Sealer
from csms_gateway import connections, masking, schemas, secrets_in, tables
from csms_gateway.commands.all_kinds import RAW, CommandIn, Raw
from csms_gateway.commands.feed import FINISHED
from csms_gateway.commands.kinds import Kind, RemoteStop
from csms_gateway.commands.shown import CommandOut
from csms_gateway.versions import VERSIONS

router = APIRouter(prefix="/v1", tags=["commands"])

DEADLINE_S_MAX: Final = 7 * 86_400
WAIT_S_MAX: Final = 60
LOOK_EVERY_S: Final = 1.0  # a notice may be lost

Key = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=80,
        description="a repeat with the same key does nothing; without one, every request is new",
    ),
]


class UnknownStation(NotFound):
    title = "Unknown station"


class NoOpenSession(Problem):
    status = 409
    title = "No such open session"


class NotInThisVersion(Problem):
    status = 422
    title = "The station's version of OCPP has no such command"


class InvalidPayload(Problem):
    status = 422
    title = "The payload breaks the schema of the station's version of OCPP"


class NoSecretKey(Problem):
    status = 503
    title = "Passwords cannot be kept without a secret key"


@router.post(
    "/stations/{station_id}/commands",
    summary="Send a command to a charger",
    status_code=202,
    responses={200: {"model": CommandOut, "description": "Finished within wait_s"}},
    dependencies=[scoped("commands:write")],
)
async def create_command(
    station_id: connections.StationPath,
    body: Annotated[CommandIn, Body()],
    caller: Caller,
    request: Request,
    response: Response,
    idempotency_key: Key = None,
    wait_s: Annotated[
        float, Query(ge=0, le=WAIT_S_MAX, description="wait so long for the charger's answer")
    ] = 0,
    deadline_s: Annotated[
        int | None,
        Query(ge=1, le=DEADLINE_S_MAX, description="so long it may wait for the station"),
    ] = None,
) -> CommandOut:
    """Answered when the command is stored, or with wait_s when the charger has answered. It waits
    for a station that is away until its deadline.
    """
    parts = request.app.state.parts
    feed = request.app.state.beside.gateway.feed
    deadline_s = deadline_s or max(parts.settings.command_deadline_s, wait_s)
    with feed.following() as changes:
        # Not the Db dependency: the notice must go out after the commit, or it would find nothing.
        async with parts.connections.acting(caller) as db:
            sealer = request.app.state.beside.gateway.sealer
            row = await store(db, station_id, body, caller.sub, idempotency_key, deadline_s, sealer)
        await feed.tell(station_id, row.id, row.state)
        await request.app.state.beside.notify(station_id)
        row = await _followed(request, caller, row, changes, wait_s)
    if row.state in FINISHED:
        response.status_code = 200
    return row


async def _followed(
    request: Request,
    caller: Principal,
    row: CommandOut,
    changes: "asyncio.Queue[dict[str, Any]]",
    wait_s: float,
) -> CommandOut:
    """The command once it is finished, or as it is after wait_s."""
    until = time.monotonic() + wait_s
    while row.state not in FINISHED and (left := until - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(min(left, LOOK_EVERY_S)):
                while True:
                    change = await changes.get()
                    if change["id"] == str(row.id) and change["state"] in FINISHED:
                        break
        except TimeoutError:
            pass
        async with request.app.state.connections.acting(caller) as db:
            found = await db.get(tables.Command, row.id)
            assert found is not None
            row = CommandOut.model_validate(found)
    return row


async def store(
    db: AsyncSession,
    station_id: str,
    body: Kind | Raw,
    requested_by: str,
    key: str | None,
    deadline_s: float,
    sealer: Sealer | None,
) -> CommandOut:
    """The command, new or as it was stored before under this key. Raises a Problem."""
    station = await db.get(tables.Station, station_id)
    if station is None or not station.active:
        raise UnknownStation(f"there is no station {station_id!r}")
    if isinstance(body, Raw):
        kind, parameters = RAW, body.ocpp.model_dump()
    else:
        kind = body.type
        parameters = body.model_dump(mode="json", exclude={"type"}, exclude_none=True)
    parameters, secrets = secrets_in.take_out(kind, parameters)
    at = now()
    key = key or uuid4().hex
    repeated = await db.scalar(_by_key(station, key))
    if repeated is None:
        await _check(db, station_id, body)
        new = insert(tables.Command).values(
            operator_id=station.operator_id,
            station_id=station_id,
            idempotency_key=key,
            type=kind,
            parameters=parameters,
            secrets=_sealed(secrets, sealer),
            requested_by=requested_by,
            requested_at=at,
            deadline_at=at + timedelta(seconds=deadline_s),
            session_id=body.session_id if isinstance(body, RemoteStop) else None,
        )
        row = await db.scalar(new.on_conflict_do_nothing().returning(tables.Command))
        if row is not None:
            return CommandOut.model_validate(row)
        repeated = (await db.scalars(_by_key(station, key))).one()
    told = (repeated.type, repeated.station_id, masking.hidden(repeated.parameters))
    if told != (kind, station_id, masking.hidden(parameters)):
        raise IdempotencyKeyReused("this key belongs to another command", command=str(repeated.id))
    return CommandOut.model_validate(repeated)


def _sealed(secrets: list[str], sealer: Sealer | None) -> str | None:
    """Passwords wait encrypted for the station. Raises NoSecretKey."""
    if not secrets:
        return None
    if sealer is None:
        raise NoSecretKey("set CSMS_SECRET_KEY, or use rotate_password, which stores none")
    return sealer.seal(orjson.dumps(secrets)).decode()


async def _check(db: AsyncSession, station_id: str, body: Kind | Raw) -> None:
    """Refuse now what could only fail later. Raises a Problem."""
    if isinstance(body, RemoteStop):
        query = select(tables.Transaction.ended_at).where(
            tables.Transaction.station_id == station_id,
            tables.Transaction.session_id == body.session_id,
        )
        if [row.ended_at for row in await db.execute(query)] != [None]:
            raise NoOpenSession(f"no session {body.session_id} is running at {station_id!r}")
    connection = await db.get(tables.Connection, station_id)
    version = VERSIONS.get(connection.protocol) if connection else None
    if version is None:
        return  # it has never connected; it will be checked when it is sent
    if isinstance(body, Raw):
        if not schemas.known(version.schemas, body.ocpp.action):
            raise NotInThisVersion(f"{version.name} has no action {body.ocpp.action}")
        try:
            schemas.check_outgoing(version.schemas, body.ocpp.action, body.ocpp.payload)
        except schemas.Violation as violation:
            raise InvalidPayload(str(violation)) from None
    elif why := version.lacks(body):
        raise NotInThisVersion(why)


def _by_key(station: tables.Station, key: str) -> Any:
    return select(tables.Command).where(
        tables.Command.operator_id == station.operator_id, tables.Command.idempotency_key == key
    )
