"""Partners as staff keep them."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import nats
from stack import Running, eventually

from common import authorize, bus
from common.authorize import AuthorizeAnswer, AuthorizeQuestion
from common.database import PLATFORM
from common.events import PartnerChanged
from identity.tables import Card, Partner

from .support import ANSWERED_S, made, new_operator, problem
from .test_entities import told

STAFF = ("partners:read", "partners:write", "cards:read", "cards:write")
MATCH = {"If-Match": "*"}
NOTES = """
select body from identity.audit_personal join identity.audit_entry using (note_id)
where row_key->>'id' = $1
"""


async def asked(identity: Running, operator: UUID, uid: str) -> AuthorizeAnswer:
    client = await nats.connect(identity.nats_url)
    try:
        question = AuthorizeQuestion(operator_id=operator, station_id="CP-1", id_token=uid)
        reply = await bus.ask(client, authorize.SUBJECT, question, ANSWERED_S)
    finally:
        await client.close()
    return AuthorizeAnswer.model_validate_json(reply)


async def test_a_partner_is_made_changed_listed_and_told(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *STAFF) as staff:
        row = await made(staff, "/v1/partners", name="Cambio", email="Ops@Cambio.example")
        assert (row["mode"], row["fallback"], row["prefixes"]) == ("list", "list", [])
        assert row["email"] == "ops@cambio.example"
        problem(
            await staff.post("/v1/partners", json={"name": "Cambio"}), 409, "partner-name-taken"
        )
        path = f"/v1/partners/{row['id']}"
        changed = await staff.patch(
            path, json={"prefixes": ["cam"], "active": False}, headers={"If-Match": '"1"'}
        )
        assert (changed.json()["prefixes"], changed.json()["version"]) == (["CAM"], 2)
        stale = await staff.patch(path, json={"active": True}, headers={"If-Match": '"1"'})
        problem(stale, 412, "version-changed")
        assert (await staff.get("/v1/partners", params={"active": True})).json()["items"] == []
        found = (await staff.get("/v1/partners", params={"mode": "list"})).json()["items"]
        assert [one["id"] for one in found] == [row["id"]]
    events = await told(identity, PartnerChanged, "partner_id", UUID(row["id"]), 2)
    assert [(one.version, one.active) for one in events] == [(1, True), (2, False)]


async def test_real_time_needs_an_endpoint_and_a_secret_that_is_shown_once_and_sealed(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *STAFF) as staff:
        row = await made(staff, "/v1/partners", name="Flinkster")
        path = f"/v1/partners/{row['id']}"
        ready = {"mode": "real_time", "endpoint": "https://cards.example/authorize"}
        refused = await staff.patch(path, json=ready, headers=MATCH)
        problem(refused, 422, "real-time-incomplete")
        first = await staff.post(f"{path}/secret")
        assert first.headers["cache-control"] == "no-store"
        secret = first.json()["secret"]
        assert (await staff.post(f"{path}/secret")).json()["secret"] != secret
        assert (await staff.patch(path, json=ready, headers=MATCH)).status_code == 200
        assert secret not in (await staff.get(path)).text
        for odd in ("ftp://cards.example/", "https://user:word@cards.example/", "nothing"):
            refused = await staff.patch(path, json={"endpoint": odd}, headers=MATCH)
            problem(refused, 422, "endpoint-refused")
        problem(await staff.post(f"/v1/partners/{operator}/secret"), 404, "not-found")
    url = str(identity.app.state.parts.settings.database_url)
    raw = await asyncpg.connect(url)
    kept = await raw.fetchval("select secret from identity.partner where id = $1", UUID(row["id"]))
    assert secret.encode() not in kept

    async def noted() -> Any:
        found = await raw.fetch(NOTES, row["id"])
        return [one["body"] for one in found] if len(found) == 4 else None

    notes = await eventually(noted)
    assert sum('"secret"' in one for one in notes) == 3
    assert all(kept.hex() not in one for one in notes)
    await raw.close()


async def test_an_inactive_partners_cards_are_refused(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *STAFF) as staff:
        row = await made(staff, "/v1/partners", name="Off")
        async with identity.app.state.connections.begin(operator) as db:
            values: dict[str, Any] = {"kind": "rfid", "label": "", "active": True}
            db.add(Card(operator_id=operator, uid="P1", partner_id=UUID(row["id"]), **values))
        answer = await asked(identity, operator, "P1")
        assert answer.holder
        assert answer.holder.partner_id == UUID(row["id"])
        assert "tariff" in answer.why
        off = {"active": False}
        await staff.patch(f"/v1/partners/{row['id']}", json=off, headers=MATCH)
    refused = await asked(identity, operator, "P1")
    assert (refused.status, "not active" in refused.why) == ("Blocked", True)


async def test_another_operator_finds_no_partner_of_ours(identity: Running, operator: UUID) -> None:
    other = await new_operator(identity, "Other")
    async with identity.as_(operator, *STAFF) as staff, identity.as_(other, *STAFF) as rival:
        row = await made(staff, "/v1/partners", name="Ours")
        path = f"/v1/partners/{row['id']}"
        for refused in await asyncio.gather(
            rival.get(path),
            rival.post(f"{path}/secret"),
            rival.patch(path, json={"active": False}, headers=MATCH),
        ):
            problem(refused, 404, "not-found")
        assert (await rival.get("/v1/partners")).json()["items"] == []
    async with identity.app.state.connections.begin(PLATFORM) as db:
        kept = await db.get(Partner, UUID(row["id"]))
        assert kept
        assert (kept.secret, kept.active) == (None, True)
