"""Lists of cards that partners push in parts and apply in one go."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text
from stack import Running, eventually, published

from common.clock import now
from common.database import PLATFORM
from common.events import CardsImported
from identity.partners import lists

from .partnership import (
    NDJSON,
    STAFF,
    applied,
    begun,
    lines,
    partnership,
    pushed,
    sent,
    uids,
)
from .support import made, problem
from .test_partners import MATCH

CARDS = "/v1/partner/cards"


async def shown(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    items = (await client.get(CARDS, params={"limit": 500, **wanted})).json()["items"]
    return {one["uid"]: one for one in items}


async def told(identity: Running, operator: UUID) -> list[tuple[str, bool, int]]:
    """Each card of each import so far, in the order of their uids."""
    bodies = await published(identity.nats_url, CardsImported.subject)
    events = [CardsImported.model_validate_json(body) for body in bodies]
    return sorted(
        (card.uid, card.active, card.version)
        for event in events
        if event.operator_id == operator
        for card in event.cards
    )


async def count(identity: Running, query: str, **values: Any) -> int:
    async with identity.app.state.connections.begin(PLATFORM) as db:
        return int(await db.scalar(text(query), values))


async def test_a_full_list_makes_changes_and_blocks_and_touches_nothing_else(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        assert await pushed(client, "1", uids("A", "B", "C", "D")) == (4, 0, 0, 0)
        second = lines({"uid": "A"}, {"uid": "B", "label": "new"}, {"uid": "C"}, {"uid": "E"})
        assert await pushed(client, "2", second) == (1, 1, 1, 2)
        cards = await shown(client)
        assert {uid: one["version"] for uid, one in cards.items()} == {
            "A": 1, "B": 2, "C": 1, "D": 2, "E": 1,
        }  # fmt: skip
        assert cards["D"]["blocked_reason"] == "no longer in the partner's list"
        assert await pushed(client, "3", uids("A", "B", "C", "D", "E")) == (0, 2, 0, 3)
        assert (await shown(client))["D"]["active"]

    async def all_told() -> Any:
        found = await told(identity, operator)
        return found if len(found) == 9 else []

    assert await eventually(all_told) == [
        ("A", True, 1), ("B", True, 1), ("B", True, 2), ("B", True, 3), ("C", True, 1),
        ("D", False, 2), ("D", True, 1), ("D", True, 3), ("E", True, 1),
    ]  # fmt: skip


async def test_a_delta_leaves_the_others_as_they_are(identity: Running, operator: UUID) -> None:
    async with partnership(identity, operator) as client:
        await pushed(client, "1", uids("A", "B"))
        change = lines({"uid": "A", "active": False, "blocked_reason": "lost"}, {"uid": "C"})
        assert await pushed(client, "2", change, mode="delta") == (1, 1, 0, 0)
        cards = await shown(client)
        assert {uid: one["active"] for uid, one in cards.items()} == {
            "A": False, "B": True, "C": True,
        }  # fmt: skip
        assert cards["A"]["blocked_reason"] == "lost"


async def test_parts_are_resumed_repeated_and_never_overwritten(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        path = await begun(client, "key", total=4)
        again = await client.post(
            "/v1/partner/lists",
            json={"mode": "full", "total": 4},
            headers={"Idempotency-Key": "key"},
        )
        assert (again.status_code, again.json()["id"]) == (200, path.rpartition("/")[2])
        other = await client.post(
            "/v1/partner/lists", json={"mode": "delta"}, headers={"Idempotency-Key": "key"}
        )
        problem(other, 409, "list-key-reused")
        assert (await sent(client, path, 2, uids("C", "D"))).status_code == 201
        refused = await client.post(f"{path}/apply", json={"parts": 2})
        problem(refused, 409, "parts-missing")
        assert (refused.json()["missing"], refused.json()["beyond"]) == ([1], [])
        there = (await client.get(path)).json()
        assert [(one["number"], one["cards"]) for one in there["parts"]] == [(2, 2)]
        assert (await sent(client, path, 2, uids("C", "D"))).status_code == 200
        problem(await sent(client, path, 2, uids("C", "X")), 409, "part-differs")
        twice = await sent(client, path, 1, uids("A", "C"))
        problem(twice, 422, "part-refused")
        assert twice.json()["errors"] == [
            {"line": 2, "member": "uid", "why": "is in another part of this list"}
        ]
        assert (await sent(client, path, 1, uids("A"))).status_code == 201
        short = await client.post(f"{path}/apply", json={"parts": 2})
        problem(short, 409, "parts-missing")
        assert short.json()["cards"] == 3
        assert (await sent(client, path, 3, uids("B"))).status_code == 201
        answers = [await applied(client, path, 3) for _ in range(2)]
        assert answers == [(4, 0, 0, 0)] * 2
        problem(await sent(client, path, 4, uids("E")), 409, "list-applied")
        problem(await client.delete(path), 409, "list-applied")
        assert (await client.get(path)).json()["result"]["made"] == 4
        listed = (await client.get("/v1/partner/lists")).json()["items"]
        assert [(one["id"], one["expires_at"]) for one in listed] == [(again.json()["id"], None)]


async def test_a_part_with_bad_lines_is_refused_whole(identity: Running, operator: UUID) -> None:
    async with partnership(identity, operator) as client:
        path = await begun(client, "key")
        refused = await sent(client, path, 1, uids("A") + b'{"uid": "B", "kind": "x"}\n{\n')
        problem(refused, 422, "part-refused")
        errors = [(one["line"], one["member"]) for one in refused.json()["errors"]]
        assert (refused.json()["bad_lines"], errors) == (2, [(2, "kind"), (3, None)])
        assert (await client.get(path)).json()["parts"] == []
        for headers in ({}, NDJSON | {"Content-Encoding": "gzip"}):
            odd = await client.put(f"{path}/parts/1", content=uids("A"), headers=headers)
            problem(odd, 415, "part-not-ndjson")
        large = await sent(client, path, 1, b" " * (16 * 2**20 + 1))
        problem(large, 413, "part-too-large")
        for number in (0, 1001):
            assert (await sent(client, path, number, uids("A"))).status_code == 422


async def test_a_list_that_blocks_more_than_half_needs_a_yes(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        await pushed(client, "1", uids("A", "B", "C", "D"))
        assert await pushed(client, "half", uids("A", "B")) == (0, 0, 2, 2)
        path = await begun(client, "empty")
        refused = await client.post(f"{path}/apply", json={"parts": 0})
        problem(refused, 409, "confirm-needed")
        assert (refused.json()["would_block"], refused.json()["active"]) == (2, 2)
        assert (await shown(client))["A"]["active"]
        said = await begun(client, "said")
        off = [{"uid": "A", "active": False}, {"uid": "B", "active": False}]
        await sent(client, said, 1, lines(*off))
        refused = await client.post(f"{said}/apply", json={"parts": 1})
        problem(refused, 409, "confirm-needed")
        assert await applied(client, said, 1, confirm=True) == (0, 2, 0, 0)


async def test_an_older_list_is_not_applied_over_a_newer_one(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        old, new = await begun(client, "old"), await begun(client, "new")
        for path in (old, new):
            await sent(client, path, 1, uids(path[-4:], "SAME"))
        assert await applied(client, new, 1) == (2, 0, 0, 0)
        refused = await client.post(f"{old}/apply", json={"parts": 1})
        problem(refused, 409, "list-outdated")
        assert (await shown(client)).keys() == {new[-4:].upper(), "SAME"}
        # Begun before another was applied, but after it was begun: it says what holds.
        third, fourth = await begun(client, "3"), await begun(client, "4")
        await sent(client, third, 1, lines({"uid": "SAME", "label": "third"}, {"uid": "Z"}))
        await sent(client, fourth, 1, lines({"uid": "SAME", "label": "fourth"}))
        await applied(client, third, 1)
        assert await applied(client, fourth, 1) == (0, 1, 1, 0)
        assert (await shown(client))["SAME"]["label"] == "fourth"


async def test_what_was_said_of_a_card_since_the_list_was_begun_stays(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        await pushed(client, "1", uids("A", "B", "C", "D"))
        await client.post(f"{CARDS}/D/block")
        path = await begun(client, "2")
        await client.post(f"{CARDS}/A/block", json={"reason": "lost"})
        await client.put(f"{CARDS}/B", json={})
        await client.post(f"{CARDS}/D/block")  # is, but again
        await sent(client, path, 1, uids("A", "C", "D"))
        assert await applied(client, path, 1) == (0, 0, 0, 3)
        cards = await shown(client)
        assert {uid: one["active"] for uid, one in cards.items()} == {
            "A": False, "B": True, "C": True, "D": False,
        }  # fmt: skip


async def test_nothing_of_a_list_with_somebody_elses_card_holds(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *STAFF) as staff, partnership(identity, operator) as client:
        own = await made(staff, "/v1/cards", uid="OWN")
        path = await begun(client, "1")
        await sent(client, path, 1, uids("A", "OWN"))
        refused = await client.post(f"{path}/apply", json={"parts": 1})
        problem(refused, 409, "card-not-yours")
        assert refused.json()["uids"] == ["OWN"]
        assert await shown(client) == {}
        assert (await staff.get(f"/v1/cards/{own['id']}")).json() == own


async def test_a_card_that_the_operator_blocked_stays_blocked(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *STAFF) as staff, partnership(identity, operator) as client:
        await pushed(client, "1", uids("A", "B"))
        card = (await shown(client))["A"]
        reason = {"active": False, "blocked_reason": "vandalism"}
        await staff.patch(f"/v1/cards/{card['id']}", json=reason, headers=MATCH)
        assert await pushed(client, "2", uids("A", "B")) == (0, 0, 0, 2)
        assert (await shown(client))["A"]["blocked_reason"] == "vandalism"


async def test_lists_are_ones_own_and_bounded(identity: Running, operator: UUID) -> None:
    async with (
        partnership(identity, operator, "One") as one,
        partnership(identity, operator, "Two") as two,
    ):
        path = await begun(one, "1")
        for answer in (
            await two.get(path),
            await sent(two, path, 1, uids("A")),
            await two.post(f"{path}/apply", json={"parts": 0}),
            await two.delete(path),
        ):
            problem(answer, 404, "not-found")
        assert (await two.get("/v1/partner/lists")).json()["items"] == []
        for number in range(2, 6):
            await begun(one, str(number))
        key = {"Idempotency-Key": "6"}
        refused = await one.post("/v1/partner/lists", json={"mode": "full"}, headers=key)
        problem(refused, 409, "too-many-lists")
        assert (await one.delete(path)).status_code == 204
        problem(await one.get(path), 404, "not-found")
        await begun(one, "6")
        none = await one.post("/v1/partner/lists", json={"mode": "full"})
        assert none.status_code == 422


async def test_two_applies_at_once_are_one(identity: Running, operator: UUID) -> None:
    async with partnership(identity, operator) as client:
        path = await begun(client, "1")
        await sent(client, path, 1, uids(*(f"{n:X}" for n in range(3000))))
        answers = await asyncio.gather(
            *(client.post(f"{path}/apply", json={"parts": 1}) for _ in range(4))
        )
        assert {one.status_code for one in answers} <= {200, 409}
        for one in answers:
            if one.status_code == 409:
                problem(one, 409, "apply-under-way")
        assert {one.json()["made"] for one in answers if one.status_code == 200} == {3000}
        assert await applied(client, path, 1) == (3000, 0, 0, 0)
        assert len(await shown(client)) == 500

    async def all_told() -> bool:
        return len(await told(identity, operator)) == 3000

    await eventually(all_told)


async def test_the_audit_log_has_one_entry_a_list(identity: Running, operator: UUID) -> None:
    async with partnership(identity, operator) as client:
        await pushed(client, "1", uids("A", "B"))
        await client.put(f"{CARDS}/C", json={})
    query = (
        "select count(*) from audit_entry where operator_id = :operator and table_name = :name "
        "and actor->>'role' = 'partner'"
    )

    async def noted(name: str) -> int:
        return await count(identity, query, operator=operator, name=name)

    async def all_noted() -> bool:
        return (await noted("partner_list"), await noted("card")) >= (2, 1)  # begun and applied

    await eventually(all_noted)
    assert (await noted("partner_list"), await noted("card")) == (2, 1)


async def test_what_no_list_needs_any_more_is_deleted(identity: Running, operator: UUID) -> None:
    staged = "select count(*) from partner_list_card where operator_id = :operator"
    kept = "select count(*) from partner_list where operator_id = :operator"
    async with partnership(identity, operator) as client:
        await pushed(client, "applied", uids("A"))
        given_up, stale = await begun(client, "given-up"), await begun(client, "stale")
        fresh = await begun(client, "fresh")
        for path in (given_up, stale, fresh):
            await sent(client, path, 1, uids("A", "B"))
        await client.delete(given_up)
        async with identity.app.state.connections.begin(PLATFORM) as db:
            await db.execute(
                text("update partner_list set made_at = :then where id = :id"),
                {"then": now() - timedelta(days=8), "id": UUID(stale.rpartition("/")[2])},
            )
        problem(await client.post(f"{stale}/apply", json={"parts": 1}), 404, "not-found")
        assert await count(identity, staged, operator=operator) == 7
        await lists.prune_once(identity.app.state.connections)
        assert await count(identity, staged, operator=operator) == 2
        assert await count(identity, kept, operator=operator) == 2
        assert await applied(client, fresh, 1) == (1, 0, 0, 1)
