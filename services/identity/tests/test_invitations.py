"""Invitations: from the mail to the login, and everything that keeps one from being made."""

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
from identity.staff import asking, invitations, links
from identity.tables import AuditEntry, Invitation, Login, Mail, Operator

from .support import made, new_operator, problem
from .test_signing_in import PASSWORD, SCOPES, make_login, sign_in

NEW = "the newcomer's own password"


class Admin:
    """A login that invites."""

    def __init__(self, identity: Running, operator: UUID | None, login: dict[str, Any]) -> None:
        self.id = login["id"]
        self.http = identity.as_(operator, *SCOPES, sub=login["id"], role=login["role"])

    async def invited(self, email: str, **more: Any) -> dict[str, Any]:
        body = {"email": email, "role": "operator-staff"} | more
        return await made(self.http, "/v1/invitations", **body)


@pytest.fixture
async def admin(identity: Running, operator: UUID) -> Any:
    login = await make_login(identity, operator, role="operator-admin")
    one = Admin(identity, operator, login)
    async with one.http:
        yield one


async def accept(identity: Running, token: str, password: str = NEW) -> httpx.Response:
    body = {"token": token, "password": password}
    return await identity.http.post("/v1/invitations/accept", json=body)


async def change(identity: Running, table: Any, row_id: str, **values: Any) -> None:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(update(table).where(table.id == UUID(str(row_id))).values(**values))


async def test_an_invited_person_chooses_a_password_and_signs_in(
    identity: Running, operator: UUID, admin: Admin, postbox: Postbox
) -> None:
    email, place = mailbox(), str(uuid4())
    row = await admin.invited(email.upper(), location_ids=[place], language="en")
    assert (row["email"], row["state"], row["invited_by"]) == (email, "open", admin.id)
    letter = await postbox.next_to(email)
    assert (letter["Subject"], letter["Content-Language"]) == ("Invitation to Stadtwerke", "en")
    assert "https://console.example/invitation#token=oli_" in text_of(letter)
    assert "7 days" in text_of(letter)
    token = token_in(letter)

    done = await accept(identity, token)
    assert done.status_code == 201, done.text
    told = done.json()
    assert told == {
        "login_id": told["login_id"], "operator_id": str(operator), "email": email,
        "role": "operator-staff",
    }  # fmt: skip
    assert (await sign_in(identity, email, NEW)).json()["role"] == "operator-staff"
    login = (await admin.http.get(f"/v1/logins/{told['login_id']}")).json()
    assert login["location_ids"] == [place]
    now_row = (await admin.http.get(f"/v1/invitations/{row['id']}")).json()
    assert (now_row["state"], now_row["login_id"]) == ("accepted", told["login_id"])
    problem(await accept(identity, token), 410, "link-used")
    path = f"/v1/invitations/{row['id']}"
    problem(await admin.http.delete(path), 409, "invitation-over")
    problem(await admin.http.post(f"{path}/send-again"), 409, "invitation-over")
    await noted(identity, row["id"], admin.id, told["login_id"])


async def noted(identity: Running, invitation: str, inviter: str, login: str) -> None:
    """Who invited and who came is in the audit log, the token is not."""

    async def entries() -> Any:
        keys = [{"id": invitation}, {"id": login}]
        query = select(AuditEntry).where(AuditEntry.row_key.in_(keys)).order_by(AuditEntry.seq)
        async with identity.app.state.connections.begin(PLATFORM) as db:
            found = (await db.scalars(query)).all()
        return found if len(found) == 3 else []

    found = await eventually(entries)
    assert {(one.table_name, one.action, one.actor["sub"]) for one in found} == {
        ("invitation", "insert", inviter), ("login", "insert", login),
        ("invitation", "update", login),
    }  # fmt: skip


async def test_of_two_who_open_one_link_one_gets_the_login(
    identity: Running, admin: Admin, postbox: Postbox
) -> None:
    email = mailbox()
    await admin.invited(email)
    token = token_in(await postbox.next_to(email))
    answers = await asyncio.gather(*(accept(identity, token, NEW + str(n)) for n in range(3)))
    assert sorted(one.status_code for one in answers) == [201, 410, 410]
    right = [n for n, one in enumerate(answers) if one.status_code == 201]
    assert (await sign_in(identity, email, NEW + str(right[0]))).status_code == 200


