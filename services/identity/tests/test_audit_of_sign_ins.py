"""Who signs in, what is refused and locked, and what people do to their own account is noted."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update
from stack import Running, eventually

from common.clock import now
from common.database import PLATFORM
from identity.staff import lockout
from identity.tables import RefreshToken

from . import test_passkeys, test_totp
from .authenticator import Authenticator
from .support import made, new_operator, nothing_queued, problem
from .test_api_keys import SCOPES as KEY_SCOPES
from .test_api_keys import tried
from .test_sessions import bearer, refreshed, signed_in
from .test_signing_in import PASSWORD, _attempt, address, make_login, sign_in

Entry = dict[str, Any]


async def log(identity: Running, operator: UUID | None, **asked: str) -> list[Entry]:
    """Oldest first."""
    async with identity.as_(operator, "audit:read", role="platform-admin") as client:
        answer = await client.get("/v1/audit", params={"limit": "500", **asked})
        assert answer.status_code == 200, answer.text
        items: list[Entry] = answer.json()["items"]
        return items[::-1]


async def platforms_at_last(identity: Running, which: Callable[[Entry], bool]) -> list[Entry]:
    """The platform's entries when all that was noted until now is in: a note comes after it."""
    network = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::/64"
    attempt = _attempt(address(), network)
    await nothing_queued(identity)
    connections = identity.app.state.connections
    await lockout.failed(connections, attempt, (lockout.A_NETWORK,), None, None)
    await told(identity, None, lambda e: network in str(e["row_key"]))
    found = await log(identity, None)
    return [e for e in found if which(e) and "2001:db8:" not in str(e["row_key"])]


async def told(
    identity: Running, operator: UUID | None, which: Callable[[Entry], bool], times: int = 1
) -> list[Entry]:
    """The entries once there are so many. Then nothing is on its way any more."""

    async def there() -> bool:
        return len([e for e in await log(identity, operator) if which(e)]) >= times

    await eventually(there)

    await nothing_queued(identity)
    found = [e for e in await log(identity, operator) if which(e)]
    assert len(found) == times, found
    return found


async def test_signing_in_and_out_is_noted_without_a_token(
    identity: Running, operator: UUID
) -> None:
    mine = await signed_in(identity, operator)
    login_id = mine["login"]["id"]
    leave = await identity.http.post(
        "/v1/token/revoke", json={"refresh_token": mine["refresh_token"]}
    )
    assert leave.status_code == 204
    again = {"refresh_token": mine["refresh_token"]}
    assert (await identity.http.post("/v1/token/revoke", json=again)).status_code == 204
    came, went = await told(identity, operator, lambda e: e["table_name"] == "sign_in", 2)
    assert (came["what"], went["what"]) == ("signed in", "sign-in changed or ended")
    for entry in (came, went):
        assert (entry["actor"]["sub"], entry["actor"]["role"]) == (login_id, "operator-staff")
        assert entry["actor"]["ip"] == "127.0.0.1"
    assert (came["after"]["login_id"], came["after"]["how"]) == (login_id, "password")
    assert went["after"]["revoked_why"] == "signed out"
    everything = json.dumps(await log(identity, operator))
    assert mine["refresh_token"] not in everything
    assert mine["access_token"] not in everything
    # That somebody signed in last then is no change of the login.
    assert not [e for e in await log(identity, operator) if e["table_name"] == "login"]


async def test_a_driver_who_signs_in_is_not_noted(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, "users:write", "users:read") as staff:
        user = await made(staff, "/v1/users", name="Ada")
    login = await make_login(identity, operator, role="driver", user_id=UUID(user["id"]))
    body = {"email": login["email"], "password": PASSWORD, "operator_id": str(operator)}
    assert (await identity.http.post("/v1/token", json=body)).status_code == 200
    await signed_in(identity, operator)  # of the staff, and later
    await told(identity, operator, lambda e: e["table_name"] == "sign_in", 1)


