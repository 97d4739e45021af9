"""Passkeys, with an authenticator in software against the routes."""

import asyncio
import logging
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from stack import Issuer, Running, Servers, one_service
from webauthn.helpers import base64url_to_bytes as decoded
from webauthn.helpers import bytes_to_base64url as encoded

from common.clock import now
from common.database import PLATFORM
from identity.staff import begun
from identity.tables import Login, Operator, PasskeyChallenge

from .authenticator import BACKED_UP, ELIGIBLE, PRESENT, VERIFIED, Authenticator
from .support import problem
from .test_sessions import bearer, claims, refreshed, signed_in
from .test_signing_in import PASSWORD, sign_in

PATH = "/v1/account/passkeys"


async def options(identity: Running, mine: dict[str, Any] | None = None) -> dict[str, Any]:
    path = f"{PATH}/options" if mine else "/v1/token/passkey/options"
    answer = await identity.http.post(path, headers=bearer(mine) if mine else {})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def make(identity: Running, mine: dict[str, Any], credential: Any) -> httpx.Response:
    body = {"name": "Telephone", "credential": credential}
    return await identity.http.post(PATH, json=body, headers=bearer(mine))


async def enter(identity: Running, credential: dict[str, Any]) -> httpx.Response:
    return await identity.http.post("/v1/token/passkey", json={"credential": credential})


async def enrolled(
    identity: Running, operator: UUID, **how: Any
) -> tuple[dict[str, Any], Authenticator]:
    mine, key = await signed_in(identity, operator), Authenticator(**how)
    answer = await make(identity, mine, key.create(await options(identity, mine)))
    assert answer.status_code == 201, answer.text
    return {**mine, "passkey": answer.json()}, key


async def test_a_passkey_signs_in_without_an_address(identity: Running, operator: UUID) -> None:
    mine, key = await signed_in(identity, operator), Authenticator()
    asked = await options(identity, mine)
    assert asked["rp"] == {"id": "console.example", "name": "OpenLade"}
    assert decoded(asked["user"]["id"]) == UUID(mine["login"]["id"]).bytes
    wanted = asked["authenticatorSelection"]
    assert (wanted["residentKey"], wanted["userVerification"]) == ("required", "required")
    made = await make(identity, mine, key.create(asked))
    assert made.status_code == 201, made.text
    assert made.headers["etag"] == '"1"'
    assert made.json() == {
        "id": made.json()["id"],
        "name": "Telephone",
        "transports": ["hybrid", "internal"],
        "synced": False,
        "backed_up": False,
        "made_at": made.json()["made_at"],
        "last_used_at": None,
        "version": 1,
    }
    again = await options(identity, mine)
    assert [one["id"] for one in again["excludeCredentials"]] == [encoded(key.credential_id)]

    asked = await options(identity)
    assert (asked["userVerification"], asked.get("allowCredentials", [])) == ("required", [])
    answer = await enter(identity, key.get(asked))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert (await claims(identity, answer.json()["access_token"]))["sub"] == mine["login"]["id"]
    assert (await refreshed(identity, answer.json()["refresh_token"])).status_code == 200
    listed = (await identity.http.get("/v1/account/sessions", headers=bearer(mine))).json()
    assert [one["how"] for one in listed["items"]] == ["passkey", "passkey"]
    keys = (await identity.http.get(PATH, headers=bearer(mine))).json()["items"]
    assert keys[0]["last_used_at"] is not None


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": "https://console.example.evil.example"},
        {"origin": "http://console.example"},
        {"origin": "https://sub.console.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"flags": PRESENT | VERIFIED | BACKED_UP},
    ],
    ids=str,
)
async def test_what_was_signed_for_another_site_or_without_its_owner_is_refused(
    identity: Running, operator: UUID, lie: dict[str, Any]
) -> None:
    mine, key = await enrolled(identity, operator)
    for name, value in lie.items():
        setattr(key, name, value)
    problem(await enter(identity, key.get(await options(identity))), 401, "passkey-refused")
    other = Authenticator(**lie)
    made = await make(identity, mine, other.create(await options(identity, mine)))
    problem(made, 422, "passkey-not-made")


