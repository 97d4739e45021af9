"""What people change is noted: who, from where, before and after; secrets never."""

import json
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from stack import Running, eventually

from common.database import PLATFORM
from identity.audit.chain import first_broken, forget

from .support import ALL, made, nothing_queued


async def notes(identity: Running, operator: UUID) -> list[Any]:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        statement = text(
            "select e.*, nullif(p.body::jsonb -> 'before', 'null') as before, "
            "p.body::jsonb -> 'after' as after "
            "from audit_entry e join audit_personal p using (note_id) "
            "where e.operator_id = :of order by seq"
        )
        return list((await db.execute(statement, {"of": operator})).all())


async def cards(identity: Running, operator: UUID) -> list[Any]:
    return [one for one in await notes(identity, operator) if one.table_name == "card"]


async def test_changes_by_rest_are_noted_with_who_and_where(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        card = await made(client, "/v1/cards", uid="04A2B3C4")
        answer = await client.patch(
            f"/v1/cards/{card['id']}",
            json={"kind": "app"},
            headers={"If-Match": '"1"', "X-Request-Id": "asked-so"},
        )
        assert answer.status_code == 200, answer.text
        refused = await client.post("/v1/cards", json={"uid": "04A2B3C4"})
        assert refused.status_code == 409

    async def both() -> bool:
        return len(await cards(identity, operator)) >= 2

    await eventually(both)
    added, changed = await cards(identity, operator)
    await tampering_is_found(identity, operator)
    async with identity.as_(operator, "audit:read") as client:
        page = (await client.get("/v1/audit", params={"table_name": "card"})).json()
        assert [one["what"] for one in page["items"]] == ["card changed", "card added"]
        assert (await client.get("/v1/audit/head")).json()["seq"] >= 2
        whole = (await client.get("/v1/audit/verification")).json()
        assert (whole["first_broken"], whole["complete"]) == (None, True)
        onward = await client.get("/v1/audit/verification", params={"after": 1})
        assert onward.json()["verified_to"] == whole["verified_to"] >= 2
        for name, value, found in (
            ("key", card["id"], 2), ("key", str(uuid4()), 0), ("until", "2020-01-01T00:00:00Z", 0),
            ("actor", str(uuid4()), 0), ("action", "update", 1),
        ):  # fmt: skip
            asked = {"table_name": "card", name: value}
            listed = (await client.get("/v1/audit", params=asked)).json()["items"]
            assert len(listed) == found, name
    assert (added.table_name, added.action, added.before) == ("card", "insert", None)
    assert added.after["uid"] == "04A2B3C4"
    assert added.row_key == changed.row_key == {"id": card["id"]}
    assert (changed.before, changed.after) == ({"kind": "rfid"}, {"kind": "app"})
    assert changed.actor["request_id"] == "asked-so"
    assert changed.actor["ip"] == "127.0.0.1"
    assert changed.actor["sub"]


async def test_secrets_are_masked_and_nothing_is_noted_without_an_actor(
    identity: Running, operator: UUID
) -> None:
    planted = "planted-secret-" + uuid4().hex
    # That the operator was made is noted in a moment, and so is what earlier tests did to logins.
    await eventually(lambda: notes(identity, operator))
    await nothing_queued(identity)
    start = len(await notes(identity, operator))
    change = text("update login set password_hash = :secret")
    async with identity.app.state.connections.begin(PLATFORM) as db:
        await db.execute(change, {"secret": planted})
        await db.execute(text("select set_config('csms.operator', :of, true)"), {"of": "*"})
        assert not await db.scalar(
            text(
                "select count(*) from change_note where table_name = 'login' and before is not null"
            )
        )
        who = json.dumps({"sub": "test"})
        await db.execute(text("select set_config('csms.actor', :who, true)"), {"who": who})
        await db.execute(change, {"secret": planted + "2"})
        found = (
            await db.execute(
                text(
                    "select before, after from change_note where table_name = 'login' "
                    "and action = 'update'"
                )
            )
        ).all()
        masked = {"password_hash": "…"}
        assert found
        assert all(tuple(row) == (masked, masked) for row in found)
        assert planted not in str(found)
        await db.rollback()
    assert len(await notes(identity, operator)) == start


async def tampering_is_found(identity: Running, operator: UUID) -> None:
    chain = {"of": str(operator)}
    where = "where chain = :of and seq = 1"
    for tamper in (
        f"update audit_entry set action = 'delete' {where}",
        f"delete from audit_entry {where}",
        f"update audit_entry set seq = 9999 {where}",
        "update audit_personal set body = '{}' where operator_id = cast(:of as uuid)",
    ):
        async with identity.app.state.connections.begin(PLATFORM) as db:
            assert await first_broken(db, str(operator)) is None
            await db.execute(text("set local role none"))
            await db.execute(text(tamper), chain)
            assert await first_broken(db, str(operator)) == 1, tamper
            await db.rollback()
    async with identity.app.state.connections.begin(PLATFORM) as db:
        key = (await cards(identity, operator))[0].row_key
        await forget(db, operator, "card", key)
        assert await first_broken(db, str(operator)) is None
        await db.rollback()
