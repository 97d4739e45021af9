"""Forgotten passwords: a link by mail, for whoever reads the mailbox and nobody else."""

import asyncio
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pyotp
import pytest
from postbox import Postbox, mailbox, text_of, token_in
from sqlalchemy import func, select, update
from stack import Running, eventually

from common.clock import now
from common.database import PLATFORM
from identity.staff import asking, links
from identity.tables import AuditEntry, Login, Mail, Operator, PasswordReset

from .drivers import make_driver
from .support import new_operator, problem
from .test_sessions import refreshed
from .test_signing_in import PASSWORD, SCOPES, failed, make_login, sign_in

NEW = "quite another long password"


async def ask(identity: Running, email: str, **more: Any) -> httpx.Response:
    return await identity.http.post("/v1/password-resets", json={"email": email} | more)


async def complete(identity: Running, token: str, password: str = NEW) -> httpx.Response:
    body = {"token": token, "password": password}
    return await identity.http.post("/v1/password-resets/complete", json=body)


async def asked(identity: Running, postbox: Postbox, email: str, number: int = 1) -> str:
    """The token of the mail with this number."""
    assert (await ask(identity, email)).status_code == 202
    return token_in(await postbox.next_to(email, number))


async def mails_to(identity: Running, email: str) -> int:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        of_it = select(func.count()).select_from(Mail).where(Mail.recipient == email)
        return int(await db.scalar(of_it) or 0)