async def test_a_challenge_is_good_once_for_what_it_was_given_and_for_whom(
    identity: Running, operator: UUID
) -> None:
    mine, key = await enrolled(identity, operator)
    stranger = await signed_in(identity, operator)
    asked = await options(identity)
    assert (await enter(identity, key.get(asked))).status_code == 200
    problem(await enter(identity, key.get(asked)), 401, "passkey-refused")

    failed = await options(identity)  # used up by the attempt that fails as well
    key.origin, right = "https://evil.example", key.origin
    problem(await enter(identity, key.get(failed)), 401, "passkey-refused")
    key.origin = right
    problem(await enter(identity, key.get(failed)), 401, "passkey-refused")

    to_make = await options(identity, mine)
    problem(await enter(identity, key.get(to_make)), 401, "passkey-refused")
    made = await make(identity, stranger, Authenticator().create(to_make))
    problem(made, 422, "passkey-not-made")
    of_nobody = {"challenge": encoded(b"x" * 64)}
    problem(await enter(identity, key.get(of_nobody)), 401, "passkey-refused")

    late = await options(identity)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = PasskeyChallenge
        old = update(row).where(row.challenge == decoded(late["challenge"]))
        await db.execute(old.values(expires_at=now()))
    problem(await enter(identity, key.get(late)), 401, "passkey-refused")


