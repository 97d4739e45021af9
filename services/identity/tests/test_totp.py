"""Second factors: authenticator apps and recovery codes."""

import asyncio
import time
from typing import Any
from uuid import UUID

import httpx
import pyotp
import pytest
from sqlalchemy import select, update
from stack import Issuer, Running, Servers, one_service

from common.database import PLATFORM
from identity.staff import lockout, roles, second_factors
from identity.tables import Totp

from .support import problem
from .test_sessions import bearer, claims, refreshed, signed_in
from .test_signing_in import PASSWORD, SCOPES, sign_in

PATH = "/v1/account/totp"


def code_of(secret: str, step: int = 0) -> str:
    app = pyotp.TOTP(secret)
    return app.at(int(time.time()), counter_offset=step)


async def with_code(identity: Running, email: str, code: str) -> httpx.Response:
    body = {"email": email, "password": PASSWORD, "code": code}
    return await identity.http.post("/v1/token", json=body)


async def later(identity: Running, login_id: str) -> None:
    """As if a minute had gone: the codes of now are good again."""
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = update(Totp).where(Totp.login_id == UUID(login_id))
        await db.execute(row.values(last_counter=None))


async def enrolled(identity: Running, operator: UUID) -> dict[str, Any]:
    """Signed in, with secret and recovery_codes; no code was used yet."""
    mine = await signed_in(identity, operator)
    begun = (await identity.http.post(PATH, headers=bearer(mine))).json()
    on = await identity.http.post(
        f"{PATH}/confirm", json={"code": code_of(begun["secret"])}, headers=bearer(mine)
    )
    assert on.status_code == 200, on.text
    await later(identity, mine["login"]["id"])
    return {**mine, **begun, **on.json(), "email": mine["login"]["email"]}


async def test_once_confirmed_a_sign_in_needs_the_password_and_a_code(
    identity: Running, operator: UUID
) -> None:
    mine = await signed_in(identity, operator)
    email = mine["login"]["email"]
    other = (await sign_in(identity, email)).json()
    begun = await identity.http.post(PATH, headers=bearer(mine))
    assert begun.headers["cache-control"] == "no-store"
    secret = begun.json()["secret"]
    assert pyotp.parse_uri(begun.json()["uri"]).secret == secret
    assert (await sign_in(identity, email)).status_code == 200  # not active yet
    confirm = f"{PATH}/confirm"
    wrong = await identity.http.post(confirm, json={"code": "000 000"}, headers=bearer(mine))
    problem(wrong, 401, "second-factor-wrong")
    code = {"code": code_of(secret)}
    on = await identity.http.post(confirm, json=code, headers=bearer(mine))
    assert len(set(on.json()["recovery_codes"])) == 10
    problem(await identity.http.post(confirm, json=code, headers=bearer(mine)), 409, "totp-active")
    problem(await identity.http.post(PATH, headers=bearer(mine)), 409, "totp-active")
    assert (await refreshed(identity, other["refresh_token"])).status_code == 401
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 200

    problem(await sign_in(identity, email), 401, "second-factor-needed")
    problem(await sign_in(identity, email, "wrong password"), 401, "sign-in-refused")
    problem(await with_code(identity, email, code["code"]), 401, "second-factor-wrong")  # used
    answer = await with_code(identity, email, code_of(secret, 1))
    assert answer.status_code == 200, answer.text
    listed = await identity.http.get("/v1/account/sessions", headers=bearer(answer.json()))
    assert {one["how"] for one in listed.json()["items"]} == {"password+totp"}
    state = (await identity.http.get(PATH, headers=bearer(mine))).json()
    assert (state["active"], state["recovery_codes_left"]) == (True, 10)


async def test_a_wrong_password_with_a_right_code_says_nothing_of_the_code(
    identity: Running, operator: UUID
) -> None:
    mine = await enrolled(identity, operator)
    body = {"email": mine["email"], "password": "x", "code": code_of(mine["secret"])}
    problem(await identity.http.post("/v1/token", json=body), 401, "sign-in-refused")
    assert (await with_code(identity, mine["email"], body["code"])).status_code == 200


