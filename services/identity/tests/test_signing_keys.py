"""The keys of access tokens: when which signs, sealed at rest, made anew by people and by time."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from sqlalchemy import select, update
from stack import Issuer, Running, Servers, eventually, one_service

from common import migrate
from common.clock import now
from common.database import PLATFORM
from common.sealing import Sealer
from identity.staff import key_schedule, keys
from identity.staff.key_schedule import LIFETIME, SETTLING, SLACK
from identity.tables import SigningKey

from .support import BOSS, BOSS_PASSWORD, problem
from .test_sessions import bearer
from .test_signing_in import sign_in

PATH = "/v1/signing-keys"
SECRET = "a secret key of the tests of signing keys"
AT = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([0], ["signing"]),
        ([-99], ["signing"]),
        ([-99, 0], ["signing", "next"]),
        ([-99, -1.9], ["signing", "next"]),
        ([-99, -2], ["retired", "signing"]),
        ([-99, -18.9], ["retired", "signing"]),
        ([-99, -19], [None, "signing"]),
        ([-99, -50, -1], [None, "signing", "next"]),
        ([-99, -50, -19], [None, None, "signing"]),
        ([-99, -10, -5], ["retired", "retired", "signing"]),
        ([], []),
    ],
)
def test_a_key_is_published_before_it_signs_and_until_its_tokens_have_ended(
    minutes: list[float], expected: list[str | None]
) -> None:
    assert key_schedule.states([AT + one * MINUTE for one in minutes], AT) == expected


def test_no_token_outlives_the_key_that_signed_it() -> None:
    made = [AT, AT + LIFETIME]
    last_signature = made[1] + SETTLING
    ends_at = key_schedule.ends_at(made, 0)
    assert ends_at == last_signature + timedelta(seconds=key_schedule.TOKEN_S) + SLACK
    assert key_schedule.ends_at(made, 1) is None


async def stored(identity: Running) -> list[SigningKey]:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        return list(await db.scalars(select(SigningKey).order_by(SigningKey.made_at)))


async def age(identity: Running, by: timedelta) -> None:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(update(SigningKey).values(made_at=SigningKey.made_at - by))


async def kid_now(identity: Running) -> str:
    """Of a token made now, which the published keys verify."""
    answer = await sign_in(identity, BOSS, BOSS_PASSWORD)
    assert answer.status_code == 200, answer.text
    published = (await identity.http.get("/.well-known/jwks.json")).json()
    assert not any("d" in key for key in published["keys"])
    found = jwt.decode(
        answer.json()["access_token"], KeySet.import_key_set(published), algorithms=["Ed25519"]
    )
    return str(found.header["kid"])


def service(servers: Servers, issuer: Issuer, **settings: Any) -> Any:
    boss = {"bootstrap_email": BOSS, "bootstrap_password": BOSS_PASSWORD}
    return one_service(servers, issuer, "identity", **boss, **settings)


async def test_a_platform_admin_makes_the_next_key(servers: Servers, issuer: Issuer) -> None:
    async with service(servers, issuer, secret_key=SECRET) as identity:
        old = await kid_now(identity)
        token = (await sign_in(identity, BOSS, BOSS_PASSWORD)).json()
        acting = bearer(token) | {"Operator-Id": str(uuid4())}
        early = await identity.http.post(f"{PATH}/rotate", headers=acting)
        problem(early, 409, "rotation-under-way")
        assert early.headers["retry-after"] == "120"
        await age(identity, SETTLING)
        made = await identity.http.post(f"{PATH}/rotate", headers=acting)
        assert made.status_code == 201, made.text
        items = made.json()["items"]
        assert [one["state"] for one in items] == ["signing", "next"]
        assert items[0]["kid"] == old
        listed = await identity.http.get(PATH, headers=bearer(token))
        assert listed.json()["items"] == items
        assert "jwk" not in listed.text
        new = items[1]["kid"]
        published = (await identity.http.get("/.well-known/jwks.json")).json()["keys"]
        assert [one["kid"] for one in published] == [old, new]
        assert await kid_now(identity) == old  # until every service has the new one
        await age(identity, SETTLING)
        assert await kid_now(identity) == new
        assert (await identity.http.get("/v1/account", headers=bearer(token))).status_code == 200

        async def noted() -> Any:
            found = await identity.http.get("/v1/audit", headers=bearer(token))
            return [one for one in found.json()["items"] if one["table_name"] == "signing_key"]

        added = (await eventually(noted))[0]["after"]
        assert (added["kid"], added["sealed_jwk"], added["private_jwk"]) == (new, "…", None)

        await age(identity, timedelta(seconds=key_schedule.TOKEN_S) + SLACK)
        published = (await identity.http.get("/.well-known/jwks.json")).json()["keys"]
        assert [one["kid"] for one in published] == [new]
        await keys.rotate_once(identity.app.state.connections, Sealer(SECRET, "identity"))
        assert [row.kid for row in await stored(identity)] == [new]
        await identity.app.state.keyring.refresh()
        gone = await identity.http.get("/v1/account", headers=bearer(token))
        problem(gone, 401, "unauthenticated")


async def test_only_the_platform_makes_keys(identity: Running, operator: Any) -> None:
    async with identity.as_(operator, "operators:write") as stranger:
        problem(await stranger.post(f"{PATH}/rotate"), 403, "missing-scope")
        problem(await stranger.get(PATH), 403, "missing-scope")


async def test_after_ninety_days_there_is_a_new_key_of_all_replicas_one(
    servers: Servers, issuer: Issuer
) -> None:
    async with service(servers, issuer, secret_key=SECRET) as identity:
        connections, sealer = identity.app.state.connections, Sealer(SECRET, "identity")
        await age(identity, LIFETIME - MINUTE)
        await keys.rotate_once(connections, sealer)
        assert len(await stored(identity)) == 1
        await age(identity, MINUTE)
        await asyncio.gather(*(keys.rotate_once(connections, sealer) for _ in range(4)))
        old, new = await stored(identity)
        assert await kid_now(identity) == old.kid
        await age(identity, SETTLING)
        assert await kid_now(identity) == new.kid


async def test_keys_are_sealed_and_plain_ones_become_so_at_the_next_start(
    servers: Servers, issuer: Issuer
) -> None:
    async with service(servers, issuer) as identity:
        [plain] = await stored(identity)
        assert plain.private_jwk and plain.sealed_jwk is None
        kid = await kid_now(identity)
        connections = identity.app.state.connections
        await keys.prepare(connections, None)
        assert len(await stored(identity)) == 1
        sealer = Sealer(SECRET, "identity")
        await keys.prepare(connections, sealer)
        [row] = await stored(identity)
        assert (row.kid, row.private_jwk) == (kid, None)
        assert row.sealed_jwk and plain.private_jwk["d"].encode() not in row.sealed_jwk
        async with connections.begin(PLATFORM) as db:
            found, key = await keys.current(db, sealer)
            assert (found, key.as_dict(private=True)["d"]) == (kid, plain.private_jwk["d"])
            raw = await db.execute(select(SigningKey.__table__))
            assert plain.private_jwk["d"] not in repr(raw.all())


async def test_a_secret_key_that_was_lost_costs_a_new_signing_key_and_nothing_else(
    servers: Servers, issuer: Issuer
) -> None:
    async with service(servers, issuer, secret_key=SECRET) as identity:
        old = await kid_now(identity)
        connections = identity.app.state.connections
        identity.app.state.sealer = None
        refused = await sign_in(identity, BOSS, BOSS_PASSWORD)
        problem(refused, 503, "not-configured")
        await keys.prepare(connections, None)
        new = await kid_now(identity)
        assert new != old
        published = (await identity.http.get("/.well-known/jwks.json")).json()["keys"]
        assert [one["kid"] for one in published] == [old, new]


async def test_the_migration_takes_the_public_half_out_of_keys_that_are_there(
    servers: Servers,
) -> None:
    url = await servers.database(f"identity-{uuid4().hex[-12:]}")
    await asyncio.to_thread(command.upgrade, migrate.config("identity", url), "0016")
    key = OKPKey.generate_key("Ed25519", {"kid": "old", "use": "sig", "alg": "Ed25519"})
    private = dict(key.as_dict(private=True))
    database = await asyncpg.connect(url)
    insert = "insert into identity.signing_key (kid, private_jwk, made_at) values ('old', $1, $2)"
    await database.execute(insert, json.dumps(private), now())
    await asyncio.to_thread(migrate.upgrade, "identity", url)
    row = await database.fetchrow("select * from identity.signing_key")
    await database.close()
    assert row
    assert json.loads(row["private_jwk"]) == private
    assert json.loads(row["public_jwk"]) == dict(key.as_dict(private=False))