async def test_of_the_same_answer_sent_at_once_one_signs_in(
    identity: Running, operator: UUID
) -> None:
    _, key = await enrolled(identity, operator)
    credential = key.get(await options(identity))
    answers = await asyncio.gather(*(enter(identity, credential) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]


async def test_a_signature_of_another_key_or_about_something_else_is_refused(
    identity: Running, operator: UUID
) -> None:
    _, key = await enrolled(identity, operator)
    _, other = await enrolled(identity, operator)
    tampered = key.get(await options(identity))
    data = bytearray(decoded(tampered["response"]["authenticatorData"]))
    data[-1] ^= 1
    tampered["response"]["authenticatorData"] = encoded(bytes(data))
    problem(await enter(identity, tampered), 401, "passkey-refused")
    forged = Authenticator(credential_id=key.credential_id, user=key.user)
    problem(await enter(identity, forged.get(await options(identity))), 401, "passkey-refused")
    key.user, mine = other.user, key.user
    problem(await enter(identity, key.get(await options(identity))), 401, "passkey-refused")
    key.user, key.credential_id = mine, b"nobody's"
    problem(await enter(identity, key.get(await options(identity))), 401, "passkey-refused")


async def test_a_count_that_runs_backwards_betrays_a_copy_unless_it_is_synced(
    identity: Running, operator: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = await enrolled(identity, operator)
    key.count = 10
    assert (await enter(identity, key.get(await options(identity)))).status_code == 200
    for count in (10, 4, -1):  # counted on by one: the same again, less, none at all
        key.count = count
        with caplog.at_level(logging.WARNING):
            refused = await enter(identity, key.get(await options(identity)))
        problem(refused, 401, "passkey-refused")
        assert "counts backwards" in caplog.text
    _, synced = await enrolled(
        identity, operator, flags=PRESENT | VERIFIED | ELIGIBLE | BACKED_UP, count=7
    )
    synced.count = 3
    assert (await enter(identity, synced.get(await options(identity)))).status_code == 200
    _, without = await enrolled(identity, operator, counts=False)
    for _ in "12":
        assert (await enter(identity, without.get(await options(identity)))).status_code == 200
    synced.flags = PRESENT | VERIFIED  # it says now that it never was synced
    problem(await enter(identity, synced.get(await options(identity))), 401, "passkey-refused")


async def test_passkeys_are_renamed_and_deleted_by_their_owner(
    identity: Running, operator: UUID
) -> None:
    mine, key = await enrolled(identity, operator)
    stranger = await signed_in(identity, operator)
    path = f"{PATH}/{mine['passkey']['id']}"
    match = {"If-Match": '"1"'}
    for method in ("PATCH", "DELETE"):
        body = {"name": "Mine now"} if method == "PATCH" else None
        theirs = await identity.http.request(
            method, path, json=body, headers=bearer(stranger) | match
        )
        problem(theirs, 404, "not-found")
    named = await identity.http.patch(path, json={"name": "Key ring"}, headers=bearer(mine) | match)
    assert (named.json()["name"], named.json()["version"]) == ("Key ring", 2)
    stale = await identity.http.patch(path, json={"name": "X"}, headers=bearer(mine) | match)
    problem(stale, 412, "version-changed")
    assert (await identity.http.delete(path, headers=bearer(mine))).status_code == 204
    assert (await identity.http.get(PATH, headers=bearer(mine))).json() == {"items": []}
    problem(await enter(identity, key.get(await options(identity))), 401, "passkey-refused")


async def test_a_passkey_is_of_one_login_and_of_an_active_one(
    identity: Running, operator: UUID
) -> None:
    mine, key = await enrolled(identity, operator)
    stranger = await signed_in(identity, operator)
    taken = await make(identity, stranger, key.create(await options(identity, stranger)))
    problem(taken, 409, "passkey-taken")
    key.user = UUID(mine["login"]["id"]).bytes
    async with identity.app.state.connections.begin(PLATFORM) as db:
        which = update(Login).where(Login.id == UUID(mine["login"]["id"]))
        await db.execute(which.values(active=False))
    problem(await enter(identity, key.get(await options(identity))), 401, "passkey-refused")


async def test_a_passkey_is_the_second_factor_that_a_policy_asks_for(
    identity: Running, operator: UUID
) -> None:
    async with identity.app.state.connections.begin("*") as db:
        row = await db.get(Operator, operator)
        assert row
        row.policies = {"require_second_factor": "staff"}
    mine, key = await enrolled(identity, operator)
    assert mine["limited"]
    assert not (await refreshed(identity, mine["refresh_token"])).json()["limited"]
    answer = (await enter(identity, key.get(await options(identity)))).json()
    assert not answer["limited"]
    assert "cards:write" in (await claims(identity, answer["access_token"]))["scope"]
    assert (await sign_in(identity, mine["login"]["email"])).json()["limited"]


@pytest.mark.parametrize("garbage", ["AAAA", "e30", encoded(b'{"type":1,"challenge":"AA"}')])
async def test_garbage_is_refused_in_words(identity: Running, operator: UUID, garbage: str) -> None:
    mine, key = await enrolled(identity, operator)
    for part in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        credential = key.get(await options(identity))
        credential["response"][part] = garbage
        problem(await enter(identity, credential), 401, "passkey-refused")
    for part in ("clientDataJSON", "attestationObject"):
        credential = Authenticator().create(await options(identity, mine))
        credential["response"][part] = garbage
        problem(await make(identity, mine, credential), 422, "passkey-not-made")


async def test_what_is_begun_is_bounded_by_network(
    servers: Servers, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun, "OPEN_MAX", 3)
    email = f"{uuid4().hex}@b.example"
    async with one_service(
        servers, issuer, "identity", bootstrap_email=email, bootstrap_password=PASSWORD,
        public_url="https://console.example",
    ) as identity:  # fmt: skip
        for _ in range(3):
            await options(identity)
        full = await identity.http.post("/v1/token/passkey/options")
        problem(full, 429, "too-many-begun")
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await db.execute(update(PasskeyChallenge).values(expires_at=now()))
        await options(identity)


async def test_without_an_address_of_the_console_there_are_no_passkeys(
    servers: Servers, issuer: Issuer
) -> None:
    async with one_service(servers, issuer, "identity") as bare:
        refused = await bare.http.post("/v1/token/passkey/options")
        problem(refused, 503, "not-configured")
        assert "CSMS_PUBLIC_URL" in refused.json()["detail"]