async def test_a_link_that_is_unknown_over_or_withdrawn_makes_nothing(
    identity: Running, admin: Admin, postbox: Postbox
) -> None:
    problem(await accept(identity, "oli_" + "x" * 43), 404, "link-unknown")
    email = mailbox()
    row = await admin.invited(email)
    token = token_in(await postbox.next_to(email))
    short = await accept(identity, token, "elevenchars")
    problem(short, 422, "invalid-request")
    await change(identity, Invitation, row["id"], expires_at=now())
    problem(await accept(identity, token), 410, "link-expired")
    listed = await admin.http.get("/v1/invitations", params={"state": "expired"})
    assert [one["id"] for one in listed.json()["items"]] == [row["id"]]
    await change(identity, Invitation, row["id"], expires_at=now() + timedelta(days=1))
    assert (await admin.http.delete(f"/v1/invitations/{row['id']}")).status_code == 204
    problem(await accept(identity, token), 410, "invitation-void")
    assert (await sign_in(identity, email, NEW)).status_code == 401
    listed = await admin.http.get("/v1/invitations", params={"state": "revoked", "email": email})
    assert [one["id"] for one in listed.json()["items"]] == [row["id"]]
    await admin.invited(email)  # withdrawn, so they may be invited anew


async def test_a_mail_that_is_sent_again_has_a_new_link_and_the_old_one_is_void(
    identity: Running, operator: UUID, admin: Admin, postbox: Postbox
) -> None:
    email = mailbox()
    row = await admin.invited(email)
    first = token_in(await postbox.next_to(email))
    again = f"/v1/invitations/{row['id']}/send-again"
    soon = await admin.http.post(again)
    problem(soon, 429, "sent-just-now")
    assert soon.headers["retry-after"] == "60"
    past = now() - timedelta(days=8)
    await change(identity, Invitation, row["id"], sent_at=past, expires_at=past)
    colleague = await make_login(identity, operator, role="operator-admin")
    other = Admin(identity, operator, colleague)
    async with other.http:
        sent = await other.http.post(again)
    assert (sent.json()["state"], sent.json()["invited_by"]) == ("open", colleague["id"])
    second = token_in(await postbox.next_to(email, 2))
    problem(await accept(identity, first), 404, "link-unknown")
    # Who sent it last answers for it: that the first inviter is gone does not matter.
    await change(identity, Login, admin.id, active=False)
    assert (await accept(identity, second)).status_code == 201


@pytest.mark.parametrize(
    "change_of_inviter",
    [{"active": False}, {"role": "operator-staff"}, {"role": "read-only"}],
)
async def test_an_inviter_who_lost_the_right_gives_nothing_any_more(
    identity: Running, admin: Admin, postbox: Postbox, change_of_inviter: dict[str, Any]
) -> None:
    email = mailbox()
    await admin.invited(email)
    token = token_in(await postbox.next_to(email))
    await change(identity, Login, admin.id, **change_of_inviter)
    problem(await accept(identity, token), 410, "invitation-void")
    await change(identity, Login, admin.id, active=True, role="operator-admin")
    assert (await accept(identity, token)).status_code == 201


async def test_an_operator_that_is_switched_off_takes_nobody_in(
    identity: Running, operator: UUID, admin: Admin, postbox: Postbox
) -> None:
    email = mailbox()
    await admin.invited(email)
    token = token_in(await postbox.next_to(email))
    await change(identity, Operator, str(operator), active=False)
    problem(await accept(identity, token), 410, "invitation-void")


async def test_nobody_is_invited_to_more_than_the_inviter_may(
    identity: Running, operator: UUID, admin: Admin
) -> None:
    body: dict[str, Any] = {"email": mailbox(), "role": "platform-admin"}
    problem(await admin.http.post("/v1/invitations", json=body), 403, "role-not-yours")
    driver = await admin.http.post("/v1/invitations", json=body | {"role": "driver"})
    problem(driver, 422, "invalid-request")
    mine = [str(uuid4())]
    async with identity.as_(operator, *SCOPES, sub=admin.id, locations=mine) as limited:
        staff = body | {"role": "operator-staff"}
        for wanted in (None, [str(uuid4())]):
            refused = await limited.post("/v1/invitations", json=staff | {"location_ids": wanted})
            problem(refused, 403, "locations-not-yours")
        await made(limited, "/v1/invitations", **staff, location_ids=mine)
    everywhere = {"email": mailbox(), "role": "operator-admin", "location_ids": mine}
    refused = await admin.http.post("/v1/invitations", json=everywhere)
    problem(refused, 422, "locations-of-that-role")
    async with identity.as_(operator, "logins:read", sub=admin.id) as reader:
        problem(await reader.post("/v1/invitations", json=staff), 403, "missing-scope")
    async with identity.as_(operator, *SCOPES, sub="no login") as key:
        email = {"email": mailbox()}
        assert (await key.post("/v1/invitations", json=staff | email)).status_code == 404


async def test_an_address_is_invited_once_and_not_if_it_signs_in_already(
    identity: Running, admin: Admin, postbox: Postbox
) -> None:
    email = mailbox()
    await admin.invited(email)
    body = {"email": email, "role": "read-only"}
    problem(await admin.http.post("/v1/invitations", json=body), 409, "invited-already")
    known = (await admin.http.get(f"/v1/logins/{admin.id}")).json()["email"]
    taken = await admin.http.post("/v1/invitations", json=body | {"email": known})
    problem(taken, 409, "email-taken")


