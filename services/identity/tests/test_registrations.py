"""Drivers who register themselves: from the app's form to a card that charges."""

import asyncio
import re
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from postbox import Postbox, mailbox, text_of, token_in
from sqlalchemy import func, select, update
from stack import Running, eventually

from common.database import PLATFORM
from common.events import CardChanged, UserChanged
from identity.staff import asking, links
from identity.tables import (
    AuditEntry,
    AuditPersonal,
    Card,
    Login,
    Mail,
    Operator,
    PrivacyPart,
    Registration,
    User,
)

from .support import new_operator, problem
from .test_entities import events
from .test_sessions import claims

PASSWORD = "a password of the driver's own"
NAME = "Grace Hopper"


async def policy(identity: Running, operator: UUID, registration: str) -> UUID:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        mine = update(Operator).where(Operator.id == operator)
        await db.execute(mine.values(policies={"driver_registration": registration}))
    return operator


@pytest.fixture
async def open_to_all(identity: Running, operator: UUID) -> UUID:
    return await policy(identity, operator, "open")


async def register(identity: Running, operator: UUID, email: str, **more: Any) -> httpx.Response:
    body = {"operator_id": str(operator), "email": email, "password": PASSWORD, "name": NAME}
    return await identity.http.post("/v1/registrations", json=body | more)


async def confirm(identity: Running, token: str, password: str = PASSWORD) -> httpx.Response:
    body = {"token": token, "password": password}
    return await identity.http.post("/v1/registrations/confirm", json=body)


async def registered(
    identity: Running, operator: UUID, postbox: Postbox, email: str
) -> dict[str, Any]:
    assert (await register(identity, operator, email)).status_code == 202
    done = await confirm(identity, token_in(await postbox.next_to(email)))
    assert done.status_code == 201, done.text
    return dict(done.json())


async def sign_in(identity: Running, operator: UUID, email: str) -> httpx.Response:
    body = {"email": email, "password": PASSWORD, "operator_id": str(operator)}
    return await identity.http.post("/v1/token", json=body)


async def count(identity: Running, table: Any, *which: Any) -> int:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        return int(await db.scalar(select(func.count()).select_from(table).where(*which)) or 0)