async def test_a_lockout_is_noted_once_and_only_if_the_last_attempt_failed(
    identity: Running, operator: UUID
) -> None:
    lucky, locked = [await make_login(identity, operator) for _ in range(2)]
    for _ in range(4):
        await sign_in(identity, lucky["email"], "wrong")
    assert (await sign_in(identity, lucky["email"])).status_code == 200
    for _ in range(7):
        answer = await sign_in(identity, locked["email"], "wrong")
    problem(answer, 429, "too-many-failures")
    (entry,) = await told(identity, operator, lambda e: e["action"] == "lockout")
    assert (entry["what"], entry["row_key"]) == ("login locked", {"id": locked["id"]})
    assert entry["after"]["refused"] == "the login from this network"
    until = datetime.fromisoformat(entry["after"]["until"])
    assert timedelta(minutes=14) < until - now() <= timedelta(minutes=15)
    assert (entry["actor"]["role"], entry["actor"]["ip"]) == ("nobody", "127.0.0.1")
    assert locked["email"] not in json.dumps(entry)


async def test_of_an_address_that_nobody_has_nothing_is_noted(identity: Running) -> None:
    def locked(entry: Entry) -> bool:
        return bool(entry["action"] == "lockout")

    # Notes of earlier tests may be on their way to the platform's log still.
    before = await platforms_at_last(identity, locked)
    unknown = address()
    for _ in range(6):
        answer = await sign_in(identity, unknown, "wrong")
    problem(answer, 429, "too-many-failures")
    assert await platforms_at_last(identity, locked) == before


async def test_a_network_that_is_locked_is_noted_for_the_platform(identity: Running) -> None:
    attempt = _attempt(address(), "203.0.113.0/24")
    connections = identity.app.state.connections
    full = attempt.counts()[2]
    assert full[1:] == (lockout.SPRAYED_MAX, lockout.A_NETWORK)
    await lockout.failed(connections, attempt, (full[2],), None, None)
    (entry,) = await told(identity, None, lambda e: "203.0.113.0/24" in str(e["row_key"]))
    assert (entry["what"], entry["action"]) == ("network locked", "lockout")


async def test_codes_that_fail_for_one_login_do_not_lock_everybody_elses(
    identity: Running, operator: UUID
) -> None:
    """A second factor is counted from all networks together, which is no network to lock."""
    victim = await test_totp.enrolled(identity, operator)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        for number in range(lockout.SPRAYED_MAX + 1):
            await lockout.count(db, lockout.Attempt(f"second factor of number {number}", ""))
    answer = await test_totp.with_code(
        identity, victim["email"], test_totp.code_of(victim["secret"])
    )
    assert answer.status_code == 200, answer.text


async def test_wrong_codes_that_lock_are_noted(identity: Running, operator: UUID) -> None:
    mine = await test_totp.enrolled(identity, operator)
    for _ in range(5):
        wrong = await test_totp.with_code(identity, mine["email"], "000000")
        problem(wrong, 401, "second-factor-wrong")
    (entry,) = await told(identity, operator, lambda e: e["action"] == "lockout")
    assert entry["row_key"] == {"id": mine["login"]["id"]}


async def test_a_refresh_token_that_was_copied_is_noted(identity: Running, operator: UUID) -> None:
    mine = await signed_in(identity, operator)
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 200
    async with identity.app.state.connections.begin(PLATFORM) as db:
        old = now() - timedelta(minutes=1)
        used = update(RefreshToken).where(RefreshToken.operator_id == operator)
        await db.execute(used.where(RefreshToken.used_at.is_not(None)).values(used_at=old))
    assert (await refreshed(identity, mine["refresh_token"])).status_code == 401
    (entry,) = await told(
        identity, operator, lambda e: e["table_name"] == "sign_in" and e["action"] == "update"
    )
    assert entry["after"]["revoked_why"] == "a refresh token was used twice"
    assert entry["actor"]["sub"] == "unknown"


async def test_a_refused_api_key_is_noted_now_and_then(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *KEY_SCOPES) as admin:
        key = await made(admin, "/v1/api-keys", name="A", scopes=["users:read"])
        await admin.delete(f"/v1/api-keys/{key['id']}")
    for _ in range(3):
        problem(await tried(identity, key["key"]), 401, "key-refused")
    problem(await tried(identity, "olk_" + "y" * 43), 401, "key-refused")
    (entry,) = await told(identity, operator, lambda e: e["action"] == "refused")
    assert (entry["what"], entry["row_key"]) == ("api key refused", {"id": key["id"]})
    assert entry["after"]["revoked_at"]
    assert key["key"] not in json.dumps(await log(identity, operator))