async def test_a_forgotten_password_is_replaced_and_every_device_signed_out(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    login = await make_login(identity, operator, email=mailbox())
    email = login["email"]
    device = (await sign_in(identity, email)).json()
    answer = await ask(identity, email.upper())
    assert (answer.status_code, answer.json()) == (202, {"valid_s": 3600})
    letter = await postbox.next_to(email)
    assert "https://console.example/password-reset#token=olp_" in text_of(letter)
    assert letter["Subject"] == "Neues Passwort für Stadtwerke"
    token = token_in(letter)
    problem(await complete(identity, token, "elevenchars"), 422, "invalid-request")
    done = await complete(identity, token)
    assert (done.status_code, done.content) == (204, b"")
    assert (await sign_in(identity, email, PASSWORD)).status_code == 401
    assert (await sign_in(identity, email, NEW)).status_code == 200
    problem(await refreshed(identity, device["refresh_token"]), 401, "refresh-refused")
    problem(await complete(identity, token), 410, "link-used")
    told = await postbox.next_to(email, 2)
    assert told["Subject"] == "Ihr Passwort bei Stadtwerke wurde geändert"

    async def noted() -> Any:
        query = select(AuditEntry).where(AuditEntry.row_key == {"id": login["id"]})
        async with identity.app.state.connections.begin(PLATFORM) as db:
            return [row.actor["sub"] for row in await db.scalars(query) if row.actor["role"]]

    assert await eventually(noted) == [login["id"]]


async def test_nobody_learns_from_the_answer_or_its_time_who_has_a_login(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    known = await make_login(identity, operator, email=mailbox())
    off = await make_login(identity, operator, email=mailbox(), active=False)
    answers, tries = set(), defaultdict(list)
    # In turns: a machine that is busy for a while is so for each of them.
    for email in (known["email"], off["email"], mailbox()) * 5:
        started = time.perf_counter()
        answer = await ask(identity, email)
        tries[email].append(time.perf_counter() - started)
        answers.add((answer.status_code, answer.text))
    took = {email: min(found) for email, found in tries.items()}
    assert answers == {(202, '{"valid_s":3600}')}
    # Without the padding those without a mail take some milliseconds; the machine may be busy.
    assert min(took.values()) >= asking.ANSWERED_AFTER_S
    assert max(took.values()) < 3 * min(took.values()), took
    await postbox.next_to(known["email"], 5)
    assert await mails_to(identity, off["email"]) == 0


@pytest.mark.parametrize("known", [True, False])
async def test_who_asks_too_often_is_told_so_whether_the_address_is_known_or_not(
    identity: Running, operator: UUID, known: bool
) -> None:
    email = mailbox()
    if known:
        await make_login(identity, operator, email=email)
    answers = await asyncio.gather(*(ask(identity, email) for _ in range(7)))
    assert sorted(one.status_code for one in answers) == [202] * 5 + [429] * 2
    refused = await ask(identity, email)
    problem(refused, 429, "asked-too-often")
    assert refused.headers["retry-after"] == "900"
    if known:  # it locks nobody out
        assert (await sign_in(identity, email)).status_code == 200


async def test_an_address_gets_few_mails_however_many_ask_from_everywhere(
    identity: Running, operator: UUID
) -> None:
    email = mailbox()
    await make_login(identity, operator, email=email)
    places = [{"X-Forwarded-For": f"192.0.{n}.1"} for n in range(9)]
    answers = await asyncio.gather(
        *(
            identity.http.post("/v1/password-resets", json={"email": email}, headers=place)
            for place in places
        )
    )
    assert {one.status_code for one in answers} == {202}
    assert await mails_to(identity, email) == asking.MAILS_AN_HOUR


async def test_of_two_who_open_one_link_one_sets_the_password(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    await make_login(identity, operator, email=email)
    token = await asked(identity, postbox, email)
    answers = await asyncio.gather(*(complete(identity, token, NEW + str(n)) for n in range(3)))
    assert sorted(one.status_code for one in answers) == [204, 410, 410]
    [right] = [n for n, one in enumerate(answers) if one.status_code == 204]
    assert (await sign_in(identity, email, NEW + str(right))).status_code == 200


async def test_a_link_that_is_unknown_or_over_changes_nothing(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    problem(await complete(identity, "olp_" + "x" * 43), 404, "link-unknown")
    email = mailbox()
    login = await make_login(identity, operator, email=email)
    token = await asked(identity, postbox, email)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        mine = PasswordReset.login_id == login["id"]
        await db.execute(update(PasswordReset).where(mine).values(expires_at=now()))
    problem(await complete(identity, token), 410, "link-expired")
    assert (await sign_in(identity, email)).status_code == 200
    async with identity.app.state.connections.begin(PLATFORM) as db:
        long_ago = now() - timedelta(days=1, seconds=1)
        await db.execute(update(PasswordReset).where(mine).values(expires_at=long_ago))
    await links.prune_once(identity.app.state.connections)
    problem(await complete(identity, token), 404, "link-unknown")


async def test_a_new_password_voids_the_other_links_whichever_way_it_came(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    login = await make_login(identity, operator, email=email)
    first = await asked(identity, postbox, email)
    second = await asked(identity, postbox, email, 2)
    assert (await complete(identity, second)).status_code == 204
    problem(await complete(identity, first), 404, "link-unknown")
    third = await asked(identity, postbox, email, 4)  # the third mail says that it was changed
    device = (await sign_in(identity, email, NEW)).json()
    body = {"password": NEW, "new_password": PASSWORD}
    headers = {"Authorization": f"Bearer {device['access_token']}"}
    changed = await identity.http.post("/v1/account/password", json=body, headers=headers)
    assert changed.status_code == 204, changed.text
    problem(await complete(identity, third), 404, "link-unknown")
    fourth = await asked(identity, postbox, email, 5)
    async with identity.as_(operator, *SCOPES) as staff:
        path, match = f"/v1/logins/{login['id']}", {"If-Match": "*"}
        moved = await staff.patch(path, json={"email": mailbox()}, headers=match)
        assert moved.status_code == 200, moved.text
    problem(await complete(identity, fourth), 404, "link-unknown")


async def test_a_login_that_is_switched_off_or_whose_operator_is_gets_no_password(
    identity: Running, postbox: Postbox
) -> None:
    operator = await new_operator(identity)
    email = mailbox()
    login = await make_login(identity, operator, email=email)
    token = await asked(identity, postbox, email)
    for table, row_id in ((Login, UUID(login["id"])), (Operator, operator)):
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await db.execute(update(table).where(table.id == row_id).values(active=False))
        problem(await complete(identity, token), 404, "link-unknown")
        assert (await ask(identity, email)).status_code == 202
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await db.execute(update(table).where(table.id == row_id).values(active=True))
    assert await mails_to(identity, email) == 1
    assert (await complete(identity, token)).status_code == 204


async def test_who_signs_in_without_a_password_is_given_none(
    identity: Running, operator: UUID
) -> None:
    email = mailbox()
    login = await make_login(identity, operator, email=email)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        mine = update(Login).where(Login.id == login["id"])
        await db.execute(mine.values(password_hash=None))
    assert (await ask(identity, email)).status_code == 202
    assert await mails_to(identity, email) == 0


async def test_a_drivers_password_is_that_of_one_operator(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    other = await new_operator(identity, "Nord")
    email = mailbox()
    for place in (operator, other):
        driver = await make_driver(identity, place, email=email)
        await driver.http.aclose()
    # Without an operator staff is meant, and of them nobody has the address.
    assert (await ask(identity, email)).status_code == 202
    assert (await ask(identity, email, operator_id=str(uuid4()))).status_code == 202
    assert await mails_to(identity, email) == 0
    await ask(identity, email, operator_id=str(other))
    letter = await postbox.next_to(email)
    assert "Nord" in letter["Subject"]
    assert (await complete(identity, token_in(letter))).status_code == 204
    for place, password in ((other, NEW), (operator, PASSWORD)):
        body = {"email": email, "password": password, "operator_id": str(place)}
        assert (await identity.http.post("/v1/token", json=body)).status_code == 200


async def test_after_a_reset_guesses_at_the_old_password_lock_nobody_out(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    await make_login(identity, operator, email=email)
    token = await asked(identity, postbox, email)
    await failed(identity, email, 5)
    assert (await sign_in(identity, email)).status_code == 429
    assert (await complete(identity, token)).status_code == 204
    assert (await sign_in(identity, email, NEW)).status_code == 200


async def test_the_second_factor_is_still_asked_for_after_a_reset(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    email = mailbox()
    await make_login(identity, operator, email=email)
    headers = {"Authorization": f"Bearer {(await sign_in(identity, email)).json()['access_token']}"}
    secret = (await identity.http.post("/v1/account/totp", headers=headers)).json()["secret"]
    code = pyotp.TOTP(secret).now()
    on = await identity.http.post("/v1/account/totp/confirm", json={"code": code}, headers=headers)
    assert on.status_code == 200, on.text
    assert (await complete(identity, await asked(identity, postbox, email))).status_code == 204
    problem(await sign_in(identity, email, NEW), 401, "second-factor-needed")
    with_code = {"email": email, "password": NEW, "code": on.json()["recovery_codes"][0]}
    assert (await identity.http.post("/v1/token", json=with_code)).status_code == 200
