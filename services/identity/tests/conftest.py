"""Identity on a socket, started once, with an operator or two."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from joserfc.jwk import OKPKey
from postbox import Postbox, post_office
from stack import Issuer, Running, Servers, one_service

from common.clock import now
from common.database import PLATFORM
from identity.tables import SigningKey

from .support import BOSS, BOSS_PASSWORD, new_operator


@pytest.fixture(scope="session")
async def postbox() -> AsyncIterator[Postbox]:
    async with post_office() as box:
        yield box


@pytest.fixture(scope="session")
async def identity(servers: Servers, issuer: Issuer, postbox: Postbox) -> AsyncIterator[Running]:
    settings = {
        "bootstrap_email": BOSS,
        "bootstrap_password": BOSS_PASSWORD,
        "secret_key": "a secret key of the tests of identity",
        "allow_private_endpoints": True,
        "smtp_url": postbox.url,
        "mail_from": "OpenLade <no-reply@openlade.example>",
        "public_url": "https://console.example/",
    }
    async with one_service(servers, issuer, "identity", **settings) as service:
        # Identity trusts only its own keys, so the tests' key becomes one: made tomorrow, it never
        # signs.
        async with service.app.state.connections.begin(PLATFORM) as db:
            tomorrow = now() + timedelta(days=1)
            private = dict(OKPKey.as_dict(issuer.key, private=True)) | {"alg": "Ed25519"}
            public = {name: value for name, value in private.items() if name != "d"}
            db.add(SigningKey(kid="test", private_jwk=private, public_jwk=public, made_at=tomorrow))
        await service.app.state.keyring.refresh()
        yield service


@pytest.fixture
async def operator(identity: Running) -> UUID:
    return await new_operator(identity)