async def test_who_registers_and_confirms_is_a_driver_with_an_app_card(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    answer = await register(identity, open_to_all, email.upper(), language="en")
    assert (answer.status_code, answer.json()) == (202, {"valid_s": 86400})
    assert (await sign_in(identity, open_to_all, email)).status_code == 401  # not yet
    letter = await postbox.next_to(email)
    assert letter["Subject"] == "Confirm your registration with Stadtwerke"
    assert "https://console.example/registration#token=olg_" in text_of(letter)
    assert NAME not in text_of(letter)  # a stranger may have typed it
    token = token_in(letter)
    done = await confirm(identity, token)
    assert done.status_code == 201, done.text
    told = done.json()
    assert (told["email"], told["active"]) == (email, True)

    signed_in = (await sign_in(identity, open_to_all, email)).json()
    assert (signed_in["role"], signed_in["operator_id"]) == ("driver", str(open_to_all))
    mine = await claims(identity, signed_in["access_token"])
    assert mine["user_id"] == told["user_id"]
    async with identity.as_(open_to_all, "users:read", "cards:read") as staff:
        user = (await staff.get(f"/v1/users/{told['user_id']}")).json()
        card = (await staff.get(f"/v1/cards/{told['card_id']}")).json()
    assert (user["name"], user["email"], user["active"]) == (NAME, email, True)
    assert (card["kind"], card["user_id"], card["active"]) == ("app", told["user_id"], True)
    assert re.fullmatch("APP[A-Z2-7]{17}", card["uid"])
    problem(await confirm(identity, token), 410, "link-used")
    await told_and_noted(identity, told, mine["sub"])


async def told_and_noted(identity: Running, told: dict[str, Any], login: str) -> None:
    """Others hear of the user and the card; the audit log says that the driver made them."""
    await eventually(lambda: events(identity, UserChanged, "user_id", UUID(told["user_id"])))
    await eventually(lambda: events(identity, CardChanged, "card_id", UUID(told["card_id"])))

    async def entries() -> Any:
        keys = [{"id": one} for one in (told["user_id"], told["card_id"], login)]
        query = select(AuditEntry).where(AuditEntry.row_key.in_(keys))
        async with identity.app.state.connections.begin(PLATFORM) as db:
            found = (await db.scalars(query)).all()
        return found if len(found) >= 3 else None

    found = await eventually(entries)
    assert {(one.table_name, one.action) for one in found} == {
        ("users", "insert"), ("card", "insert"), ("login", "insert"),
    }  # fmt: skip
    assert {(one.actor["sub"], one.actor["role"]) for one in found} == {(login, "driver")}


async def test_where_staff_approve_a_new_driver_signs_in_and_charges_once_switched_on(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    await policy(identity, operator, "approval")
    email = mailbox()
    told = await registered(identity, operator, postbox, email)
    assert told["active"] is False
    assert (await sign_in(identity, operator, email)).status_code == 200
    async with identity.as_(
        operator, "users:read", "users:write", "cards:read", "authorizations:read"
    ) as staff:
        waiting = (await staff.get("/v1/users", params={"active": False})).json()["items"]
        assert [one["id"] for one in waiting] == [told["user_id"]]
        card = (await staff.get(f"/v1/cards/{told['card_id']}")).json()
        question = {"station_id": "ANY", "id_token": card["uid"]}

        async def of_user() -> str:
            tried = (await staff.post("/v1/authorizations", json=question)).json()
            return str({step["check"]: step["status"] for step in tried["steps"]}["user"])

        assert await of_user() == "Blocked"
        path = f"/v1/users/{told['user_id']}"
        on = await staff.patch(path, json={"active": True}, headers={"If-Match": '"1"'})
        assert on.status_code == 200, on.text
        assert await of_user() == "Accepted"


async def test_where_registration_is_closed_nobody_registers_or_confirms(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    problem(await register(identity, operator, email), 403, "registration-closed")
    problem(await register(identity, uuid4(), email), 404, "not-found")
    await policy(identity, operator, "open")
    assert (await register(identity, operator, email)).status_code == 202
    token = token_in(await postbox.next_to(email))
    await policy(identity, operator, "closed")
    problem(await confirm(identity, token), 403, "registration-closed")
    await policy(identity, operator, "open")
    async with identity.app.state.connections.begin(PLATFORM) as db:
        mine = update(Operator).where(Operator.id == operator)
        await db.execute(mine.values(active=False))
    problem(await confirm(identity, token), 403, "registration-closed")
    problem(await register(identity, operator, mailbox()), 403, "registration-closed")
    assert await count(identity, Login, Login.email == email) == 0


async def test_nobody_learns_from_the_answer_or_its_time_who_is_registered(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    known, stranger = mailbox(), mailbox()
    await registered(identity, open_to_all, postbox, known)
    answers, tries, hashing = set(), defaultdict(list), []
    # In turns: a machine that is busy for a while is so for each of them, and for the hash.
    for email in (known, stranger) * 4:
        started = time.perf_counter()
        answer = await register(identity, open_to_all, email)
        tries[email].append(time.perf_counter() - started)
        answers.add((answer.status_code, answer.text))
        started = time.perf_counter()
        await identity.app.state.hasher.hash(PASSWORD)
        hashing.append(time.perf_counter() - started)
    took = {email: min(found) for email, found in tries.items()}
    hashed_s = min(*hashing, 0.25)
    assert answers == {(202, '{"valid_s":86400}')}
    # Both are hashed and padded.
    assert min(took.values()) > asking.ANSWERED_AFTER_S + 0.5 * hashed_s, took
    assert max(took.values()) < 3 * min(took.values()), took
    told = await postbox.next_to(known, 4)
    assert told["Subject"] == "Sie sind schon Kunde von Stadtwerke"
    assert "#token=" not in text_of(told)
    assert await count(identity, User, User.email == known) == 1


async def test_who_registers_too_often_is_told_so_and_an_address_gets_few_mails(
    identity: Running, open_to_all: UUID
) -> None:
    email = mailbox()
    from_here = [await register(identity, open_to_all, email) for _ in range(6)]
    assert [one.status_code for one in from_here] == [202] * 5 + [429]
    problem(from_here[-1], 429, "asked-too-often")
    body = {"operator_id": str(open_to_all), "email": email, "password": PASSWORD, "name": NAME}
    elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    answer = await identity.http.post("/v1/registrations", json=body, headers=elsewhere)
    assert answer.status_code == 202
    assert await count(identity, Mail, Mail.recipient == email) == asking.MAILS_AN_HOUR
    kept = await count(identity, Registration, Registration.email == email)
    assert kept == asking.MAILS_AN_HOUR


async def test_a_link_without_the_password_makes_nobody_a_driver(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    """Or one registers under another's address and waits for the owner to click."""
    email = mailbox()
    await register(identity, open_to_all, email, password="chosen by somebody else")
    token = token_in(await postbox.next_to(email))
    problem(await confirm(identity, token), 403, "not-the-registrant")
    assert await count(identity, User, User.email == email) == 0
    # The owner registers as well; the one that is theirs is confirmed.
    await register(identity, open_to_all, email)
    mine = token_in(await postbox.next_to(email, 2))
    assert (await confirm(identity, mine)).status_code == 201
    theirs = await confirm(identity, token, "chosen by somebody else")
    problem(theirs, 409, "email-taken")
    assert await count(identity, User, User.email == email) == 1
    guesses = [await confirm(identity, token, f"guess {n}") for n in range(6)]
    assert [one.status_code for one in guesses] == [403] * 5 + [429]


async def test_of_two_who_confirm_at_once_one_becomes_a_driver(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    one, other = mailbox(), mailbox()
    await register(identity, open_to_all, one)
    token = token_in(await postbox.next_to(one))
    answers = await asyncio.gather(*(confirm(identity, token) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [201, 410, 410]
    for _ in range(2):
        await register(identity, open_to_all, other)
    links_of_one = [token_in(await postbox.next_to(other, n)) for n in (1, 2)]
    answers = await asyncio.gather(*(confirm(identity, token) for token in links_of_one))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    for email in (one, other):
        assert await count(identity, User, User.email == email) == 1
        assert await count(identity, Login, Login.email == email) == 1
    assert await count(identity, Card, Card.operator_id == open_to_all) == 2


async def test_what_is_not_confirmed_in_a_day_is_forgotten(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    late, done = mailbox(), mailbox()
    await registered(identity, open_to_all, postbox, done)
    await register(identity, open_to_all, late)
    token = token_in(await postbox.next_to(late))
    async with identity.app.state.connections.begin(PLATFORM) as db:
        past = Registration.expires_at - timedelta(days=1)
        await db.execute(update(Registration).values(expires_at=past))
    problem(await confirm(identity, token), 410, "link-expired")
    await links.prune_once(identity.app.state.connections)
    problem(await confirm(identity, token), 404, "link-unknown")
    assert await count(identity, Registration, Registration.email == late) == 0
    assert await count(identity, Registration, Registration.email == done) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"password": "elevenchars"}, {"name": " "}, {"name": "a\0b"}, {"email": "nobody"},
        {"language": "xx"}, {"role": "operator-admin"}, {"user_id": str(uuid4())},
    ],
)  # fmt: skip
async def test_a_registration_that_makes_no_sense_is_refused(
    identity: Running, open_to_all: UUID, body: dict[str, Any]
) -> None:
    refused = await register(identity, open_to_all, **({"email": mailbox()} | body))
    problem(refused, 422, "invalid-request")
    assert await count(identity, Registration, Registration.operator_id == open_to_all) == 0


async def test_one_address_is_a_driver_of_two_operators_apart(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    other = await policy(identity, await new_operator(identity, "Nord"), "open")
    email = mailbox()
    here = await registered(identity, open_to_all, postbox, email)
    await register(identity, other, email)
    letter = await postbox.next_to(email, 2)
    assert "Nord" in letter["Subject"]
    there = (await confirm(identity, token_in(letter))).json()
    assert there["operator_id"] == str(other)
    assert there["user_id"] != here["user_id"]
    async with identity.as_(open_to_all, "users:read") as staff:
        assert (await staff.get(f"/v1/users/{there['user_id']}")).status_code == 404
    # A link for one thing is no link for another.
    await register(identity, other, third := mailbox())
    token = token_in(await postbox.next_to(third))
    body = {"token": token, "password": PASSWORD}
    for path in ("password-resets/complete", "invitations/accept"):
        problem(await identity.http.post(f"/v1/{path}", json=body), 404, "link-unknown")
    assert (await confirm(identity, token)).status_code == 201


async def test_a_registered_driver_is_told_of_it_and_leaves_nothing_when_erased(
    identity: Running, open_to_all: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    told = await registered(identity, open_to_all, postbox, email)
    await register(identity, open_to_all, email)
    signed_in = (await sign_in(identity, open_to_all, email)).json()
    login = (await claims(identity, signed_in["access_token"]))["sub"]
    async with identity.as_(open_to_all, "privacy:read", "privacy:write") as staff:
        body = {"user_id": told["user_id"], "kind": "export"}
        asked = await staff.post("/v1/privacy-requests", json=body)
        async with identity.app.state.connections.begin(PLATFORM) as db:
            mine = PrivacyPart.request_id == UUID(asked.json()["id"])
            parts = {
                one.file: one.rows for one in await db.scalars(select(PrivacyPart).where(mine))
            }
        [row] = parts["registrations"]
        assert (row["email"], row["name"], row["ip"]) == (email, NAME, "127.0.0.1")
        assert row["confirmed_at"] is not None
        await eventually(lambda: noted(identity, login))
        gone = await staff.post("/v1/privacy-requests", json=body | {"kind": "erasure"})
        assert gone.status_code == 201, gone.text
    assert await count(identity, Registration, Registration.email == email) == 0
    assert await count(identity, Login, Login.email == email) == 0

    async def deleted() -> Any:
        return await noted(identity, login, "delete")

    await eventually(deleted)
    for word in (email, NAME):
        kept = (AuditPersonal.operator_id == open_to_all, AuditPersonal.body.contains(word))
        assert await count(identity, AuditPersonal, *kept) == 0
    problem(await sign_in(identity, open_to_all, email), 401, "sign-in-refused")
    again = await registered_again(identity, open_to_all, postbox, email)
    assert again["user_id"] != told["user_id"]


async def noted(identity: Running, login: str, action: str = "insert") -> int:
    entry = AuditEntry
    return await count(identity, entry, entry.row_key == {"id": login}, entry.action == action)


async def registered_again(
    identity: Running, operator: UUID, postbox: Postbox, email: str
) -> dict[str, Any]:
    before = len(postbox.to(email))
    assert (await register(identity, operator, email)).status_code == 202
    done = await confirm(identity, token_in(await postbox.next_to(email, before + 1)))
    return dict(done.json())
