"""One Postgres, one schema and one role a service, one commit per request or event.

The handle is called db, never session: here a session is a car being charged.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

import asyncpg
from fastapi import Depends, Request
from sqlalchemy import MetaData, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from common import client, logs
from common.auth import Caller, Principal
from common.problems import Problem

# Row-level security compares operator_id with this setting; PLATFORM sees every operator.
OPERATOR_SETTING: Final = "csms.operator"
PLATFORM: Final = "*"
# Beneath that, of staff who may see some locations only, these: {uuid,uuid}; empty: all.
LOCATIONS_SETTING: Final = "csms.locations"
# Who acts, as JSON; with it, the triggers of common.audit note what changes.
ACTOR_SETTING: Final = "csms.actor"
Operator = UUID | Literal["*"]

# What a statement of asyncpg raises that the database refused, or that it was away for;
# InternalClientError if the connection was lost between two steps of the statement.
STATEMENT_FAILED: Final = (
    OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip

INSUFFICIENT_PRIVILEGE: Final = "42501"  # a row that a wall does not let in


class CameInBetween(Problem):
    """Somebody else changed the same at the same moment, and one of the two had to give way."""

    status = 503
    title = "Another change came in between"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class OutsideYourLocations(Problem):
    status = 403
    title = "Not one of your locations"


CONSTRAINT_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def new_metadata() -> MetaData:
    return MetaData(naming_convention=CONSTRAINT_NAMES)


def schema(service: str) -> str:
    return service.replace("-", "_")


def role(service: str) -> str:
    return f"csms_{schema(service)}"


def server_settings(service: str) -> dict[str, str]:
    """Each connection is its service's role with its schema in front, whoever logged in."""
    return {
        "application_name": service,
        "search_path": schema(service),
        "role": role(service),
        "timezone": "UTC",
    }


def engine(url: str, service: str, *, pool_size: int = 10) -> AsyncEngine:
    url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    arguments = {"server_settings": server_settings(service)}
    # An error of a statement ends in the log, its parameters may be anybody's name or secret.
    made = create_async_engine(
        url, connect_args=arguments, pool_size=pool_size, max_overflow=0, hide_parameters=True
    )
    event.listen(made.sync_engine, "checkout", _refuse_closed)
    return made


def _refuse_closed(connection: Any, *_: object) -> None:
    """A restarted Postgres must not cost one failed request a pooled connection.

    asyncpg knows when its socket closed; a ping would be three round trips a transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")


class Connections:
    """A service's way into its own schema."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._make = async_sessionmaker(engine, expire_on_commit=False)
        self.emitted = asyncio.Event()

    @asynccontextmanager
    async def begin(self, operator: Operator | None) -> AsyncIterator[AsyncSession]:
        """One transaction that sees one operator's rows, every one's for PLATFORM, or nobody's.

        None is for the tables that stand outside the walls, or to set_operator later. What was left
        with before_commit is done at the end, then it commits; then the outbox relay is woken if an
        event was emitted, and what was left with after_commit is called.
        """
        async with self._make.begin() as db:
            if operator is not None:
                await set_operator(db, operator)
            yield db
            for finish in db.info.pop("before_commit", ()):
                await finish(db)
        if db.info.pop("emitted", False):
            self.emitted.set()
        for call in db.info.pop("after_commit", ()):
            call()

    @asynccontextmanager
    async def acting(self, caller: Principal) -> AsyncIterator[AsyncSession]:
        """One transaction that sees what the caller may see. Raises OutsideYourLocations and
        CameInBetween.
        """
        try:
            async with self.begin(None) as db:
                await _set_for(db, caller)
                yield db
        except DBAPIError as error:
            if collided(error):
                raise CameInBetween("nothing was done; send it again") from error
            refused = getattr(error.orig, "sqlstate", None) == INSUFFICIENT_PRIVILEGE
            if refused and caller.locations is not None:
                raise OutsideYourLocations("it belongs to a location that is not yours") from error
            raise


def collided(error: BaseException) -> bool:
    """A deadlock or a lost race for a snapshot (PostgreSQL appendix A, class 40)."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, DBAPIError) and state.startswith("40")


def before_commit(db: AsyncSession, call: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Have something done as the transaction's last, once however often it is asked for."""
    waiting = db.info.setdefault("before_commit", [])
    if call not in waiting:
        waiting.append(call)


def after_commit(db: AsyncSession, call: Callable[[], None]) -> None:
    """Have something called once the transaction is committed; what it tells of is there then."""
    db.info.setdefault("after_commit", []).append(call)


@asynccontextmanager
async def undone_on_failure(db: AsyncSession) -> AsyncIterator[None]:
    """A savepoint. If what is within raises, it is undone and its after_commit forgotten."""
    left = len(db.info.get("after_commit", ()))
    try:
        async with db.begin_nested():
            yield
    except BaseException:
        del db.info.get("after_commit", [])[left:]
        raise


async def set_operator(db: AsyncSession, operator: Operator) -> None:
    await _set(db, OPERATOR_SETTING, str(operator))


def actor(sub: str, role: str) -> dict[str, str | None]:
    """Who acts, and in which request."""
    return {
        "sub": sub,
        "role": role,
        "ip": client.address.get(),
        "request_id": logs.request_id.get(),
    }


async def set_actor(db: AsyncSession, sub: str, role: str) -> None:
    """From here on, what the transaction changes is noted as this one's (common.audit)."""
    await _set(db, ACTOR_SETTING, json.dumps(actor(sub, role)))


async def _set_for(db: AsyncSession, caller: Principal) -> None:
    # In one round trip: every request pays it.
    locations = "" if caller.locations is None else "{" + ",".join(map(str, caller.locations)) + "}"
    await db.execute(
        text(
            "select set_config(:operator_name, :operator, true), "
            "set_config(:locations_name, :locations, true), set_config(:actor_name, :actor, true)"
        ),
        {
            "operator_name": OPERATOR_SETTING,
            "operator": str(caller.operator_id or PLATFORM),
            "locations_name": LOCATIONS_SETTING,
            "locations": locations,
            "actor_name": ACTOR_SETTING,
            "actor": json.dumps(actor(caller.sub, caller.role)),
        },
    )


async def _set(db: AsyncSession, name: str, value: str) -> None:
    # is_local: the setting ends with the transaction, so a pooled connection never carries it on.
    statement = text("select set_config(:name, :value, true)")
    await db.execute(statement, {"name": name, "value": value})


async def _callers_transaction(request: Request, caller: Caller) -> AsyncIterator[AsyncSession]:
    async with request.app.state.connections.acting(caller) as db:
        yield db


async def _platform_transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.connections.begin(PLATFORM) as db:
        yield db


async def _own_transaction(request: Request, caller: Caller) -> AsyncIterator[AsyncSession]:
    acting = caller.model_copy(update={"operator_id": None})
    async with request.app.state.connections.acting(acting) as db:
        yield db


# scope="function" commits before the response is sent. FastAPI's default commits after it,
# so a failed commit would already have been reported to the caller as a success.
Db = Annotated[AsyncSession, Depends(_callers_transaction, scope="function")]
# For the few routes that must look before they know the operator, such as signing in.
PlatformDb = Annotated[AsyncSession, Depends(_platform_transaction, scope="function")]
# For one's own account, which of the platform's staff is no operator's: what changes is noted.
OwnDb = Annotated[AsyncSession, Depends(_own_transaction, scope="function")]
