"""Wiring for identity."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from common import authorize, bus, public_limits, service
from common.outbound import Outbound
from common.privacy import every_hour
from identity import mail_delivery, operator_settings, operators, public_posts
from identity.access import access_rules, authorizations
from identity.audit import routes as audit_routes
from identity.consumers import HANDLERS
from identity.mail import Mailing
from identity.partners import issuers, lists, pushed_cards, real_time
from identity.partners import parts as list_parts
from identity.partners.parts import Seats
from identity.partners.real_time import RealTime
from identity.people import (
    cards,
    companies,
    cost_centres,
    exporting,
    imports,
    me,
    moving,
    own_cards,
    own_email,
    registrations,
    user_groups,
    users,
)
from identity.privacy import requests
from identity.settings import Settings
from identity.staff import (
    account,
    api_keys,
    invitations,
    keys,
    links,
    lockout,
    logins,
    oidc,
    oidc_provider,
    passkeys,
    resets,
    sessions,
    signin,
    totp,
)
from identity.staff.passwords import Hasher
from identity.staff.providers import Providers

ROUTERS = [
    operators.router,
    operator_settings.router,
    logins.router,
    invitations.router,
    signin.router,
    resets.router,
    sessions.router,
    api_keys.router,
    account.router,
    totp.router,
    passkeys.router,
    oidc_provider.router,
    oidc.router,
    keys.router,
    exporting.router,  # before what takes any word for an id
    users.router,
    user_groups.router,
    companies.router,
    cost_centres.router,
    cards.router,
    moving.router,
    imports.router,
    registrations.router,
    me.router,
    own_cards.router,
    own_email.router,
    access_rules.router,
    issuers.router,
    real_time.router,
    pushed_cards.router,
    lists.router,
    list_parts.router,
    authorizations.router,
    requests.router,
    audit_routes.router,
]


def create_app(settings: Settings | None = None) -> FastAPI:
    hasher = Hasher()
    settings = settings or Settings()  # type: ignore[call-arg]

    @asynccontextmanager
    async def around(parts: service.Parts) -> AsyncIterator[None]:
        sealer = parts.settings.sealer("identity")
        await keys.prepare(parts.connections, sealer)
        rotate = partial(keys.rotate_once, parts.connections, sealer)
        parts.tasks.forever(partial(every_hour, rotate), "identity signing keys")
        await logins.make_first(parts.connections, parts.settings, hasher)
        parts.tasks.forever(partial(lockout.prune, parts.connections), "identity lockout")
        prune = partial(sessions.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, prune), "identity sign-ins")
        sweep = partial(requests.sweep_once, parts.connections)
        parts.tasks.forever(partial(every_hour, sweep), "identity archives")
        mails = partial(mail_delivery.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, mails), "identity old mails")
        if way := mail_delivery.delivery(parts.settings):
            parts.tasks.forever(partial(mail_delivery.deliver, parts.connections, way), "mail")
        old_links = partial(links.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, old_links), "identity links")
        old_imports = partial(imports.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, old_imports), "identity imports")
        prune_lists = partial(lists.prune_once, parts.connections)
        parts.tasks.forever(partial(every_hour, prune_lists), "identity lists")
        url = str(parts.settings.database_url)
        async with Outbound() as calls:
            allow_private = settings.allow_private_endpoints
            app.state.providers = Providers(calls, allow_private=allow_private)
            asking = RealTime(calls, settings, parts.connections)
            async with authorizations.deciding(url, asking) as decider:
                app.state.real_time, app.state.decider = asking, decider
                answer = decider.answer
                respond = partial(bus.respond, parts.nats, "identity", authorize.SUBJECT, answer)
                responding = parts.tasks.forever(respond, "identity authorize")
                yield
                responding.cancel()

    app = service.create(
        "identity",
        settings,
        ROUTERS,
        HANDLERS,
        title="identity",
        around=around,
        load_keys=lambda parts: keys.from_database(parts.connections),
    )
    app.state.hasher = hasher
    app.state.mailing = Mailing(settings)
    app.state.seats = Seats()
    public_limits.install(app, public_posts.limits(settings))
    return app
