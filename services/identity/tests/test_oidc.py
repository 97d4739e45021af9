"""Signing in by an operator's own OpenID provider, which may lie."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from joserfc.jwk import RSAKey
from sqlalchemy import select, update
from stack import Issuer, Running, Servers, eventually, one_service

from common.clock import now
from common.database import PLATFORM
from identity.staff import providers
from identity.tables import Login, OidcBegun, OidcProvider, OidcSubject, Operator

from .openid import CLIENT, REDIRECT, SECRET, Provider, provider, visited
from .support import BOSS, BOSS_PASSWORD, new_operator, problem
from .test_audit import notes
from .test_sessions import bearer, claims, refreshed
from .test_signing_in import SCOPES, make_login, sign_in

PATH = "/v1/oidc-provider"


@pytest.fixture
async def openid() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


def settings(openid: Provider, **more: Any) -> dict[str, Any]:
    return {
        "issuer": openid.url,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "email_domains": ["nord.example"],
        **more,
    }


async def put(identity: Running, operator: UUID, body: dict[str, Any]) -> httpx.Response:
    async with identity.as_(operator, *SCOPES) as admin:
        return await admin.put(PATH, json=body)


async def set_up(identity: Running, operator: UUID, openid: Provider, **more: Any) -> None:
    answer = await put(identity, operator, settings(openid, **more))
    assert answer.status_code == 200, answer.text


async def begin(identity: Running, operator: UUID) -> dict[str, Any]:
    answer = await identity.http.post("/v1/token/oidc/begin", json={"operator_id": str(operator)})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def finish(identity: Running, body: dict[str, Any]) -> httpx.Response:
    return await identity.http.post("/v1/token/oidc/finish", json=body)


async def brought_back(identity: Running, operator: UUID) -> dict[str, str]:
    begun = await begin(identity, operator)
    return {**await visited(begun["authorization_url"]), "handle": begun["handle"]}


async def enter(identity: Running, operator: UUID) -> httpx.Response:
    return await finish(identity, await brought_back(identity, operator))


async def logins(identity: Running, operator: UUID) -> list[Login]:
    async with identity.app.state.connections.begin(operator) as db:
        return list(await db.scalars(select(Login)))


async def test_staff_signs_in_by_the_provider_and_is_bound_to_it(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid)
    login = await make_login(identity, operator, role="billing-clerk")
    openid.knows(login["email"].upper())
    begun = await begin(identity, operator)
    assert begun["expires_in"] == 600
    assert begun["authorization_url"].startswith(f"{openid.url}/authorize?tenant=a&")
    back = await visited(begun["authorization_url"])
    assert begun["handle"] not in begun["authorization_url"]
    answer = await finish(identity, back | {"handle": begun["handle"]})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["operator_id"], told["role"]) == (str(operator), "billing-clerk")
    assert (await claims(identity, told["access_token"]))["sub"] == login["id"]
    assert (await refreshed(identity, told["refresh_token"])).status_code == 200
    listed = await identity.http.get("/v1/account/sessions", headers=bearer(told))
    assert [one["how"] for one in listed.json()["items"]] == ["oidc"]

    # The e-mail changes at the provider, and then another login has it.
    other = await make_login(identity, operator)
    openid.user["email"] = other["email"]
    again = await enter(identity, operator)
    assert (await claims(identity, again.json()["access_token"]))["sub"] == login["id"]
    openid.knows(login["email"])  # somebody new got the old address
    problem(await enter(identity, operator), 401, "oidc-refused")


async def test_a_newcomer_becomes_what_the_admins_decided(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid)
    email = f"{uuid4().hex}@nord.example"
    openid.knows(email)
    problem(await enter(identity, operator), 401, "oidc-refused")
    assert await logins(identity, operator) == []
    await set_up(identity, operator, openid, newcomers_role="read-only")
    answer = (await enter(identity, operator)).json()
    assert answer["role"] == "read-only"
    account = (await identity.http.get("/v1/account", headers=bearer(answer))).json()
    assert (account["email"], account["has_password"]) == (email, False)
    assert account["operator_id"] == str(operator)
    assert (await enter(identity, operator)).status_code == 200
    assert len(await logins(identity, operator)) == 1
    bad = settings(openid, newcomers_role="platform-admin")
    problem(await put(identity, operator, bad), 422, "invalid-request")


async def test_of_a_newcomer_who_comes_twice_at_once_there_is_one_login(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    backs = [await brought_back(identity, operator) for _ in range(4)]
    answers = await asyncio.gather(*(finish(identity, back) for back in backs))
    assert {one.status_code for one in answers} <= {200, 401}
    assert 200 in {one.status_code for one in answers}
    assert len(await logins(identity, operator)) == 1


async def test_one_login_that_signs_in_several_times_at_once_is_let_in_each_time(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    """With shared locks each would wait for the others' to end, and one be thrown out."""
    await set_up(identity, operator, openid)
    login = await make_login(identity, operator)
    openid.knows(login["email"])
    assert (await enter(identity, operator)).status_code == 200
    for _ in range(3):
        backs = [await brought_back(identity, operator) for _ in range(6)]
        answers = await asyncio.gather(*(finish(identity, back) for back in backs))
        assert [one.status_code for one in answers] == [200] * 6