@pytest.mark.parametrize(("step", "good"), [(-2, False), (-1, True), (0, True), (1, True)])
async def test_codes_of_the_step_before_and_after_are_good_and_no_others(
    identity: Running, operator: UUID, step: int, good: bool
) -> None:
    mine = await enrolled(identity, operator)
    # The step must not end while we ask: the one before it would be no neighbour any more. A later
    # one stays in reach, and one too early gets no better.
    if step == -1 and (left_s := 30 - time.time() % 30) < 15:
        await asyncio.sleep(left_s)
    answer = await with_code(identity, mine["email"], code_of(mine["secret"], step))
    assert (answer.status_code == 200) == good


async def test_a_code_is_good_once_even_for_requests_at_the_same_moment(
    identity: Running, operator: UUID
) -> None:
    mine = await enrolled(identity, operator)
    for code in (code_of(mine["secret"]), mine["recovery_codes"][0]):
        both = await asyncio.gather(*(with_code(identity, mine["email"], code) for _ in range(3)))
        assert sorted(one.status_code for one in both) == [200, 401, 401], code
    earlier = await with_code(identity, mine["email"], code_of(mine["secret"], -1))
    problem(earlier, 401, "second-factor-wrong")


async def test_a_recovery_code_is_good_once_however_it_is_typed(
    identity: Running, operator: UUID
) -> None:
    mine, other = await enrolled(identity, operator), await enrolled(identity, operator)
    first, second = mine["recovery_codes"][:2]
    typed = first.lower().replace("-", " ")
    assert (await with_code(identity, mine["email"], typed)).status_code == 200
    problem(await with_code(identity, mine["email"], first), 401, "second-factor-wrong")
    problem(await with_code(identity, other["email"], second), 401, "second-factor-wrong")
    state = (await identity.http.get(PATH, headers=bearer(mine))).json()
    assert state["recovery_codes_left"] == 9


async def test_wrong_codes_lock_even_who_knows_the_password_and_from_everywhere(
    identity: Running, operator: UUID
) -> None:
    """Asking for the code anew must not forgive, or guessing would never end."""
    mine = await enrolled(identity, operator)
    for _ in range(lockout.FAILURES_MAX):
        answer = await with_code(identity, mine["email"], "000000")
        problem(answer, 401, "second-factor-wrong")
    locked = await with_code(identity, mine["email"], code_of(mine["secret"]))
    problem(locked, 429, "too-many-failures")
    body = {"code": code_of(mine["secret"])}
    other_way = await identity.http.request("DELETE", PATH, json=body, headers=bearer(mine))
    problem(other_way, 429, "too-many-failures")


async def test_it_is_switched_off_by_a_code_or_the_password_only(
    identity: Running, operator: UUID
) -> None:
    mine = await enrolled(identity, operator)

    async def off(**proof: str) -> httpx.Response:
        return await identity.http.request("DELETE", PATH, json=proof, headers=bearer(mine))

    problem(await off(), 403, "password-wrong")
    problem(await off(password="another password"), 403, "password-wrong")
    problem(await off(code="000000"), 401, "second-factor-wrong")
    assert (await off(code=mine["recovery_codes"][3])).status_code == 204
    assert (await sign_in(identity, mine["email"])).status_code == 200
    again = (await identity.http.post(PATH, headers=bearer(mine))).json()["secret"]
    body = {"code": code_of(again)}
    on = await identity.http.post(f"{PATH}/confirm", json=body, headers=bearer(mine))
    assert on.status_code == 200
    problem(await with_code(identity, mine["email"], mine["recovery_codes"][4]), 401,
            "second-factor-wrong")  # fmt: skip
    assert (await off(password=PASSWORD)).status_code == 204