async def test_that_an_address_works_for_somebody_else_is_told_only_to_its_owner(
    identity: Running, admin: Admin, postbox: Postbox
) -> None:
    email = mailbox()
    await make_login(identity, await new_operator(identity, "Other"), email=email)
    row = await admin.invited(email)
    token = token_in(await postbox.next_to(email))
    problem(await accept(identity, token), 409, "email-taken")
    still = (await admin.http.get(f"/v1/invitations/{row['id']}")).json()
    assert (still["state"], still["login_id"]) == ("open", None)
    assert (await sign_in(identity, email, PASSWORD)).status_code == 200


async def test_an_operator_has_so_many_invitations_and_an_address_so_many_mails(
    identity: Running, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = mailbox()
    for _ in range(asking.MAILS_AN_HOUR):
        row = await admin.invited(email)
        assert (await admin.http.delete(f"/v1/invitations/{row['id']}")).status_code == 204
    body = {"email": email, "role": "read-only"}
    problem(await admin.http.post("/v1/invitations", json=body), 429, "asked-too-often")
    listed = (await admin.http.get("/v1/invitations", params={"state": "open"})).json()["items"]
    assert listed == []
    monkeypatch.setattr(invitations, "WAITING_MAX", 2)
    for _ in range(2):
        row = await admin.invited(mailbox())
    more = body | {"email": mailbox()}
    problem(await admin.http.post("/v1/invitations", json=more), 409, "too-many-invitations")
    await admin.http.delete(f"/v1/invitations/{row['id']}")
    assert (await admin.http.post("/v1/invitations", json=more)).status_code == 201


async def test_another_operator_neither_sees_nor_changes_an_invitation(
    identity: Running, admin: Admin
) -> None:
    row = await admin.invited(mailbox())
    path = f"/v1/invitations/{row['id']}"
    async with identity.as_(await new_operator(identity), *SCOPES, sub=str(uuid4())) as other:
        assert (await other.get("/v1/invitations")).json()["items"] == []
        for answer in (
            await other.get(path),
            await other.delete(path),
            await other.post(f"{path}/send-again"),
        ):
            problem(answer, 404, "not-found")
    assert (await admin.http.get(path)).json() == row


async def test_a_platform_admin_invites_another_and_staff_of_an_operator(
    identity: Running, operator: UUID, postbox: Postbox
) -> None:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        boss = Login(email=mailbox(), role="platform-admin", active=True)
        db.add(boss)
    login = {"id": str(boss.id), "role": "platform-admin"}
    one = Admin(identity, None, login)
    async with one.http:
        colleague, staff = mailbox(), mailbox()
        row = await one.invited(colleague, role="platform-admin")
        assert (row["operator_id"], row["language"]) == (None, "en")
        again = {"email": colleague, "role": "platform-admin"}
        problem(await one.http.post("/v1/invitations", json=again), 409, "invited-already")
        one.http.headers["Operator-Id"] = str(operator)
        assert (await one.invited(staff))["operator_id"] == str(operator)
        one.http.headers["Operator-Id"] = str(uuid4())
        nowhere = {"email": mailbox(), "role": "read-only"}
        problem(await one.http.post("/v1/invitations", json=nowhere), 422, "unknown-operator")
    for email, role in ((colleague, "platform-admin"), (staff, "operator-staff")):
        done = await accept(identity, token_in(await postbox.next_to(email)))
        assert done.json()["role"] == role


async def test_without_a_mail_server_nobody_is_invited(identity: Running, admin: Admin) -> None:
    settings = identity.app.state.mailing._settings
    identity.app.state.mailing._settings = settings.model_copy(update={"smtp_url": None})
    try:
        body = {"email": mailbox(), "role": "read-only"}
        refused = await admin.http.post("/v1/invitations", json=body)
    finally:
        identity.app.state.mailing._settings = settings
    problem(refused, 503, "mail-not-configured")
    assert (await admin.http.get("/v1/invitations")).json()["items"] == []


async def test_the_token_is_kept_as_a_hash_and_the_link_is_sealed_until_it_is_sent(
    identity: Running, admin: Admin, postbox: Postbox
) -> None:
    email = mailbox()
    row = await admin.invited(email)
    token = token_in(await postbox.next_to(email))
    assert token not in str(row)
    async with identity.app.state.connections.begin(PLATFORM) as db:
        sent = (await db.scalars(select(Mail).where(Mail.recipient == email))).one()
    assert token not in sent.text


async def test_invitations_are_forgotten_three_months_after_their_end(
    identity: Running, admin: Admin
) -> None:
    old, young = [await admin.invited(mailbox()) for _ in range(2)]
    await change(identity, Invitation, old["id"], expires_at=now() - timedelta(days=91))
    await change(identity, Invitation, young["id"], expires_at=now() - timedelta(days=89))
    await links.prune_once(identity.app.state.connections)
    left = (await admin.http.get("/v1/invitations")).json()["items"]
    assert [one["id"] for one in left] == [young["id"]]
