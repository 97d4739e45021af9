"""User groups, companies with their cards, and cards that take another's place."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from stack import Running, eventually

from common.events import CardChanged

from .support import made, new_operator, problem, told_strategy
from .test_entities import events

SCOPES = tuple(
    f"{noun}:{verb}"
    for noun in ("users", "cards", "user-groups", "companies")
    for verb in ("read", "write")
)


def uid() -> str:
    return uuid4().hex[:14].upper()


async def test_users_are_put_into_groups_and_taken_out(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        group = await made(staff, "/v1/user-groups", name="Night shift")
        path = f"/v1/user-groups/{group['id']}"
        taken = await staff.post("/v1/user-groups", json={"name": "Night shift"})
        problem(taken, 409, "user-group-name-taken")
        ada, bob = [await made(staff, "/v1/users", name=name) for name in ("Ada", "Bob")]
        both = {"user_ids": [ada["id"], bob["id"], ada["id"]]}
        assert (await staff.post(f"{path}/members", json=both)).status_code == 204
        assert (await staff.post(f"{path}/members", json=both)).status_code == 204
        members = (await staff.get(f"{path}/members")).json()["items"]
        assert [(one["name"], one["version"]) for one in members] == [("Ada", 2), ("Bob", 2)]
        assert members[0]["group_ids"] == [group["id"]]
        assert (await staff.put(f"{path}/members/{ada['id']}")).status_code == 204
        assert (await staff.delete(f"{path}/members/{ada['id']}")).status_code == 204
        problem(await staff.put(f"{path}/members/{uuid4()}"), 422, "unknown-user")
        in_it = (await staff.get("/v1/users", params={"group_id": group["id"]})).json()["items"]
        assert [one["name"] for one in in_it] == ["Bob"]
        stranger = {"user_ids": [bob["id"], str(uuid4())]}
        problem(await staff.post(f"{path}/members", json=stranger), 422, "unknown-user")
        async with identity.as_(await new_operator(identity), *SCOPES) as other:
            assert (await other.post(f"{path}/members", json=both)).status_code == 404
            own = await made(other, "/v1/user-groups", name="Night shift")
            foreign = await other.post(f"/v1/user-groups/{own['id']}/members", json=both)
            problem(foreign, 422, "unknown-user")
        gone = await staff.delete(path, headers={"If-Match": '"1"'})
        assert gone.status_code == 204, gone.text
        assert (await staff.get(f"/v1/users/{bob['id']}")).json()["group_ids"] == []


async def company_of(staff: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    return await made(staff, "/v1/companies", **({"name": "Acme"} | body))


async def test_a_company_has_one_master_card_and_cost_centres_of_its_own(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        company, other = await company_of(staff), await company_of(staff)
        centres = f"/v1/companies/{company['id']}/cost-centres"
        centre = await made(staff, centres, code="4711", name="Sales")
        again = await staff.post(centres, json={"code": "4711", "name": "x"})
        problem(again, 409, "cost-centre-code-taken")
        master = {"company_id": company["id"], "company_master": True}
        strategy = await told_strategy(identity, operator)
        card = await made(staff, "/v1/cards", uid=uid(), **master, accounting_strategy_id=strategy)
        assert card["accounting_strategy_id"] == strategy
        second = await staff.post("/v1/cards", json={"uid": uid()} | master)
        problem(second, 409, "master-taken")
        user_card = {"company_id": company["id"], "cost_centre_id": centre["id"]}
        mine = await made(staff, "/v1/cards", uid=uid(), **user_card, monthly_cap="250.00")
        assert mine["monthly_cap"] == "250.00"
        found = await staff.get("/v1/cards", params={"cost_centre_id": centre["id"]})
        assert [one["id"] for one in found.json()["items"]] == [mine["id"]]
        whole = (await staff.get(f"/v1/companies/{company['id']}")).json()
        assert (whole["master_card_id"], whole["cards"], whole["cost_centres"]) == (
            card["id"], 2, 1,
        )  # fmt: skip
        for body, name in (
            (user_card | {"accounting_strategy_id": strategy}, "strategy-on-user-card"),
            (user_card | {"company_id": other["id"]}, "unknown-company"),
            ({"company_id": str(uuid4())}, "unknown-company"),
            ({"cost_centre_id": centre["id"]}, "master-of-no-company"),
            ({"company_master": True}, "master-of-no-company"),
        ):
            problem(await staff.post("/v1/cards", json={"uid": uid()} | body), 422, name)


async def test_a_card_carries_only_a_strategy_that_the_operator_has(
    identity: Running, operator: UUID
) -> None:
    foreign = await told_strategy(identity, await new_operator(identity))
    strategy = await told_strategy(identity, operator)
    off = await told_strategy(identity, operator, active=False)
    async with identity.as_(operator, *SCOPES) as staff:
        card = await made(staff, "/v1/cards", uid=uid())
        path = f"/v1/cards/{card['id']}"
        any_version = {"If-Match": "*"}
        for bad, name in (
            (str(uuid4()), "unknown-strategy"),
            (foreign, "unknown-strategy"),
            (off, "strategy-switched-off"),
        ):
            carrying = {"accounting_strategy_id": bad}
            refused = await staff.post("/v1/cards", json={"uid": uid()} | carrying)
            problem(refused, 422, name)
            assert "in a moment" in refused.json()["detail"]
            refused = await staff.patch(path, json=carrying, headers=any_version)
            problem(refused, 422, name)
        given = {"accounting_strategy_id": strategy}
        answer = await staff.patch(path, json=given, headers=any_version)
        assert (answer.status_code, answer.json()["accounting_strategy_id"]) == (200, strategy)
        # What it carries already it may be sent with, and what goes is not looked at.
        await told_strategy(identity, operator, UUID(strategy), version=2, active=False)
        for body in (given, {"label": "Blue"}, {"accounting_strategy_id": None}):
            answer = await staff.patch(path, json=body, headers=any_version)
            assert answer.status_code == 200, answer.text


async def test_a_replaced_card_gives_everything_to_the_new_one(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        company = await company_of(staff)
        user = await made(staff, "/v1/users", name="Ada")
        body = {
            "uid": uid(), "label": "Ada's", "user_id": user["id"], "company_id": company["id"],
            "company_master": True, "monthly_cap": "10.00", "group_id": "FLEET",
        }  # fmt: skip
        old = await made(staff, "/v1/cards", **body)
        path = f"/v1/cards/{old['id']}/replace"
        taken = await staff.post(path, json={"uid": body["uid"].lower()})
        problem(taken, 409, "card-uid-taken")
        new = (await staff.post(path, json={"uid": uid()})).json()
        own = {"id", "uid", "version", "replaced_by"}
        assert {k: v for k, v in new.items() if k not in own} == {
            k: v for k, v in old.items() if k not in own
        }
        gone = (await staff.get(f"/v1/cards/{old['id']}")).json()
        assert (gone["active"], gone["blocked_reason"]) == (False, "replaced")
        assert gone["replaced_by"] == new["id"]
        problem(await staff.post(path, json={"uid": uid()}), 409, "replaced-already")
        url, match = f"/v1/cards/{old['id']}", {"If-Match": "*"}
        again = await staff.patch(url, json={"active": True}, headers=match)
        problem(again, 409, "replaced-already")


async def test_a_card_is_given_to_somebody_else_and_back_to_nobody(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        ada, bob = [await made(staff, "/v1/users", name=name) for name in ("Ada", "Bob")]
        card = await made(staff, "/v1/cards", uid=uid(), user_id=ada["id"])
        path = f"/v1/cards/{card['id']}/move"
        for user, version in ((bob["id"], 2), (bob["id"], 2), (None, 3)):
            moved = await staff.post(path, json={"user_id": user})
            assert moved.status_code == 200, moved.text
            assert (moved.json()["user_id"], moved.json()["version"]) == (user, version)
            count = (await staff.get(f"/v1/users/{bob['id']}")).json()["cards"]
            assert count == (1 if user else 0)
        problem(await staff.post(path, json={"user_id": str(uuid4())}), 422, "unknown-user")

        async def told() -> list[Any]:
            found = await events(identity, CardChanged, "card_id", UUID(card["id"]))
            return found if len(found) == 3 else []

        assert [(one.version, one.user_id) for one in await eventually(told)] == [
            (1, UUID(ada["id"])), (2, UUID(bob["id"])), (3, None),
        ]  # fmt: skip


async def test_cards_are_found_by_when_they_are_valid_and_whether_replaced(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        always = await made(staff, "/v1/cards", uid=uid())
        may = {"valid_from": "2026-05-01T00:00:00Z", "valid_until": "2026-06-01T00:00:00Z"}
        in_may = await made(staff, "/v1/cards", uid=uid(), **may)
        for moment, found in (
            ("2026-04-30T23:59:59Z", [always]),
            ("2026-05-01T00:00:00Z", [always, in_may]),
            ("2026-06-01T00:00:00Z", [always]),
        ):
            items = (await staff.get("/v1/cards", params={"valid_at": moment})).json()["items"]
            assert [one["id"] for one in items] == [one["id"] for one in found], moment
        await staff.post(f"/v1/cards/{always['id']}/replace", json={"uid": uid()})
        gone = (await staff.get("/v1/cards", params={"replaced": True})).json()["items"]
        assert [one["id"] for one in gone] == [always["id"]]
        kept = (await staff.get("/v1/cards", params={"replaced": False})).json()["items"]
        assert len(kept) == 2


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"uid": "0" * 21}, "uid-too-long"),
        ({"uid": "DE-ABC-1", "kind": "emaid"}, "no-contract"),
        ({"uid": "DE-ABC-C12345678-5", "kind": "emaid"}, "no-contract"),
        ({"uid": "0" * 20}, ""),
        ({"uid": "a" * 36, "kind": "app"}, ""),
        ({"uid": "de-abc-C12345678-8", "kind": "emaid"}, ""),
    ],
)
async def test_a_uid_is_as_its_kind_has_it(
    identity: Running, operator: UUID, body: dict[str, str], name: str
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        answer = await staff.post("/v1/cards", json=body)
        if name:
            problem(answer, 422, name)
        else:
            assert (answer.status_code, answer.json()["uid"]) == (201, body["uid"].upper())


async def test_people_and_cards_are_found_by_a_part_of_what_they_are_called(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await made(staff, "/v1/users", name="Ada Lovelace", email="ada@example.org")
        await made(staff, "/v1/users", name="100% Bob", external_id="B_1")
        mine = uid()
        await made(staff, "/v1/cards", uid=mine, label="Blue one")
        for text, names in (
            ("LOVE", ["Ada Lovelace"]),
            ("0%", ["100% Bob"]),
            ("%A", []),
            ("b_1", ["100% Bob"]),
        ):
            found = (await staff.get("/v1/users", params={"q": text})).json()["items"]
            assert [one["name"] for one in found] == names, text
        found = (await staff.get("/v1/cards", params={"q": mine[2:9].lower()})).json()["items"]
        assert [one["uid"] for one in found] == [mine]