async def test_a_passkey_that_may_be_a_copy_is_noted(identity: Running, operator: UUID) -> None:
    mine, key = await test_passkeys.enrolled(identity, operator)
    key.count = 10
    for count, status in ((10, 200), (4, 401), (5, 401)):
        key.count = count
        asked = await test_passkeys.options(identity)
        answer = await test_passkeys.enter(identity, key.get(asked))
        assert answer.status_code == status, answer.text
    (entry,) = await told(identity, operator, lambda e: e["action"] == "refused")
    assert (entry["what"], entry["row_key"]["id"]) == ("passkey refused", mine["passkey"]["id"])


async def test_who_is_limited_to_locations_does_not_read_the_log(
    identity: Running, operator: UUID
) -> None:
    """Only an API key can be: staff who may read the log have every location."""
    async with identity.as_(operator, "audit:read", locations=[str(operator)]) as limited:
        for path in ("", "/export", "/head", "/verification"):
            answer = await limited.get(f"/v1/audit{path}")
            problem(answer, 403, "outside-your-locations")


async def test_what_people_do_to_their_own_account_is_noted_as_theirs(
    identity: Running, operator: UUID
) -> None:
    mine = await test_totp.enrolled(identity, operator)
    key = Authenticator()
    asked = await test_passkeys.options(identity, mine)
    passkey = (await test_passkeys.make(identity, mine, key.create(asked))).json()
    path = f"{test_passkeys.PATH}/{passkey['id']}"
    match = bearer(mine) | {"If-Match": '"1"'}
    renamed = await identity.http.patch(path, json={"name": "Key"}, headers=match)
    assert renamed.status_code == 200, renamed.text
    assert (await identity.http.delete(path, headers=bearer(mine))).status_code == 204
    off = await identity.http.request(
        "DELETE", test_totp.PATH, json={"password": PASSWORD}, headers=bearer(mine)
    )
    assert off.status_code == 204, off.text
    new = {"password": PASSWORD, "new_password": "another one of some length"}
    changed = await identity.http.post("/v1/account/password", json=new, headers=bearer(mine))
    assert changed.status_code == 204, changed.text

    (of_login,) = await told(identity, operator, lambda e: e["table_name"] == "login")
    assert of_login["after"] == {"password_hash": "…"}
    entries = [e for e in await log(identity, operator) if e["table_name"] != "operator"]
    assert {e["actor"]["sub"] for e in entries} == {mine["login"]["id"]}
    count = Counter((e["table_name"], e["action"]) for e in entries)
    del count["sign_in", "update"]  # how it counts changes with the factors
    assert count == {
        ("sign_in", "insert"): 1, ("totp", "insert"): 1, ("totp", "update"): 1,
        ("passkey", "insert"): 1, ("passkey", "update"): 1,
        ("passkey", "delete"): 1, ("totp", "delete"): 1,
        ("login", "update"): 1,
    }  # fmt: skip
    written = json.dumps(entries)
    for secret in (mine["secret"], *mine["recovery_codes"], PASSWORD, new["new_password"]):
        assert secret not in written


async def test_the_log_is_a_file_of_lines_of_a_time_range(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, "users:write") as staff:
        for number in range(3):
            await made(staff, "/v1/users", name=f"Name {number}")
    await told(identity, operator, lambda e: e["table_name"] == "users", 3)
    listed = await log(identity, operator)

    async def lines(whose: UUID, **asked: str) -> list[Entry]:
        async with identity.as_(whose, "audit:read") as client:
            answer = await client.get("/v1/audit/export", params=asked)
            assert answer.headers["content-type"] == "application/x-ndjson"
            assert answer.headers["cache-control"] == "no-store"
            return [json.loads(line) for line in answer.text.splitlines()]

    assert await lines(operator) == listed
    middle = listed[1]["at"]
    assert await lines(operator, since=middle) == listed[1:]
    assert await lines(operator, until=middle) == listed[:1]
    assert await lines(operator, since="2099-01-01T00:00:00Z") == []
    assert await lines(await new_operator(identity)) == []
    async with identity.as_(operator, "users:read") as client:
        problem(await client.get("/v1/audit/export"), 403, "missing-scope")
    async with identity.as_(operator, "audit:read") as client:
        bad = await client.get("/v1/audit/export", params={"since": "yesterday"})
        problem(bad, 422, "invalid-request")
