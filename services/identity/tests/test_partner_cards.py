"""Cards that partners push one by one."""

import asyncio
from uuid import UUID

from stack import Running

from common.events import CardChanged

from .partnership import STAFF, as_partner, new_partner, partnership
from .support import made, problem
from .test_entities import told
from .test_partners import MATCH, asked

CARD = "/v1/partner/cards/04A2"


async def test_a_pushed_card_is_made_once_and_changed_only_by_something_new(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        body = {"label": "Car 7", "group_id": "fleet", "valid_until": "2030-01-01T00:00:00Z"}
        first = await client.put("/v1/partner/cards/04a2", json=body)
        assert (first.status_code, first.json()["version"]) == (201, 1)
        assert (first.json()["uid"], first.json()["group_id"]) == ("04A2", "FLEET")
        again = await client.put(CARD, json=body)
        assert (again.status_code, again.json()["version"]) == (200, 1)
        other = await client.put(CARD, json={"label": "Car 8"})
        assert (other.json()["version"], other.json()["valid_until"]) == (2, None)
        assert (await client.get(CARD)).json() == other.json()
        listed = (await client.get("/v1/partner/cards", params={"uid": "04a2"})).json()["items"]
        assert listed == [other.json()]
        problem(await client.get("/v1/partner/cards/NONE"), 404, "not-found")
    found = await told(identity, CardChanged, "card_id", UUID(first.json()["id"]), 2)
    assert [(one.version, one.label) for one in found] == [(1, "Car 7"), (2, "Car 8")]


async def test_a_card_that_cannot_be_is_refused_with_its_member(
    identity: Running, operator: UUID
) -> None:
    async with partnership(identity, operator) as client:
        for body, member in (
            ({"blocked_reason": "lost"}, "blocked_reason"),
            ({"kind": "emaid"}, "uid"),
            ({"valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"},
             "valid_until"),
        ):  # fmt: skip
            refused = await client.put(CARD, json=body)
            problem(refused, 422, "pushed-card-refused")
            assert refused.json()["member"] == member
        long = await client.put(f"/v1/partner/cards/{'A' * 21}", json={})
        problem(long, 422, "pushed-card-refused")
        assert (await client.get("/v1/partner/cards")).json()["items"] == []


async def test_a_blocked_card_is_refused_at_the_next_tap(identity: Running, operator: UUID) -> None:
    async with partnership(identity, operator) as client:
        await client.put(CARD, json={})
        assert "blocked" not in (await asked(identity, operator, "04A2")).why
        blocked = await client.post(f"{CARD}/block", json={"reason": "lost"})
        assert (blocked.json()["active"], blocked.json()["blocked_reason"]) == (False, "lost")
        answer = await asked(identity, operator, "04A2")  # the very next
        assert (answer.status, answer.why) == ("Blocked", "The card is blocked: lost.")
        assert (await client.post(f"{CARD}/block")).json()["version"] == 2
        free = await client.post(f"{CARD}/unblock")
        assert (free.json()["active"], free.json()["version"]) == (True, 3)
        assert (await client.post(f"{CARD}/unblock")).json()["version"] == 3
        problem(await client.post("/v1/partner/cards/NONE/block"), 404, "not-found")
    found = await told(identity, CardChanged, "card_id", UUID(free.json()["id"]), 3)
    assert [one.active for one in found] == [True, False, True]


async def test_nobody_elses_card_is_taken_over(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *STAFF) as staff:
        own = await made(staff, "/v1/cards", uid="04A2")
        async with (
            partnership(identity, operator, "One") as one,
            partnership(identity, operator, "Two") as two,
        ):
            await two.put("/v1/partner/cards/TWOS", json={"label": "two"})
            for uid in ("04A2", "TWOS"):
                path = f"/v1/partner/cards/{uid}"
                problem(await one.put(path, json={"label": "mine"}), 409, "card-not-yours")
                problem(await one.post(f"{path}/block"), 409, "card-not-yours")
                problem(await one.post(f"{path}/unblock"), 409, "card-not-yours")
                problem(await one.get(path), 404, "not-found")
            assert (await one.get("/v1/partner/cards")).json()["items"] == []
            assert (await two.get("/v1/partner/cards/TWOS")).json()["label"] == "two"
        assert (await staff.get(f"/v1/cards/{own['id']}")).json() == own


async def test_what_the_operator_blocked_no_partner_unblocks(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *STAFF) as staff, partnership(identity, operator) as client:
        card = (await client.put(CARD, json={})).json()
        path = f"/v1/cards/{card['id']}"
        reason = {"active": False, "blocked_reason": "vandalism"}
        await staff.patch(path, json=reason, headers=MATCH)
        problem(await client.post(f"{CARD}/unblock"), 409, "card-held")
        same = await client.put(CARD, json={"label": "new", "active": True})
        assert (same.json()["active"], same.json()["label"]) == (False, "new")
        assert (same.json()["held"], same.json()["blocked_reason"]) == (True, "vandalism")
        assert (await client.post(f"{CARD}/block", json={"reason": "x"})).json()["held"]
        await staff.patch(path, json={"active": True}, headers=MATCH)
        assert (await client.get(CARD)).json()["active"]


async def test_only_an_active_partners_key_pushes(identity: Running, operator: UUID) -> None:
    scopes = ("partner-cards:read", "partner-cards:write")
    async with identity.as_(operator, *scopes) as nobody:
        problem(await nobody.put(CARD, json={}), 403, "not-a-partner")
        problem(await nobody.get("/v1/partner/cards"), 403, "not-a-partner")
    partner = await new_partner(identity, operator)
    async with as_partner(identity, operator, partner) as client:
        await client.put(CARD, json={})
        async with identity.as_(operator, *STAFF) as staff:
            off = {"active": False}
            await staff.patch(f"/v1/partners/{partner}", json=off, headers=MATCH)
        problem(await client.put(CARD, json={}), 403, "partner-not-active")


async def test_two_pushes_at_once_make_one_card(identity: Running, operator: UUID) -> None:
    async with partnership(identity, operator) as client:
        answers = await asyncio.gather(*(client.put(CARD, json={"label": "one"}) for _ in range(8)))
        assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
        assert (await client.get(CARD)).json()["version"] == 1
