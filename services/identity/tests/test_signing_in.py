"""Logins, tokens, keys and the lockout."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, update
from stack import Issuer, Running, Servers, one_service

from common.auth import ISSUER
from common.database import PLATFORM
from identity.staff import keys, lockout, logins, roles
from identity.staff.passwords import AT_ONCE_MAX, WAITING_MAX, Hasher, TooManySignIns
from identity.tables import Login, SignInFailure, SigningKey

from .support import BOSS, BOSS_PASSWORD, made, new_operator, problem

PASSWORD = "a password of some length"
SCOPES = ("logins:read", "logins:write")
HASHES: dict[str, str] = {}


def address() -> str:
    return f"{uuid4().hex}@nord.example"


async def sign_in(identity: Running, email: str, password: str = PASSWORD) -> httpx.Response:
    return await identity.http.post("/v1/token", json={"email": email, "password": password})


async def make_login(identity: Running, operator: UUID, **body: Any) -> dict[str, Any]:
    """Past the API with one hash for all: hashing is what takes time here."""
    if PASSWORD not in HASHES:
        HASHES[PASSWORD] = await identity.app.state.hasher.hash(PASSWORD)
    values = {"email": address(), "role": "operator-staff", "active": True} | body
    async with identity.app.state.connections.begin(operator) as db:
        row = Login(operator_id=operator, password_hash=HASHES[PASSWORD], **values)
        db.add(row)
        await db.flush()
        return logins.LoginOut.model_validate(row).model_dump(mode="json")


async def test_a_login_becomes_a_token_that_the_published_keys_verify(
    identity: Running, operator: UUID
) -> None:
    body = {"email": f"Mixed.{address()}", "password": PASSWORD, "role": "billing-clerk"}
    async with identity.as_(operator, *SCOPES) as client:
        login = await made(client, "/v1/logins", **body)
    assert login == {
        "id": login["id"],
        "operator_id": str(operator),
        "email": body["email"].lower(),
        "role": "billing-clerk",
        "active": True,
        "location_ids": None,
        "user_id": None,
        "break_glass": False,
        "last_sign_in_at": None,
        "version": 1,
    }
    signed_in = await sign_in(identity, login["email"].upper())
    assert signed_in.headers["cache-control"] == "no-store"
    answer = signed_in.json()
    token = answer.pop("access_token")
    assert answer.pop("refresh_token").startswith("olr_")
    assert answer == {
        "token_type": "Bearer",
        "expires_in": 900,
        "operator_id": str(operator),
        "role": "billing-clerk",
        "limited": False,
    }
    published = await identity.http.get("/.well-known/jwks.json")
    assert published.headers["cache-control"] == "public, max-age=60"
    assert not any("d" in key for key in published.json()["keys"])
    decoded = jwt.decode(token, KeySet.import_key_set(published.json()), algorithms=["Ed25519"])
    assert decoded.header["kid"] != "test"  # a key that no service has fetched yet signs nothing
    claims = decoded.claims
    issued_at = claims["iat"]
    assert abs(issued_at - time.time()) < 60
    assert claims == {
        "iss": ISSUER,
        "sub": login["id"],
        "role": "billing-clerk",
        "operator_id": str(operator),
        "scope": roles.scope_claim("billing-clerk"),
        "sid": claims["sid"],
        "iat": issued_at,
        "exp": issued_at + 900,
    }
    headers = {"Authorization": f"Bearer {token}"}
    assert (await identity.http.get("/v1/users", headers=headers)).status_code == 200
    problem(await identity.http.get("/v1/logins", headers=headers), 403, "missing-scope")


async def test_the_settings_platform_admin_signs_in_and_makes_an_operators_admin(
    identity: Running,
) -> None:
    answer = (await sign_in(identity, BOSS, BOSS_PASSWORD)).json()
    assert (answer["operator_id"], answer["role"]) == (None, "platform-admin")
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    made_operator = await identity.http.post("/v1/operators", json={"name": "N"}, headers=bearer)
    acting = bearer | {"Operator-Id": made_operator.json()["id"]}
    body = {"email": address(), "password": PASSWORD, "role": "operator-admin"}
    admin = await identity.http.post("/v1/logins", json=body, headers=acting)
    assert admin.json()["operator_id"] == made_operator.json()["id"]
    colleague = body | {"email": address(), "role": "platform-admin"}
    second = await identity.http.post("/v1/logins", json=colleague, headers=acting)
    assert (second.json()["role"], second.json()["operator_id"]) == ("platform-admin", None)
    nobodys = await identity.http.post("/v1/logins", json=body, headers=bearer)
    problem(nobodys, 400, "operator-required")


async def test_the_settings_make_no_second_platform_admin(identity: Running) -> None:
    parts = identity.app.state.parts
    settings = parts.settings.model_copy(update={"bootstrap_email": address()})
    await logins.make_first(parts.connections, settings, identity.app.state.hasher)
    async with parts.connections.begin(PLATFORM) as db:
        found = await db.scalar(select(Login).where(Login.email == settings.bootstrap_email))
    assert found is None


async def test_an_operator_admin_never_makes_a_platform_admin(
    identity: Running, operator: UUID
) -> None:
    body = {"email": address(), "password": PASSWORD, "role": "platform-admin"}
    async with identity.as_(operator, *SCOPES) as client:
        problem(await client.post("/v1/logins", json=body), 403, "role-not-yours")
        login = await made(client, "/v1/logins", **body | {"role": "read-only"})
        path, match = f"/v1/logins/{login['id']}", {"If-Match": '"1"'}
        raised = await client.patch(path, json={"role": "platform-admin"}, headers=match)
        problem(raised, 422, "invalid-request")


async def test_an_address_signs_in_as_one_login_whatever_its_case_and_operator(
    identity: Running, operator: UUID
) -> None:
    login = await make_login(identity, operator)
    body = {"email": login["email"].upper(), "password": PASSWORD, "role": "read-only"}
    async with identity.as_(await new_operator(identity, "Other"), *SCOPES) as client:
        problem(await client.post("/v1/logins", json=body), 409, "email-taken")


@pytest.mark.parametrize(
    "body",
    [
        {"password": "elevenchars"},
        {"password": "x" * 257},
        {"email": "nobody"},
        {"email": "a\0@b.example"},
        {"role": "driver"},
        {"password_hash": "x"},
    ],
)
async def test_a_login_that_makes_no_sense_is_refused(
    identity: Running, operator: UUID, body: dict[str, Any]
) -> None:
    whole = {"email": address(), "password": PASSWORD, "role": "read-only"} | body
    async with identity.as_(operator, *SCOPES) as client:
        refused = await client.post("/v1/logins", json=whole)
    problem(refused, 422, "invalid-request")
    assert whole["password"] not in refused.text


async def test_an_unknown_address_a_wrong_password_and_a_login_switched_off_look_alike(
    identity: Running, operator: UUID
) -> None:
    known = await make_login(identity, operator)
    off = await make_login(identity, operator, active=False)
    seconds: dict[str, float] = {}
    answers = {}
    for email, password in (
        (known["email"], "not the right password"),
        (off["email"], PASSWORD),
        (address(), PASSWORD),
    ):
        tries = []
        for _ in range(3):
            started = time.process_time()
            refused = await sign_in(identity, email, password)
            tries.append(time.process_time() - started)
        seconds[email] = min(tries)
        problem(refused, 401, "sign-in-refused")
        answers[refused.text] = email
    assert len(answers) == 1
    # Of the processor, for others may be busy with it too: identity runs in this process. Without
    # hashing an answer takes some hundredths of it.
    assert min(seconds.values()) > 0.3 * max(seconds.values())


async def test_a_new_password_and_a_switched_off_login_count_at_once(
    identity: Running, operator: UUID
) -> None:
    login = await make_login(identity, operator)
    path = f"/v1/logins/{login['id']}"
    async with identity.as_(operator, *SCOPES) as client:
        body = {"password": "another long password", "role": "read-only"}
        changed = await client.patch(path, json=body, headers={"If-Match": '"1"'})
        assert changed.json() == login | {"role": "read-only", "version": 2}
        assert (await sign_in(identity, login["email"])).status_code == 401
        answer = await sign_in(identity, login["email"], "another long password")
        assert answer.json()["role"] == "read-only"
        await client.patch(path, json={"active": False}, headers={"If-Match": '"2"'})
    off = await sign_in(identity, login["email"], "another long password")
    problem(off, 401, "sign-in-refused")


async def test_nobody_switches_off_their_own_login(identity: Running, operator: UUID) -> None:
    login = await make_login(identity, operator, role="operator-admin")
    path, match = f"/v1/logins/{login['id']}", {"If-Match": '"1"'}
    async with identity.as_(operator, *SCOPES, sub=login["id"]) as client:
        for body in ({"active": False}, {"role": "read-only"}):
            problem(await client.patch(path, json=body, headers=match), 409, "own-login")
        changed = await client.patch(path, json={"email": address()}, headers=match)
        assert changed.status_code == 200


async def test_of_many_guesses_at_once_five_are_checked_whether_the_address_exists_or_not(
    identity: Running,
) -> None:
    email = address()  # that of an existing login stands in the tests below
    guesses = [sign_in(identity, email, f"guess number {n}") for n in range(8)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*guesses))
    assert statuses == [401] * 5 + [429] * 3
    locked = await sign_in(identity, email)
    problem(locked, 429, "too-many-failures")
    assert locked.headers["retry-after"] == "900"


def _attempt(email: str, network: str = "127.0.0.0/24") -> lockout.Attempt:
    return lockout.Attempt(email, network)


async def age(identity: Running, email: str, by: timedelta) -> None:
    """As if the failures of an address lay further back."""
    row = SignInFailure
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(
            update(row)
            .where(row.email_hash.in_([key for key, _, _ in _attempt(email).counts()]))
            .values(since_at=row.since_at - by, last_at=row.last_at - by)
        )


async def failed(identity: Running, email: str, times: int) -> None:
    """As that many wrong passwords would, without the time they take."""
    for _ in range(times):
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await lockout.count(db, _attempt(email))


async def test_a_lockout_ends_after_a_quarter_of_an_hour(identity: Running, operator: UUID) -> None:
    email = (await make_login(identity, operator))["email"]
    await failed(identity, email, 5)
    await age(identity, email, timedelta(minutes=14))
    assert (await sign_in(identity, email)).status_code == 429
    await age(identity, email, timedelta(minutes=1))
    assert (await sign_in(identity, email)).status_code == 200


async def test_failures_long_ago_or_before_a_success_do_not_count(
    identity: Running, operator: UUID
) -> None:
    email = (await make_login(identity, operator))["email"]
    await failed(identity, email, 4)
    assert (await sign_in(identity, email)).status_code == 200
    await failed(identity, email, 4)
    await age(identity, email, timedelta(minutes=15))
    await failed(identity, email, 4)
    assert (await sign_in(identity, email)).status_code == 200


async def test_somebody_elses_guesses_lock_only_their_own_network(
    identity: Running, operator: UUID
) -> None:
    email = (await make_login(identity, operator))["email"]
    body = {"email": email, "password": "a guess of theirs"}
    from_afar = {"X-Forwarded-For": "203.0.113.7"}
    statuses = [
        (await identity.http.post("/v1/token", json=body, headers=from_afar)).status_code
        for _ in range(6)
    ]
    assert statuses == [401] * 5 + [429]
    neighbour = {"X-Forwarded-For": "203.0.113.8"}
    refused = await identity.http.post("/v1/token", json=body, headers=neighbour)
    assert refused.status_code == 429
    assert (await sign_in(identity, email)).status_code == 200


async def test_a_network_that_tries_everybody_is_refused_as_a_whole(
    identity: Running, operator: UUID
) -> None:
    email = (await make_login(identity, operator))["email"]
    for number in range(lockout.SPRAYED_MAX):
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await lockout.count(db, _attempt(f"{number}{email}", "198.51.100.0/24"))
    body = {"email": email, "password": PASSWORD}
    from_there = {"X-Forwarded-For": "198.51.100.9"}
    refused = await identity.http.post("/v1/token", json=body, headers=from_there)
    problem(refused, 429, "too-many-failures")
    assert (await sign_in(identity, email)).status_code == 200


async def test_a_login_that_is_switched_off_while_its_password_is_checked_stays_out(
    identity: Running, operator: UUID
) -> None:
    login = await make_login(identity, operator)
    hasher = identity.app.state.hasher
    matches = hasher.matches

    async def meanwhile(hashed: str | None, password: str) -> bool:
        right = bool(await matches(hashed, password))
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await db.execute(update(Login).where(Login.id == login["id"]).values(active=False))
        return right

    hasher.matches = meanwhile
    try:
        problem(await sign_in(identity, login["email"]), 401, "sign-in-refused")
    finally:
        del hasher.matches


async def test_many_networks_together_cannot_guess_on(identity: Running, operator: UUID) -> None:
    email = (await make_login(identity, operator))["email"]
    for number in range(100):
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await lockout.count(db, _attempt(email, f"10.0.{number}.0/24"))
    problem(await sign_in(identity, email), 429, "too-many-failures")


async def test_replicas_that_start_together_make_one_key_and_one_admin(
    servers: Servers, issuer: Issuer
) -> None:
    async with one_service(servers, issuer, "identity") as service:
        parts = service.app.state.parts
        async with parts.connections.begin(PLATFORM) as db:
            await db.delete((await db.scalars(select(SigningKey))).one())
        named = {"bootstrap_email": BOSS, "bootstrap_password": PASSWORD}
        settings = type(parts.settings)(**parts.settings.model_dump(mode="json") | named)
        hasher = service.app.state.hasher
        await asyncio.gather(
            *(keys.prepare(parts.connections, None) for _ in range(5)),
            *(logins.make_first(parts.connections, settings, hasher) for _ in range(3)),
        )
        async with parts.connections.begin(PLATFORM) as db:
            assert len((await db.scalars(select(SigningKey))).all()) == 1
            assert [row.email for row in await db.scalars(select(Login))] == [BOSS]


async def test_hashing_is_two_at_once_and_the_queue_for_it_is_bounded() -> None:
    hasher = Hasher()
    running, most = 0, 0

    def slow(_: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return "done"

    crowd = AT_ONCE_MAX + WAITING_MAX + 1
    answers = await asyncio.gather(
        *(hasher._beside(slow, "x") for _ in range(crowd)), return_exceptions=True
    )
    assert [answer for answer in answers if answer != "done"] == [answers[-1]]
    assert isinstance(answers[-1], TooManySignIns)
    assert most == AT_ONCE_MAX
    assert await hasher._beside(slow, "x") == "done"


async def test_an_umlaut_is_one_whatever_keyboard_typed_it() -> None:
    hasher = Hasher()
    assert await hasher.matches(await hasher.hash("Schl\u00fcsselwort"), "Schlu\u0308sselwort")
