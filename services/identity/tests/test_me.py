"""What drivers see and change of themselves: profile, e-mail address, cards."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from postbox import Postbox, mailbox, text_of, token_in
from sqlalchemy import select, update
from stack import Running, eventually

from common.clock import now
from common.database import PLATFORM
from common.events import CardChanged, UserChanged
from identity.staff import asking, links
from identity.tables import AuditEntry, Card, EmailChange, Login, Mail

from .drivers import Driver, make_driver
from .support import made, new_operator, problem
from .test_entities import events
from .test_imports import applied
from .test_people import SCOPES
from .test_signing_in import PASSWORD

STAFF = (*SCOPES, "privacy:read", "privacy:write")
ANY = {"If-Match": "*"}


@pytest.fixture
async def driver(identity: Running, operator: UUID) -> Any:
    one = await make_driver(identity, operator)
    async with one.http:
        yield one


@pytest.fixture
async def staff(identity: Running, operator: UUID) -> Any:
    async with identity.as_(operator, *STAFF) as client:
        yield client


def uid() -> str:
    return uuid4().hex[:14].upper()


async def card_of(staff: httpx.AsyncClient, driver: Driver, **more: Any) -> dict[str, Any]:
    return await made(staff, "/v1/cards", uid=uid(), user_id=driver.user, **more)


async def sign_in(identity: Running, operator: UUID, email: str) -> int:
    body = {"email": email, "password": PASSWORD, "operator_id": str(operator)}
    return (await identity.http.post("/v1/token", json=body)).status_code


async def erase(staff: httpx.AsyncClient, driver: Driver) -> None:
    body = {"user_id": driver.user, "kind": "erasure"}
    gone = await staff.post("/v1/privacy-requests", json=body)
    assert gone.status_code == 201, gone.text


async def test_a_driver_sees_and_changes_name_and_language(
    identity: Running, operator: UUID, driver: Driver
) -> None:
    answer = await driver.http.get("/v1/me")
    assert answer.json() == {
        "user_id": driver.user, "operator_id": str(operator), "operator_name": "Stadtwerke",
        "name": "Ada Lovelace", "email": driver.email, "new_email": None, "language": None,
        "active": True, "version": 1,
    }  # fmt: skip
    match = {"If-Match": answer.headers["etag"]}
    body = {"name": "Ada King", "language": "pl"}
    changed = await driver.http.patch("/v1/me", json=body, headers=match)
    assert changed.json() == answer.json() | body | {"version": 2}
    problem(await driver.http.patch("/v1/me", json=body, headers=match), 412, "version-changed")
    problem(await driver.http.patch("/v1/me", json=body), 428, "if-match-required")
    back = await driver.http.patch("/v1/me", json={"language": None}, headers=ANY)
    assert (back.json()["language"], back.json()["name"]) == (None, "Ada King")

    async def told() -> Any:
        found = await events(identity, UserChanged, "user_id", UUID(driver.user))
        return [one.name for one in found if one.version == 2]

    assert await eventually(told) == ["Ada King"]

    async def actors() -> Any:
        query = select(AuditEntry).where(AuditEntry.row_key == {"id": driver.user})
        async with identity.app.state.connections.begin(PLATFORM) as db:
            return {(one.actor["sub"], one.actor["role"]) for one in await db.scalars(query)}

    assert await eventually(actors) == {(driver.login, "driver")}


@pytest.mark.parametrize(
    "body",
    [
        {}, {"name": None}, {"name": ""}, {"language": "xx"}, {"email": "a@b.example"},
        {"active": False},
    ],
)  # fmt: skip
async def test_a_driver_changes_nothing_else_of_themselves(
    driver: Driver, body: dict[str, Any]
) -> None:
    before = (await driver.http.get("/v1/me")).json()
    refused = await driver.http.patch("/v1/me", json=body, headers=ANY)
    problem(refused, 422, "invalid-request")
    assert (await driver.http.get("/v1/me")).json() == before


async def test_staff_are_no_drivers(identity: Running, operator: UUID) -> None:
    login = str(uuid4())
    async with identity.as_(operator, *STAFF, sub=login) as client:
        problem(await client.get("/v1/me"), 403, "missing-scope")
    async with identity.as_(operator, "me:read", "me:write", sub=login) as client:
        for answer in (
            await client.get("/v1/me"),
            await client.get("/v1/me/cards"),
            await client.patch("/v1/me", json={"name": "x"}, headers=ANY),
            await client.post("/v1/me/email", json={"email": mailbox(), "password": PASSWORD}),
        ):
            problem(answer, 404, "not-found")


async def ask(driver: Driver, email: str, password: str = PASSWORD) -> httpx.Response:
    return await driver.http.post("/v1/me/email", json={"email": email, "password": password})


async def confirm(identity: Running, token: str) -> httpx.Response:
    return await identity.http.post("/v1/email-changes/confirm", json={"token": token})


async def test_a_new_address_counts_once_its_link_is_opened(
    identity: Running, operator: UUID, driver: Driver, staff: httpx.AsyncClient, postbox: Postbox
) -> None:
    email = mailbox()
    asked = await ask(driver, email)
    assert (asked.status_code, asked.json()) == (202, {"valid_s": 86400})
    letter = await postbox.next_to(email)
    assert "https://console.example/email-change#token=ole_" in text_of(letter)
    me = (await driver.http.get("/v1/me")).json()
    assert (me["email"], me["new_email"]) == (driver.email, email)
    assert await sign_in(identity, operator, driver.email) == 200
    reset = {"email": driver.email, "operator_id": str(operator)}
    assert (await identity.http.post("/v1/password-resets", json=reset)).status_code == 202
    old_link = token_in(await postbox.next_to(driver.email))

    assert (await confirm(identity, token_in(letter))).status_code == 204
    me = (await driver.http.get("/v1/me")).json()
    assert (me["email"], me["new_email"]) == (email, None)
    assert (await staff.get(f"/v1/users/{driver.user}")).json()["email"] == email
    assert await sign_in(identity, operator, driver.email) == 401
    assert await sign_in(identity, operator, email) == 200
    problem(await confirm(identity, token_in(letter)), 410, "link-used")
    told = await postbox.next_to(driver.email, 2)
    assert told["Subject"] == "Ihre E-Mail-Adresse bei Stadtwerke wurde geändert"
    # A link in the old mailbox opens nothing any more.
    body = {"token": old_link, "password": "another long password"}
    late = await identity.http.post("/v1/password-resets/complete", json=body)
    problem(late, 404, "link-unknown")


async def test_a_new_address_needs_the_password(
    identity: Running, driver: Driver, postbox: Postbox
) -> None:
    email = mailbox()
    problem(await ask(driver, email, "not the password"), 403, "password-wrong")
    problem(await ask(driver, driver.email), 409, "email-unchanged")
    guesses = [await ask(driver, email, f"guess {n}") for n in range(6)]
    assert [one.status_code for one in guesses] == [403] * 5 + [429]
    assert (await driver.http.get("/v1/me")).json()["new_email"] is None


async def test_of_several_new_addresses_the_last_counts_and_each_for_a_day(
    identity: Running, operator: UUID, driver: Driver, postbox: Postbox
) -> None:
    first, second = mailbox(), mailbox()
    for email in (first, second):
        assert (await ask(driver, email)).status_code == 202
    problem(await confirm(identity, token_in(await postbox.next_to(first))), 404, "link-unknown")
    token = token_in(await postbox.next_to(second))
    async with identity.app.state.connections.begin(PLATFORM) as db:
        mine = update(EmailChange).where(EmailChange.login_id == driver.login)
        await db.execute(mine.values(expires_at=now()))
    problem(await confirm(identity, token), 410, "link-expired")
    assert (await driver.http.get("/v1/me")).json()["new_email"] is None
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(mine.values(expires_at=now() - timedelta(days=1, seconds=1)))
    await links.prune_once(identity.app.state.connections)
    problem(await confirm(identity, token), 404, "link-unknown")
    assert await sign_in(identity, operator, driver.email) == 200


async def test_nobody_learns_by_a_new_address_whose_it_is(
    identity: Running, operator: UUID, driver: Driver, postbox: Postbox
) -> None:
    other = await make_driver(identity, operator)
    await other.http.aclose()
    taken, free = await ask(driver, other.email), await ask(driver, mailbox())
    assert (taken.status_code, taken.text) == (free.status_code, free.text)
    letter = await postbox.next_to(other.email)
    assert letter["Subject"] == "Sie sind schon Kunde von Stadtwerke"
    assert "#token=" not in text_of(letter)


async def test_of_two_drivers_who_want_one_address_one_gets_it(
    identity: Running, operator: UUID, driver: Driver, postbox: Postbox
) -> None:
    email = mailbox()
    other = await make_driver(identity, operator)
    async with other.http:
        for one in (driver, other):
            assert (await ask(one, email)).status_code == 202
        tokens = [token_in(await postbox.next_to(email, n)) for n in (1, 2)]
        answers = await asyncio.gather(*(confirm(identity, token) for token in tokens))
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        addresses = [(await one.http.get("/v1/me")).json()["email"] for one in (driver, other)]
    [loser] = [n for n, answer in enumerate(answers) if answer.status_code == 409]
    problem(answers[loser], 409, "email-taken")
    assert addresses[1 - loser] == email
    assert addresses[loser] == (driver, other)[loser].email


async def test_one_address_gets_few_mails_whoever_wants_it(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    for n in range(7):
        one = await make_driver(identity, operator)
        one.http.headers["X-Forwarded-For"] = f"192.0.{n}.1"
        async with one.http:
            assert (await ask(one, email)).status_code == 202
    async with identity.app.state.connections.begin(PLATFORM) as db:
        sent = (await db.scalars(select(Mail.id).where(Mail.recipient == email))).all()
    assert len(sent) == asking.MAILS_AN_HOUR


async def test_a_login_that_is_switched_off_gets_no_new_address(
    identity: Running, driver: Driver, postbox: Postbox
) -> None:
    email = mailbox()
    await ask(driver, email)
    token = token_in(await postbox.next_to(email))
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(update(Login).where(Login.id == driver.login).values(active=False))
    problem(await confirm(identity, token), 404, "link-unknown")
    assert (await driver.http.get("/v1/me")).json()["email"] == driver.email


async def test_staff_give_no_driver_the_address_of_another(
    identity: Running, operator: UUID, driver: Driver
) -> None:
    other = await make_driver(identity, operator)
    await other.http.aclose()
    async with identity.as_(operator, "logins:write") as admin:
        path, body = f"/v1/logins/{driver.login}", {"email": other.email}
        problem(await admin.patch(path, json=body, headers=ANY), 409, "email-taken")


async def test_a_driver_sees_and_names_only_their_own_cards(
    identity: Running, operator: UUID, driver: Driver, staff: httpx.AsyncClient
) -> None:
    other = await make_driver(identity, operator)
    await other.http.aclose()
    mine = [await card_of(staff, driver, label=f"Card {n}") for n in range(3)]
    theirs, nobodys = await card_of(staff, other), await made(staff, "/v1/cards", uid=uid())
    first = (await driver.http.get("/v1/me/cards", params={"limit": 2})).json()
    rest = {"cursor": first["next_cursor"]}
    items = first["items"] + (await driver.http.get("/v1/me/cards", params=rest)).json()["items"]
    assert [one["id"] for one in items] == [one["id"] for one in mine]
    assert items[0] == {
        "id": mine[0]["id"], "uid": mine[0]["uid"], "kind": "rfid", "label": "Card 0",
        "active": True, "own_block": False, "blocked_reason": None, "valid_from": None,
        "valid_until": None, "replaced_by": None, "version": 1,
    }  # fmt: skip
    path = f"/v1/me/cards/{mine[0]['id']}"
    assert (await driver.http.get(path)).json() == items[0]
    named = await driver.http.patch(path, json={"label": "The blue"}, headers={"If-Match": '"1"'})
    assert (named.json()["label"], named.headers["etag"]) == ("The blue", '"2"')
    stale = await driver.http.patch(path, json={"label": "x"}, headers={"If-Match": '"1"'})
    problem(stale, 412, "version-changed")
    more = await driver.http.patch(path, json={"label": "x", "uid": uid()}, headers=ANY)
    problem(more, 422, "invalid-request")
    foreign = await new_operator(identity)
    async with identity.as_(foreign, *STAFF) as others:
        elsewhere = await made(others, "/v1/cards", uid=uid())
    for card in (theirs, nobodys, elsewhere):
        path = f"/v1/me/cards/{card['id']}"
        for answer in (
            await driver.http.get(path),
            await driver.http.patch(path, json={"label": "x"}, headers=ANY),
            await driver.http.post(f"{path}/block"),
            await driver.http.post(f"{path}/unblock"),
        ):
            problem(answer, 404, "not-found")
    assert (await staff.get(f"/v1/cards/{theirs['id']}")).json() == theirs


async def test_what_drivers_blocked_they_unblock(
    identity: Running, driver: Driver, staff: httpx.AsyncClient
) -> None:
    card = await card_of(staff, driver)
    path = f"/v1/me/cards/{card['id']}"
    for body in ({"reason": "lost"}, {"reason": "again"}):
        blocked = (await driver.http.post(f"{path}/block", json=body)).json()
        assert (blocked["active"], blocked["own_block"]) == (False, True)
        assert (blocked["blocked_reason"], blocked["version"]) == ("lost", 2)
    seen = (await staff.get(f"/v1/cards/{card['id']}")).json()
    assert (seen["active"], seen["own_block"], seen["blocked_reason"]) == (False, True, "lost")
    for _ in range(2):
        free = (await driver.http.post(f"{path}/unblock")).json()
        assert (free["active"], free["own_block"], free["version"]) == (True, False, 3)
        assert free["blocked_reason"] is None
    blocked = (await driver.http.post(f"{path}/block")).json()
    assert blocked["blocked_reason"] == "by its holder"

    async def told() -> Any:
        found = await events(identity, CardChanged, "card_id", UUID(card["id"]))
        return [one.active for one in found] if len(found) == 4 else []

    assert await eventually(told) == [True, False, True, False]


@pytest.mark.parametrize("first", ["staff", "driver"])
async def test_a_block_by_staff_is_not_undone_by_the_driver(
    driver: Driver, staff: httpx.AsyncClient, first: str
) -> None:
    card = await card_of(staff, driver)
    path, own = f"/v1/cards/{card['id']}", f"/v1/me/cards/{card['id']}"
    if first == "driver":
        assert (await driver.http.post(f"{own}/block")).status_code == 200
    theirs = {"active": False, "blocked_reason": "unpaid"}
    blocked = (await staff.patch(path, json=theirs, headers=ANY)).json()
    assert blocked["own_block"] is False
    problem(await driver.http.post(f"{own}/unblock"), 409, "blocked-by-operator")
    problem(await driver.http.post(f"{own}/block"), 409, "blocked-by-operator")
    assert (await driver.http.get(own)).json()["blocked_reason"] == "unpaid"
    free = (await staff.patch(path, json={"active": True}, headers=ANY)).json()
    assert (free["active"], free["own_block"]) == (True, False)


async def test_staff_undo_a_drivers_block_and_a_card_made_blocked_stays_so(
    driver: Driver, staff: httpx.AsyncClient
) -> None:
    card = await card_of(staff, driver)
    await driver.http.post(f"/v1/me/cards/{card['id']}/block")
    free = await staff.patch(f"/v1/cards/{card['id']}", json={"active": True}, headers=ANY)
    assert (free.status_code, free.json()["own_block"]) == (200, False)
    dead = await card_of(staff, driver, active=False)
    refused = await driver.http.post(f"/v1/me/cards/{dead['id']}/unblock")
    problem(refused, 409, "blocked-by-operator")


async def test_a_card_that_was_replaced_or_given_away_is_not_unblocked(
    identity: Running, operator: UUID, driver: Driver, staff: httpx.AsyncClient
) -> None:
    lost, given = await card_of(staff, driver), await card_of(staff, driver)
    for card in (lost, given):
        await driver.http.post(f"/v1/me/cards/{card['id']}/block", json={"reason": "lost"})
    new = await staff.post(f"/v1/cards/{lost['id']}/replace", json={"uid": uid()})
    assert (new.json()["active"], new.json()["own_block"]) == (True, False)
    problem(await driver.http.post(f"/v1/me/cards/{lost['id']}/unblock"), 409, "replaced-already")
    other = await make_driver(identity, operator)
    async with other.http:
        move = {"user_id": other.user}
        assert (await staff.post(f"/v1/cards/{given['id']}/move", json=move)).status_code == 200
        path = f"/v1/me/cards/{given['id']}/unblock"
        problem(await driver.http.post(path), 404, "not-found")
        problem(await other.http.post(path), 409, "blocked-by-operator")


async def test_an_import_keeps_a_drivers_block_and_makes_its_own_the_operators(
    driver: Driver, staff: httpx.AsyncClient
) -> None:
    named, blocked = await card_of(staff, driver), await card_of(staff, driver)
    for card in (named, blocked):
        await driver.http.post(f"/v1/me/cards/{card['id']}/block", json={"reason": "lost"})
    await applied(staff, f"uid;label\n{named['uid']};New name\n")
    await applied(staff, f"uid;blocked_reason\n{blocked['uid']};stolen\n")
    seen = [(await driver.http.get(f"/v1/me/cards/{c['id']}")).json() for c in (named, blocked)]
    assert [(one["label"], one["own_block"]) for one in seen] == [("New name", True), ("", False)]
    path = f"/v1/me/cards/{blocked['id']}/unblock"
    problem(await driver.http.post(path), 409, "blocked-by-operator")
    # A full file without the card blocks it, whoever did so before.
    employee = await staff.patch(
        f"/v1/users/{driver.user}", json={"external_id": "E1"}, headers=ANY
    )
    assert employee.status_code == 200, employee.text
    full = await applied(staff, f"external_id;uid\nE1;{blocked['uid']}\n", mode="full")
    assert full["counts"]["cards"]["deactivate"] == 1
    missing = (await driver.http.get(f"/v1/me/cards/{named['id']}")).json()
    assert (missing["own_block"], missing["blocked_reason"]) == (False, "not in the import")


async def test_who_was_erased_writes_nothing_back(
    identity: Running, driver: Driver, staff: httpx.AsyncClient, postbox: Postbox
) -> None:
    card = await card_of(staff, driver)
    email = mailbox()
    await ask(driver, email)
    token = token_in(await postbox.next_to(email))
    await driver.http.post(f"/v1/me/cards/{card['id']}/block")
    await erase(staff, driver)
    own = f"/v1/me/cards/{card['id']}"
    for answer, status in (
        (await driver.http.get("/v1/me"), 404),
        (await driver.http.patch("/v1/me", json={"name": "Ada"}, headers=ANY), 404),
        (await driver.http.patch(own, json={"label": "Ada's"}, headers=ANY), 404),
        (await driver.http.post(f"{own}/unblock"), 409),
        (await ask(driver, mailbox()), 404),
        (await confirm(identity, token), 404),
    ):
        assert answer.status_code == status, answer.text
    user = (await staff.get(f"/v1/users/{driver.user}")).json()
    assert (user["name"], user["email"]) == ("erased", None)
    after = (await staff.get(f"/v1/cards/{card['id']}")).json()
    assert (after["label"], after["active"], after["own_block"]) == ("", False, False)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        left = select(Mail.id).where(Mail.recipient.in_([email, driver.email]))
        assert (await db.scalars(left)).all() == []


async def test_a_block_and_an_unblock_at_once_leave_a_whole_card(
    identity: Running, driver: Driver, staff: httpx.AsyncClient
) -> None:
    card = await card_of(staff, driver)
    path = f"/v1/me/cards/{card['id']}"
    wishes = [driver.http.post(f"{path}/{what}") for what in ("block", "unblock") * 5]
    assert {one.status_code for one in await asyncio.gather(*wishes)} == {200}
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = await db.get_one(Card, UUID(card["id"]))
    assert row.own_block is not row.active
