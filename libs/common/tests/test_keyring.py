"""Keys that verify tokens: a new one is found at once, and strangers cannot have us look often."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from stack import eventually, served
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from common import auth
from common.auth import KeyRing, Unauthenticated, from_url


def new_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig"})


def token(key: OKPKey, kid: str | None = None) -> str:
    claims = {"iss": auth.ISSUER, "sub": "somebody", "exp": int(time.time()) + 60}
    header = {"alg": auth.ALGORITHM, "kid": kid or key.kid}
    return str(jwt.encode(header, claims, key, algorithms=[auth.ALGORITHM]))


class Published:
    """Identity's keys at an address that counts who asks, and may be slow or broken."""

    def __init__(self) -> None:
        self.keys = [new_key("first")]
        self.url = ""
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.status = 200

    async def answer(self, _: Any) -> JSONResponse:
        self.asked += 1
        await self.answers.wait()
        return JSONResponse(KeySet([*self.keys]).as_dict(private=False), status_code=self.status)


@pytest.fixture
async def published() -> AsyncIterator[Published]:
    made = Published()
    async with served(Starlette(routes=[Route("/jwks.json", made.answer)])) as url:
        made.url = f"{url}/jwks.json"
        yield made


@pytest.fixture
async def ring(published: Published, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    # However busy the machine is: it looks as long as need be, and not again by itself.
    monkeypatch.setattr(auth, "KEYS_WAIT_S", 30.0)
    monkeypatch.setattr(auth, "KEYS_AGAIN_S", 3600.0)
    made = KeyRing(from_url(published.url))
    await made.refresh()
    return made


async def test_a_key_that_is_new_is_fetched_once_for_all_who_wait(
    published: Published, ring: KeyRing
) -> None:
    published.keys.append(new_key("second"))
    published.answers.clear()
    waiting = [asyncio.ensure_future(ring.claims(token(published.keys[1]))) for _ in range(20)]

    async def looking() -> bool:
        return published.asked == 2

    await eventually(looking)
    published.answers.set()
    found = await asyncio.gather(*waiting)
    assert [one["sub"] for one in found] == ["somebody"] * 20
    assert published.asked == 2
    await ring.claims(token(published.keys[0]))
    assert published.asked == 2


async def test_made_up_keys_have_us_look_once_in_a_while(
    published: Published, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = new_key("first")
    forged = [token(stranger, uuid4().hex) for _ in range(50)]
    refused = await asyncio.gather(*map(ring.claims, forged), return_exceptions=True)
    assert all(isinstance(one, Unauthenticated) for one in refused)
    assert published.asked == 2
    for one in (token(stranger), "a.b.c", "nothing", "eyJhbGciOiJFZDI1NTE5Iiwia2lkIjo3fQ.e30.AA"):
        with pytest.raises(Unauthenticated):
            await ring.claims(one)
    assert published.asked == 2
    monkeypatch.setattr(auth, "KEYS_AGAIN_S", 0.0)
    with pytest.raises(Unauthenticated):
        await ring.claims(forged[0])
    assert published.asked == 3


async def test_who_waits_waits_not_long_and_old_keys_go_on(
    published: Published, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "KEYS_WAIT_S", 0.2)
    published.keys.append(new_key("second"))
    published.answers.clear()
    began = time.monotonic()
    with pytest.raises(Unauthenticated):
        await ring.claims(token(published.keys[1]))
    assert time.monotonic() - began < 20  # it would not have answered at all
    monkeypatch.setattr(auth, "KEYS_WAIT_S", 20.0)
    assert (await ring.claims(token(published.keys[0])))["sub"] == "somebody"
    monkeypatch.setattr(auth, "KEYS_AGAIN_S", 0.0)
    published.status = 500
    published.answers.set()
    with pytest.raises(Unauthenticated):
        await ring.claims(token(published.keys[1]))
    published.status = 200
    assert (await ring.claims(token(published.keys[1])))["sub"] == "somebody"


async def test_a_key_that_is_published_no_more_verifies_nothing(
    published: Published, ring: KeyRing
) -> None:
    old = published.keys.pop()
    published.keys.append(new_key("second"))
    await ring.claims(token(published.keys[0]))
    with pytest.raises(Unauthenticated):
        await ring.claims(token(old))
