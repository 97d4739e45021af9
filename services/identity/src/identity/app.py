"""Wiring for identity."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import authorize, bus, service
from common.privacy import every_hour
from identity import operators
from identity.access import authorizations
from identity.consumers import HANDLERS
from identity.people import cards, users
from identity.privacy import requests
from identity.settings import Settings
from identity.staff import (
    account,
    api_keys,
    keys,
    lockout,
    logins,
    passkeys,
    sessions,
    signin,
    totp,
)
from identity.staff.passwords import Hasher

ROUTERS = [
    operators.router,
    logins.router,
    signin.router,
    sessions.router,
    api_keys.router,
    account.router,
    totp.router,
    passkeys.router,
    keys.router,
    users.router,
    cards.router,
    authorizations.router,
    requests.router,
]


def create_app(settings: Settings | None = None) -> FastAPI:
    hasher = Hasher()

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[None]:
        await keys.make_first(parts.connections)
        await logins.make_first(parts.connections, parts.settings, hasher)
        answer = authorizations.answering(parts.connections)
        respond = partial(bus.respond, parts.nats, "identity", authorize.SUBJECT, answer)
        parts.tasks.forever(respond, "identity authorize")
        parts.tasks.forever(partial(lockout.prune, parts.connections), "identity lockout")
        prune = partial(sessions.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, prune), "identity sign-ins")
        sweep = partial(requests.sweep_once, parts.connections)
        parts.tasks.forever(partial(every_hour, sweep), "identity archives")
        yield

    app = service.create(
        "identity",
        settings or Settings(),  # type: ignore[call-arg]
        ROUTERS,
        HANDLERS,
        title="identity",
        around=around,
        load_keys=lambda parts: keys.from_database(parts.connections),
    )
    app.state.hasher = hasher
    return app