async def test_an_admin_resets_it_for_their_own_operator_only(
    identity: Running, operator: UUID
) -> None:
    mine = await enrolled(identity, operator)
    path = f"/v1/logins/{mine['login']['id']}/totp"
    foreign = UUID("01a20000-0000-7000-8000-000000000000")
    async with identity.as_(foreign, *SCOPES) as stranger:
        problem(await stranger.delete(path), 404, "not-found")
    assert (await sign_in(identity, mine["email"])).status_code == 401
    async with identity.as_(operator, "logins:read") as reader:
        problem(await reader.delete(path), 403, "missing-scope")
    async with identity.as_(operator, *SCOPES) as admin:
        assert (await admin.delete(path)).status_code == 204
    assert (await sign_in(identity, mine["email"])).status_code == 200
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 401


async def test_the_secret_and_the_recovery_codes_are_not_in_the_database(
    identity: Running, operator: UUID
) -> None:
    mine = await enrolled(identity, operator)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = await db.scalar(select(Totp).where(Totp.login_id == UUID(mine["login"]["id"])))
        assert row is not None
        assert mine["secret"].encode() not in row.sealed_secret
    async with identity.app.state.connections.begin(operator) as db:
        assert await db.get(Totp, row.login_id) is not None
    other = UUID("01a20000-0000-7000-8000-000000000000")
    async with identity.app.state.connections.begin(other) as db:
        assert await db.get(Totp, row.login_id) is None


async def test_staff_who_need_a_second_factor_get_to_their_account_until_they_have_one(
    identity: Running, operator: UUID
) -> None:
    before = await signed_in(identity, operator)
    async with identity.as_(None, "operators:write") as platform:
        change = {"policies": {"require_second_factor": "staff"}}
        path = f"/v1/operators/{operator}"
        changed = await platform.patch(path, json=change, headers={"If-Match": '"1"'})
        assert changed.status_code == 200, changed.text
    mine = await signed_in(identity, operator)
    assert mine["limited"]
    scopes = (await claims(identity, mine["access_token"]))["scope"]
    assert scopes == "account:read account:write"
    problem(await identity.http.get("/v1/users", headers=bearer(mine)), 403, "missing-scope")
    # Whoever is signed in already is asked at the next token.
    assert (await refreshed(identity, before["refresh_token"])).json()["limited"]

    begun = (await identity.http.post(PATH, headers=bearer(mine))).json()
    code = {"code": code_of(begun["secret"])}
    await identity.http.post(f"{PATH}/confirm", json=code, headers=bearer(mine))
    full = (await refreshed(identity, mine["refresh_token"])).json()
    assert not full["limited"]
    assert (await identity.http.get("/v1/users", headers=bearer(full))).status_code == 200
    off = {"password": PASSWORD}
    await identity.http.request("DELETE", PATH, json=off, headers=bearer(full))
    assert (await refreshed(identity, full["refresh_token"])).json()["limited"]


@pytest.mark.parametrize("role", sorted(roles.SCOPES))
@pytest.mark.parametrize("policy", [None, "none", "admins", "staff"])
def test_who_needs_a_second_factor(role: roles.Role, policy: str | None) -> None:
    policies = {"require_second_factor": policy} if policy else {}
    staff = role in {"operator-admin", "operator-staff", "billing-clerk", "read-only"}
    asked = (policy == "staff" and staff) or (policy == "admins" and role == "operator-admin")
    assert second_factors.needed(policies, role) == asked
    for how in ("password", "a way to come"):
        assert second_factors.limited(policies, role, how) == asked
    for how in ("passkey", "password+totp", "password+recovery-code", "oidc"):
        assert not second_factors.limited(policies, role, how)


async def test_without_a_secret_key_nothing_is_kept(servers: Servers, issuer: Issuer) -> None:
    async with one_service(
        servers, issuer, "identity", bootstrap_email="a@b.example", bootstrap_password=PASSWORD
    ) as bare:
        mine = (await sign_in(bare, "a@b.example")).json()
        refused = await bare.http.post(PATH, headers=bearer(mine))
        problem(refused, 503, "not-configured")
        assert "CSMS_SECRET_KEY" in refused.json()["detail"]
