"""Sign-ins: refresh tokens that are good once, devices that are listed and thrown out."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import update
from stack import Running

from common.database import PLATFORM
from identity.staff import sessions
from identity.tables import Login, RefreshToken, SignIn

from .support import made, problem
from .test_signing_in import PASSWORD, SCOPES, make_login, sign_in


async def refreshed(identity: Running, token: str) -> httpx.Response:
    return await identity.http.post("/v1/token/refresh", json={"refresh_token": token})


async def signed_in(identity: Running, operator: UUID, **login: Any) -> dict[str, Any]:
    made = await make_login(identity, operator, **login)
    answer = await sign_in(identity, made["email"])
    assert answer.status_code == 200, answer.text
    return {"login": made, **answer.json()}


def bearer(answer: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer['access_token']}"}


async def claims(identity: Running, token: str) -> dict[str, Any]:
    published = (await identity.http.get("/.well-known/jwks.json")).json()
    keys = KeySet.import_key_set(published)
    return dict(jwt.decode(token, keys, algorithms=["Ed25519"]).claims)


async def age(identity: Running, by: timedelta) -> None:
    """As if every refresh token had been used longer ago."""
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = RefreshToken
        await db.execute(update(row).values(used_at=row.used_at - by))


async def test_a_refresh_gives_the_next_tokens_and_reads_the_role_anew(
    identity: Running, operator: UUID
) -> None:
    first = await signed_in(identity, operator)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        which = Login.id == first["login"]["id"]
        await db.execute(update(Login).where(which).values(role="read-only"))
    second = (await refreshed(identity, first["refresh_token"])).json()
    assert second["role"] == "read-only"
    assert second["refresh_token"] != first["refresh_token"]
    then, now = [await claims(identity, one["access_token"]) for one in (first, second)]
    assert then["sid"] == now["sid"]
    assert "cards:write" in then["scope"].split()
    assert "cards:write" not in now["scope"].split()


async def test_a_refresh_token_that_comes_again_ends_the_sign_in_for_thief_and_owner(
    identity: Running, operator: UUID
) -> None:
    first = await signed_in(identity, operator)
    other = (await sign_in(identity, first["login"]["email"])).json()
    second = (await refreshed(identity, first["refresh_token"])).json()
    await age(identity, sessions.GRACE)
    problem(await refreshed(identity, first["refresh_token"]), 401, "refresh-refused")
    problem(await refreshed(identity, second["refresh_token"]), 401, "refresh-refused")
    assert (await refreshed(identity, other["refresh_token"])).status_code == 200


async def test_an_answer_that_was_lost_is_forgiven(identity: Running, operator: UUID) -> None:
    first = await signed_in(identity, operator)
    both = await asyncio.gather(*(refreshed(identity, first["refresh_token"]) for _ in range(4)))
    assert [one.status_code for one in both] == [200] * 4
    assert len({one.json()["refresh_token"] for one in both}) == 4
    assert (await refreshed(identity, both[2].json()["refresh_token"])).status_code == 200


@pytest.mark.parametrize("column", ["expires_at", "ends_at"])
async def test_a_sign_in_ends_when_it_is_not_used_and_at_last_anyway(
    identity: Running, operator: UUID, column: str
) -> None:
    first = await signed_in(identity, operator)
    sid = UUID((await claims(identity, first["access_token"]))["sid"])
    async with identity.app.state.connections.begin(PLATFORM) as db:
        past = getattr(SignIn, "made_at")  # noqa: B009 - beside the column that is chosen
        await db.execute(update(SignIn).where(SignIn.id == sid).values({column: past}))
    problem(await refreshed(identity, first["refresh_token"]), 401, "refresh-refused")


async def test_signing_out_ends_it_and_a_token_of_nobody_is_no_error(
    identity: Running, operator: UUID
) -> None:
    first = await signed_in(identity, operator)
    for token in (first["refresh_token"], first["refresh_token"], "olr_nobody's"):
        out = await identity.http.post("/v1/token/revoke", json={"refresh_token": token})
        assert out.status_code == 204
    assert (await refreshed(identity, first["refresh_token"])).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"active": False},
        {"role": "read-only"},
        {"password": "a new long password"},
        {"location_ids": [str(uuid4())]},
    ],
)
async def test_what_an_admin_changes_of_a_login_signs_it_out(
    identity: Running, operator: UUID, change: dict[str, Any]
) -> None:
    first = await signed_in(identity, operator)
    path = f"/v1/logins/{first['login']['id']}"
    async with identity.as_(operator, *SCOPES) as client:
        changed = await client.patch(path, json=change, headers={"If-Match": '"1"'})
        assert changed.status_code == 200, changed.text
    assert (await refreshed(identity, first["refresh_token"])).status_code == 401


async def test_devices_are_listed_and_thrown_out_by_their_owner_and_by_admins(
    identity: Running, operator: UUID
) -> None:
    first = await signed_in(identity, operator)
    agent = {b"User-Agent": "Gerät".encode("latin-1")}
    body = {"email": first["login"]["email"], "password": PASSWORD}
    second = (await identity.http.post("/v1/token", json=body, headers=agent)).json()
    listed = (await identity.http.get("/v1/account/sessions", headers=bearer(first))).json()
    mine, other = sorted(listed["items"], key=lambda one: not one["current"])
    assert (mine["current"], other["current"]) == (True, False)
    assert (other["how"], other["ip"], other["user_agent"]) == ("password", "127.0.0.1", "Gerät")
    stranger = await signed_in(identity, operator)
    path = f"/v1/account/sessions/{other['id']}"
    foreign = await identity.http.delete(path, headers=bearer(stranger))
    problem(foreign, 404, "not-found")
    assert (await identity.http.delete(path, headers=bearer(first))).status_code == 204
    assert (await refreshed(identity, second["refresh_token"])).status_code == 401
    async with identity.as_(operator, *SCOPES) as admin:
        of_login = f"/v1/logins/{first['login']['id']}/sessions"
        assert len((await admin.get(of_login)).json()["items"]) == 1
        assert (await admin.delete(of_login)).status_code == 204
        assert (await admin.get(of_login)).json()["items"] == []
    assert (await refreshed(identity, first["refresh_token"])).status_code == 401


async def test_a_new_password_signs_the_other_devices_out(
    identity: Running, operator: UUID
) -> None:
    first = await signed_in(identity, operator)
    other = (await sign_in(identity, first["login"]["email"])).json()
    change = {"password": "not the present one", "new_password": "an even longer one"}
    path = "/v1/account/password"
    wrong = await identity.http.post(path, json=change, headers=bearer(first))
    problem(wrong, 403, "password-wrong")
    change["password"] = PASSWORD
    done = await identity.http.post(path, json=change, headers=bearer(first))
    assert done.status_code == 204, done.text
    assert (await refreshed(identity, other["refresh_token"])).status_code == 401
    assert (await refreshed(identity, first["refresh_token"])).status_code == 200
    assert (await sign_in(identity, first["login"]["email"])).status_code == 401
    account = (await identity.http.get("/v1/account", headers=bearer(first))).json()
    assert (account["email"], account["has_password"]) == (first["login"]["email"], True)


async def test_the_locations_of_a_login_are_in_its_token(identity: Running, operator: UUID) -> None:
    locations = [str(uuid4()), str(uuid4())]
    body = {"email": f"{uuid4().hex}@nord.example", "password": PASSWORD, "role": "operator-staff"}
    async with identity.as_(operator, *SCOPES) as client:
        login = await made(client, "/v1/logins", **body, location_ids=locations)
        whole = body | {"email": f"x{body['email']}", "role": "operator-admin"}
        refused = await client.post("/v1/logins", json=whole | {"location_ids": locations})
        problem(refused, 422, "locations-of-that-role")
    token = (await sign_in(identity, login["email"])).json()["access_token"]
    assert sorted((await claims(identity, token))["locations"]) == sorted(locations)
    async with identity.as_(operator, *SCOPES, locations=locations[:1]) as limited:
        more = body | {"email": f"y{body['email']}"}
        for wider in (None, locations):
            refused = await limited.post("/v1/logins", json=more | {"location_ids": wider})
            problem(refused, 403, "locations-not-yours")