async def test_a_provider_signs_in_no_login_of_another_operator_nor_of_the_platform(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    domains = ["nord.example", "platform.example"]
    await set_up(identity, operator, openid, newcomers_role="operator-admin", email_domains=domains)
    other = await new_operator(identity, "Another")
    theirs = await make_login(identity, other)
    driver = f"{uuid4().hex}@nord.example"
    for email in (theirs["email"], BOSS):
        openid.knows(email)
        problem(await enter(identity, operator), 401, "oidc-refused")
    assert await logins(identity, operator) == []

    # Nor one that is bound there: the subject is the other provider's word.
    await set_up(identity, other, openid)
    subject = openid.knows(theirs["email"])
    assert (await enter(identity, other)).status_code == 200
    openid.knows(driver, sub=subject)
    mine = (await enter(identity, operator)).json()
    assert (mine["operator_id"], mine["role"]) == (str(operator), "operator-admin")
    assert (await claims(identity, mine["access_token"]))["sub"] != theirs["id"]


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "Ed25519"])
async def test_every_usual_algorithm_is_known_with_and_without_a_key_id(
    identity: Running, operator: UUID, openid: Provider, alg: str
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    openid.alg = alg
    for header in ({}, {"kid": None}):
        openid.header = header
        answer = await enter(identity, operator)
        assert answer.status_code == 200, answer.text


LIES: list[dict[str, Any]] = [
    {"lies": {"nonce": "another"}},
    {"lies": {"nonce": None}},
    {"lies": {"aud": "another"}},
    {"lies": {"aud": None}},
    {"lies": {"aud": [CLIENT, "another"]}},
    {"lies": {"aud": [CLIENT, "another"], "azp": "another"}},
    {"lies": {"azp": "another"}},
    {"lies": {"iss": "https://accounts.example"}},
    {"lies": {"iss": None}},
    {"lies": {"exp": 1_700_000_000}},
    {"lies": {"exp": None}},
    {"lies": {"exp": "9999999999"}},
    {"lies": {"iat": 1_700_000_000}},
    {"lies": {"iat": 4_000_000_000}},
    {"lies": {"iat": None}},
    {"lies": {"nbf": 4_000_000_000}},
    {"lies": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    {"lies": {"at_hash": 7}},
    {"lies": {"sub": None}},
    {"lies": {"sub": ""}},
    {"lies": {"sub": 12}},
    {"lies": {"sub": "a\x00b"}},
    {"lies": {"email_verified": False}},
    {"lies": {"email_verified": "true"}},
    {"lies": {"email_verified": None}},
    {"lies": {"email": "boss@evil.example"}},
    {"lies": {"email": "boss@evil.example@nord.example"}},
    {"lies": {"email": "boss@sub.nord.example"}},
    {"lies": {"email": ["boss@nord.example"]}},
    {"forge": "none"},
    {"forge": "hs256"},
    {"forge": "other-key"},
    {"forge": "text"},
    {"header": {"kid": "unknown"}},
    {"keys": []},
]


@pytest.mark.parametrize("lie", LIES, ids=str)
async def test_a_lie_signs_nobody_in_and_makes_nobody(
    identity: Running, operator: UUID, openid: Provider, lie: dict[str, Any]
) -> None:
    await set_up(identity, operator, openid, newcomers_role="operator-admin")
    openid.knows(f"{uuid4().hex}@nord.example")
    for name, value in lie.items():
        setattr(openid, name, value)
    problem(await enter(identity, operator), 401, "oidc-refused")
    assert await logins(identity, operator) == []
    honest = Provider()
    for name in lie:
        setattr(openid, name, getattr(honest, name))
    if "keys" not in lie:  # an empty list of keys is believed for some seconds
        assert (await enter(identity, operator)).status_code == 200


async def test_a_key_that_is_too_weak_verifies_nothing(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    with pytest.warns(match="Key size"):
        weak = RSAKey.generate_key(1024, {"kid": "rsa", "use": "sig"})
    openid.keys = [weak]
    problem(await enter(identity, operator), 401, "oidc-refused")


async def test_what_the_browser_brings_is_good_once_in_it_alone_and_for_minutes(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    back = await brought_back(identity, operator)
    assert (await finish(identity, back)).status_code == 200
    problem(await finish(identity, back), 401, "oidc-refused")

    mine, stolen = [await brought_back(identity, operator) for _ in "12"]
    crossed = mine | {"state": stolen["state"], "code": stolen["code"]}
    problem(await finish(identity, crossed), 401, "oidc-refused")  # another's, in my browser
    problem(await finish(identity, stolen), 401, "oidc-refused")  # used up by that
    openid.calls.clear()
    injected = mine | {"code": (await brought_back(identity, operator))["code"]}
    problem(await finish(identity, injected), 401, "oidc-refused")  # PKCE: of another beginning
    assert "/token" in openid.calls

    late = await brought_back(identity, operator)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        old = update(OidcBegun).where(OidcBegun.operator_id == operator)
        await db.execute(old.values(expires_at=now() - timedelta(seconds=1)))
    problem(await finish(identity, late), 401, "oidc-refused")
    other = await brought_back(identity, operator)
    problem(await finish(identity, other | {"iss": "https://x.example"}), 401, "oidc-refused")


async def test_of_the_same_answer_sent_at_once_one_signs_in(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    back = await brought_back(identity, operator)
    answers = await asyncio.gather(*(finish(identity, back) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 401, 401, 401]


async def test_a_provider_that_promises_to_say_who_it_is_must(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    openid.metadata = {"authorization_response_iss_parameter_supported": True}
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    back = await brought_back(identity, operator)
    del back["iss"]
    problem(await finish(identity, back), 401, "oidc-refused")
    assert (await enter(identity, operator)).status_code == 200


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
@pytest.mark.parametrize("wrong", ["redirect", "hang", "huge", "error", "garbage", "deep"])
async def test_a_provider_that_misbehaves_is_named_and_nothing_happens(
    identity: Running,
    operator: UUID,
    openid: Provider,
    path: str,
    wrong: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    back = await brought_back(identity, operator)
    # Not before: until here it is to answer, however busy the machine is.
    monkeypatch.setattr(providers, "TIMEOUT_S", 0.5)
    openid.behave[path] = wrong
    if path.startswith("/.well-known"):
        monkeypatch.setattr(providers, "KEPT_S", 0.0)
        monkeypatch.setattr(providers._Kept.get, "__defaults__", (0.0,))
        begun = {"operator_id": str(operator)}
        refused = await identity.http.post("/v1/token/oidc/begin", json=begun)
        problem(refused, 502, "provider-unavailable")
        assert openid.url not in refused.json()["detail"]
        not_good = await put(identity, operator, settings(openid))
        problem(not_good, 422, "provider-not-good")
        # It can be switched off all the same, and is asked again before it is switched on.
        off = await put(identity, operator, settings(openid, active=False))
        assert (off.status_code, off.json()["active"]) == (200, False)
        return
    problem(await finish(identity, back), 502, "provider-unavailable")
    assert await logins(identity, operator) == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://accounts.example"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": "http://169.254.169.254/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"userinfo_endpoint": "gopher://x"},
    ],
    ids=str,
)
async def test_a_provider_that_points_where_nobody_should_go_is_not_taken(
    identity: Running, operator: UUID, openid: Provider, metadata: dict[str, Any]
) -> None:
    openid.metadata = metadata
    problem(await put(identity, operator, settings(openid)), 422, "provider-not-good")
    async with identity.as_(operator, *SCOPES) as admin:
        problem(await admin.get(PATH), 404, "not-found")


async def test_the_secret_is_sealed_shown_to_nobody_and_goes_to_no_other_address(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    without = settings(openid)
    del without["client_secret"]
    problem(await put(identity, operator, without), 422, "secret-needed")
    async with identity.as_(operator, *SCOPES) as admin:
        first = await admin.put(PATH, json=settings(openid, email_domains=["B.example", "a.de"]))
        assert first.headers["etag"] == '"1"'
        assert first.json() == {
            "issuer": openid.url,
            "client_id": CLIENT,
            "email_domains": ["a.de", "b.example"],
            "newcomers_role": None,
            "active": True,
            "version": 1,
            "redirect_uri": REDIRECT,
        }
        assert (await admin.get(PATH)).json() == first.json()
        async with identity.as_(await new_operator(identity), *SCOPES) as stranger:
            problem(await stranger.get(PATH), 404, "not-found")
            assert (await stranger.delete(PATH)).status_code == 204
        kept = await admin.put(PATH, json=without)
        assert kept.json()["version"] == 2
        stale = await admin.put(PATH, json=without, headers={"If-Match": '"1"'})
        problem(stale, 412, "version-changed")
        async with provider() as thief:
            moved = await admin.put(PATH, json=without | {"issuer": thief.url})
            problem(moved, 422, "secret-needed")
        problem(await admin.put(PATH, json=without | {"client_id": "x"}), 422, "secret-needed")
    login = await make_login(identity, operator)
    openid.knows(login["email"])
    assert (await enter(identity, operator)).status_code == 200
    assert openid.secrets == [SECRET]
    async with identity.app.state.connections.begin(operator) as db:
        row = (await db.scalars(select(OidcProvider))).one()
    assert SECRET.encode() not in row.sealed_secret

    async def noted() -> list[Any]:
        return [one for one in await notes(identity, operator) if one.table_name == "oidc_provider"]

    added = (await eventually(noted))[0]
    assert (added.after["sealed_secret"], added.after["client_id"]) == ("…", CLIENT)


async def test_a_client_may_prove_itself_by_post(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    openid.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    assert (await enter(identity, operator)).status_code == 200
    await set_up(identity, operator, openid, client_secret="wrong")
    problem(await enter(identity, operator), 401, "oidc-refused")


async def test_what_is_not_in_the_id_token_userinfo_tells_of_the_same_person(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    subject = openid.knows(None, email_verified=None)
    email = f"{uuid4().hex}@nord.example"
    openid.by_userinfo = {"sub": "somebody else", "email": email, "email_verified": True}
    problem(await enter(identity, operator), 401, "oidc-refused")
    openid.by_userinfo["sub"] = subject
    openid.by_userinfo["email_verified"] = False
    problem(await enter(identity, operator), 401, "oidc-refused")
    openid.by_userinfo["email_verified"] = True
    assert (await enter(identity, operator)).status_code == 200


async def test_keys_that_the_provider_changes_are_found(
    identity: Running, operator: UUID, openid: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    openid.knows(f"{uuid4().hex}@nord.example")
    openid.keys = openid.keys[:1]
    monkeypatch.setattr(providers, "KEYS_AGAIN_S", 3600.0)
    assert (await enter(identity, operator)).status_code == 200
    openid.keys = Provider().keys
    openid.alg = "ES256"
    problem(await enter(identity, operator), 401, "oidc-refused")  # it was looked at just now
    monkeypatch.setattr(providers, "KEYS_AGAIN_S", 0.0)
    assert (await enter(identity, operator)).status_code == 200
    asked = openid.calls.count("/keys")
    assert (await enter(identity, operator)).status_code == 200
    assert openid.calls.count("/keys") == asked == 2
    assert openid.calls.count("/.well-known/openid-configuration") == 1


async def test_a_provider_that_is_off_gone_or_of_nobody_begins_nothing(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    begun = {"operator_id": str(operator)}
    public = f"/v1/public/operators/{operator}"
    for missing in (begun, {"operator_id": str(uuid4())}):
        refused = await identity.http.post("/v1/token/oidc/begin", json=missing)
        problem(refused, 404, "no-provider")
    await set_up(identity, operator, openid, newcomers_role="read-only")
    assert (await identity.http.get(public)).json()["provider"] is True
    openid.knows(f"{uuid4().hex}@nord.example")
    mine = (await enter(identity, operator)).json()
    back = await brought_back(identity, operator)
    await set_up(identity, operator, openid, newcomers_role="read-only", active=False)
    problem(await finish(identity, back), 401, "oidc-refused")
    refused = await identity.http.post("/v1/token/oidc/begin", json=begun)
    problem(refused, 404, "no-provider")
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 401
    assert (await identity.http.get(public)).json()["provider"] is False

    await set_up(identity, operator, openid)
    mine = (await enter(identity, operator)).json()  # known still
    back = await brought_back(identity, operator)
    async with identity.as_(operator, *SCOPES) as admin:
        assert (await admin.delete(PATH)).status_code == 204
        problem(await admin.get(PATH), 404, "not-found")
    problem(await finish(identity, back), 401, "oidc-refused")
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 401


async def test_a_login_or_an_operator_that_is_off_signs_in_by_nothing(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid, newcomers_role="read-only")
    login = await make_login(identity, operator, active=False)
    openid.knows(login["email"])
    problem(await enter(identity, operator), 401, "oidc-refused")
    openid.knows(f"{uuid4().hex}@nord.example")
    answer = (await enter(identity, operator)).json()
    mine = (await claims(identity, answer["access_token"]))["sub"]
    back = await brought_back(identity, operator)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(update(Login).where(Login.id == UUID(mine)).values(active=False))
    problem(await finish(identity, back), 401, "oidc-refused")
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(update(Login).where(Login.id == UUID(mine)).values(active=True))
    back = await brought_back(identity, operator)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(update(Operator).where(Operator.id == operator).values(active=False))
    problem(await finish(identity, back), 401, "oidc-refused")
    begun = {"operator_id": str(operator)}
    refused = await identity.http.post("/v1/token/oidc/begin", json=begun)
    problem(refused, 404, "no-provider")


async def test_an_admin_has_a_login_bound_anew(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    await set_up(identity, operator, openid)
    login = await make_login(identity, operator)
    openid.knows(login["email"])
    mine = (await enter(identity, operator)).json()
    openid.knows(login["email"])
    problem(await enter(identity, operator), 401, "oidc-refused")
    other = await new_operator(identity)
    path = f"/v1/logins/{login['id']}/oidc"
    async with identity.as_(other, *SCOPES) as stranger:
        problem(await stranger.delete(path), 404, "not-found")
    async with identity.as_(operator, *SCOPES) as admin:
        assert (await admin.delete(path)).status_code == 204
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 401
    assert (await enter(identity, operator)).status_code == 200
    async with identity.app.state.connections.begin(PLATFORM) as db:
        bound = select(OidcSubject.subject).where(OidcSubject.login_id == UUID(login["id"]))
        assert list(await db.scalars(bound)) == [openid.user["sub"]]


async def policy(identity: Running, operator: UUID, **policies: Any) -> httpx.Response:
    async with identity.as_(operator, "settings:write") as admin:
        body = {"policies": policies}
        return await admin.patch("/v1/settings", json=body, headers={"If-Match": "*"})


async def test_with_the_policy_staff_signs_in_by_the_provider_alone(
    identity: Running, operator: UUID, openid: Provider
) -> None:
    staff = await make_login(identity, operator)
    before = (await sign_in(identity, staff["email"])).json()
    problem(await policy(identity, operator, sso_only=True), 409, "no-break-glass")
    chief = await make_login(identity, operator, role="operator-admin")
    async with identity.as_(operator, *SCOPES) as admin:
        flagged = await admin.patch(
            f"/v1/logins/{chief['id']}", json={"break_glass": True}, headers={"If-Match": '"1"'}
        )
        assert flagged.json()["break_glass"] is True
    assert (await policy(identity, operator, sso_only=True)).status_code == 200
    assert (await sign_in(identity, staff["email"])).status_code == 200  # there is no provider yet
    await set_up(identity, operator, openid)
    problem(await sign_in(identity, staff["email"]), 403, "provider-only")
    problem(await sign_in(identity, staff["email"], "a wrong password"), 401, "sign-in-refused")
    assert (await refreshed(identity, before["refresh_token"])).status_code == 401
    assert (await sign_in(identity, chief["email"])).status_code == 200
    openid.knows(staff["email"])
    mine = (await enter(identity, operator)).json()
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 200
    assert (await policy(identity, operator, sso_only=False)).status_code == 200
    assert (await sign_in(identity, staff["email"])).status_code == 200


async def test_private_addresses_are_closed_where_the_setting_does_not_open_them(
    servers: Servers, issuer: Issuer, openid: Provider
) -> None:
    named = {"bootstrap_email": BOSS, "bootstrap_password": BOSS_PASSWORD}
    async with one_service(
        servers, issuer, "identity", public_url="https://console.example",
        secret_key="a secret key of the tests of identity", **named,
    ) as closed:  # fmt: skip
        boss = (await sign_in(closed, BOSS, BOSS_PASSWORD)).json()
        made = await closed.http.post("/v1/operators", json={"name": "N"}, headers=bearer(boss))
        acting = bearer(boss) | {"Operator-Id": made.json()["id"]}
        for url in (openid.url, "https://localhost", "https://127.0.0.1", "https://[::1]"):
            body = settings(openid, issuer=url)
            refused = await closed.http.put(PATH, json=body, headers=acting)
            problem(refused, 422, "provider-not-good")
    assert openid.calls == []
