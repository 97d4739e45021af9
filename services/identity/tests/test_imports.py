"""Imports: what they show, what they do, and that they do it whole or not at all."""

import asyncio
import io
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from openpyxl import Workbook
from sqlalchemy import text
from stack import Running, eventually

from common import imports as incoming
from common.clock import now
from common.database import PLATFORM
from common.events import CardsImported, CardState, UsersImported
from common.exports import XLSX
from identity.people import import_sql, imports

from .support import made, new_operator, problem, told_strategy
from .test_entities import events
from .test_people import SCOPES

HEADER = "external_id;name;email;groups;uid;label;company;cost_centre;monthly_cap;blocked_reason\n"
FILE = (
    HEADER
    + "1;Ada;ada@example.org;Night|Day;04:A1;Blue;ACME;4711;250,00;\n"
    + "1;;;;04A2;Red;;;;lost\n"
    + "2;Bob;;;;;;;;\n"
    + ";;;;04A3;Pool;ACME;;;\n"
)


async def send(
    staff: httpx.AsyncClient, file: str | bytes, kind: str = "text/csv", **params: Any
) -> httpx.Response:
    content = file.encode() if isinstance(file, str) else file
    headers = {"Content-Type": kind}
    return await staff.post("/v1/imports/people", content=content, headers=headers, params=params)


async def shown(staff: httpx.AsyncClient, file: str | bytes, **params: Any) -> dict[str, Any]:
    answer = await send(staff, file, **params)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def applied(staff: httpx.AsyncClient, file: str | bytes, **params: Any) -> dict[str, Any]:
    one = await shown(staff, file, **params)
    answer = await staff.post(f"/v1/imports/{one['id']}/apply")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def rows(staff: httpx.AsyncClient, one: dict[str, Any], **params: Any) -> list[Any]:
    answer = await staff.get(f"/v1/imports/{one['id']}/rows", params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def listed(staff: httpx.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    return list((await staff.get(path, params=params)).json()["items"])


async def furnish(staff: httpx.AsyncClient) -> dict[str, str]:
    """The groups, the company and the cost centre that FILE names; their ids."""
    company = await made(staff, "/v1/companies", name="Acme", external_id="ACME")
    centres = f"/v1/companies/{company['id']}/cost-centres"
    centre = await made(staff, centres, code="4711", name="Sales")
    groups = [await made(staff, "/v1/user-groups", name=name) for name in ("Night", "Day")]
    return {"company": company["id"], "centre": centre["id"]} | {g["name"]: g["id"] for g in groups}


async def test_a_file_is_shown_first_and_then_applied_as_it_was_shown(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        ids = await furnish(staff)
        one = await shown(staff, FILE)
        assert one["counts"] == {
            "rows": {"bad": 0, "make": 4, "change": 0, "unchanged": 0, "deactivate": 0},
            "users": {"make": 2, "change": 0, "deactivate": 0},
            "cards": {"make": 3, "change": 0, "deactivate": 0},
        }
        assert (one["state"], one["encoding"], one["separator"]) == ("shown", "utf-8", ";")
        assert await listed(staff, "/v1/users") == []
        answer = await staff.post(f"/v1/imports/{one['id']}/apply")
        assert (answer.status_code, answer.json()["state"]) == (200, "applied"), answer.text
        ada, bob = await listed(staff, "/v1/users")
        assert (ada["name"], ada["email"], ada["active"]) == ("Ada", "ada@example.org", True)
        assert (set(ada["group_ids"]), ada["cards"]) == ({ids["Night"], ids["Day"]}, 2)
        assert (bob["name"], bob["group_ids"], bob["cards"]) == ("Bob", [], 0)
        blue, red, pool = await listed(staff, "/v1/cards")
        assert (blue["uid"], blue["user_id"], blue["active"]) == ("04A1", ada["id"], True)
        assert (blue["company_id"], blue["cost_centre_id"]) == (ids["company"], ids["centre"])
        assert blue["monthly_cap"] == "250.00"
        assert (red["user_id"], red["active"], red["blocked_reason"]) == (ada["id"], False, "lost")
        assert (pool["user_id"], pool["company_id"]) == (None, ids["company"])
        again = await staff.post(f"/v1/imports/{one['id']}/apply")
        problem(again, 409, "import-applied")
        same = await shown(staff, FILE)
        assert same["counts"]["rows"]["unchanged"] == 4
        assert await rows(staff, same) == []


async def test_others_are_told_of_all_that_was_imported(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        await applied(staff, FILE)
        users, all_cards = [await listed(staff, f"/v1/{noun}") for noun in ("users", "cards")]

    async def told() -> list[Any]:
        kinds = (UsersImported, CardsImported)
        found = [await events(identity, kind, "operator_id", operator) for kind in kinds]
        return found if all(found) else []

    [[people], [tokens]] = await eventually(told)
    assert {(str(one.user_id), one.name, one.version) for one in people.users} == {
        (one["id"], one["name"], 1) for one in users
    }
    groups = {str(one.user_id): {str(group) for group in one.group_ids} for one in people.users}
    assert groups == {one["id"]: set(one["group_ids"]) for one in users}
    named = {"uid", "label", "active", "monthly_cap", "version"}
    dumped = [one.model_dump(mode="json") for one in tokens.cards]
    assert {one["card_id"]: {name: one[name] for name in named} for one in dumped} == {
        one["id"]: {name: one[name] for name in named} for one in all_cards
    }


def test_what_is_told_of_imported_cards_is_all_there_is_to_tell() -> None:
    assert all(
        f"c.{name}" in import_sql.CARDS_NOW for name in CardState.model_fields.keys() - {"card_id"}
    )


async def test_a_change_is_shown_field_by_field(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        await applied(staff, FILE)
        changed = FILE.replace("1;Ada;ada@example.org;Night|Day", "1;Ada L.;;Day")
        changed = changed.replace("2;Bob;;;;;;;;", "2;;;;04a2;Green;;;;")
        changed = changed.replace("1;;;;04A2;Red;;;;lost\n", "")
        one = await shown(staff, changed)
        first, second = await rows(staff, one, outcome="change")
        assert (first["line"], first["external_id"], first["card"]) == (2, "1", None)
        assert first["user"]["fields"] == {
            "name": {"before": "Ada", "after": "Ada L."},
            "email": {"before": "ada@example.org", "after": None},
            "groups": {"before": ["Day", "Night"], "after": ["Day"]},
        }
        assert (second["line"], second["uid"]) == (3, "04A2")
        assert second["card"]["fields"] == {
            "label": {"before": "Red", "after": "Green"},
            "external_id": {"before": "1", "after": "2"},
        }
        await staff.post(f"/v1/imports/{one['id']}/apply")
        ada, bob = await listed(staff, "/v1/users")
        assert (ada["name"], ada["email"], ada["version"]) == ("Ada L.", None, 2)
        assert len(ada["group_ids"]) == 1
        red = (await listed(staff, "/v1/cards", uid="04A2"))[0]
        # Blocked it stays: a file never unblocks.
        assert (red["user_id"], red["active"], red["blocked_reason"]) == (bob["id"], False, "lost")


async def test_columns_that_a_file_has_not_stay_as_they_are(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        await applied(staff, FILE)
        one = await applied(staff, "uid;label\n04A1;Brown\n")
        assert one["counts"]["cards"] == {"make": 0, "change": 1, "deactivate": 0}
        before = {"label": "Brown", "monthly_cap": "250.00", "version": 2}
        [card] = await listed(staff, "/v1/cards", uid="04A1")
        assert {name: card[name] for name in before} == before
        assert card["company_id"] and card["cost_centre_id"] and card["user_id"]


async def test_bad_rows_are_told_and_only_skipped_if_said_so(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        bad = (
            "1;Ada;no address;;A1;;;;;\n"  # 2
            "2;Bob;;Nobody's;A2;;;;;\n"  # 3
            "2;;;;A3;;;;;\n"  # 4: with its user
            "3;;;;;;;;;\n"  # 5: nameless
            "4;Dan;;;A4;;Nowhere;;;\n"  # 6
            "5;Eve;;;A5;;ACME;99;;\n"  # 7
            "6;Fay;;;A6;;;4711;;\n"  # 8
            "7;Gus;;;A7;;;;;\n"
        )
        one = await shown(staff, HEADER + bad)
        found = await rows(staff, one, outcome="bad")
        assert [(row["line"], row["faults"][0]["column"]) for row in found] == [
            (2, "email"), (3, "groups"), (4, "groups"), (5, "name"), (6, "company"),
            (7, "cost_centre"), (8, "cost_centre"),
        ]  # fmt: skip
        assert found[0]["faults"][0]["value"] == "no address"
        path = f"/v1/imports/{one['id']}/apply"
        problem(await staff.post(path), 409, "bad-rows")
        assert (await staff.post(path, params={"skip_bad": True})).status_code == 200
        assert [user["name"] for user in await listed(staff, "/v1/users")] == ["Gus"]
        full = await shown(staff, HEADER + bad, mode="full")
        skipped = await staff.post(f"/v1/imports/{full['id']}/apply", params={"skip_bad": True})
        problem(skipped, 409, "bad-rows")


async def test_a_full_file_switches_off_whom_it_has_not(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        await applied(staff, FILE)
        own = await made(staff, "/v1/users", name="Of the house")
        await made(staff, "/v1/cards", uid="HOUSE", user_id=own["id"])
        one = await applied(staff, "external_id;uid\n1;04A2\n", mode="full")
        assert one["counts"]["users"]["deactivate"] == 1
        assert one["counts"]["cards"]["deactivate"] == 1
        gone = await rows(staff, one, outcome="deactivate")
        assert [(row["line"], row["external_id"], row["uid"]) for row in gone] == [
            (None, "2", None), (None, "1", "04A1"),
        ]  # fmt: skip
        active = {user["name"]: user["active"] for user in await listed(staff, "/v1/users")}
        assert active == {"Ada": True, "Bob": False, "Of the house": True}
        held = {card["uid"]: card["active"] for card in await listed(staff, "/v1/cards")}
        assert held == {"04A1": False, "04A2": False, "04A3": True, "HOUSE": True}


@pytest.mark.parametrize("what", ["card", "user", "came", "group", "erased row"])
async def test_what_changed_since_it_was_shown_makes_an_import_void(
    identity: Running, operator: UUID, what: str
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        ids = await furnish(staff)
        await applied(staff, "external_id;name;uid\n1;Ada;04A1\n")
        change = "external_id;name;uid;label;groups\n1;Eda;04A1;Blue;\n2;Bob;04A2;;Night\n"
        one = await shown(staff, change)
        [ada], [card] = await listed(staff, "/v1/users"), await listed(staff, "/v1/cards")
        star = {"If-Match": "*"}
        if what == "card":
            await staff.patch(f"/v1/cards/{card['id']}", json={"label": "x"}, headers=star)
        elif what == "user":
            await staff.put(f"/v1/user-groups/{ids['Day']}/members/{ada['id']}")
        elif what == "came":
            await made(staff, "/v1/cards", uid="04a2")
        elif what == "group":
            await staff.delete(f"/v1/user-groups/{ids['Night']}", headers=star)
        else:
            forget = "delete from people_import_row where content ->> 'external_id' = '2'"
            async with identity.app.state.connections.begin(operator) as db:
                await db.execute(text(forget))
        before = await listed(staff, "/v1/users"), await listed(staff, "/v1/cards")
        answer = await staff.post(f"/v1/imports/{one['id']}/apply")
        problem(answer, 409, "import-outdated")
        assert (await listed(staff, "/v1/users"), await listed(staff, "/v1/cards")) == before
        if what != "group":
            await applied(staff, change)
            names = [user["name"] for user in await listed(staff, "/v1/users")]
            assert names == ["Eda", "Bob"]


async def test_cards_that_are_not_to_be_moved_by_a_file_are_bad_rows(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        ids = await furnish(staff)
        await made(staff, "/v1/companies", name="Other", external_id="OTHER")
        strategy = await told_strategy(identity, operator)
        await made(staff, "/v1/cards", uid="MASTER", company_id=ids["company"], company_master=True)
        await made(staff, "/v1/cards", uid="OWN", accounting_strategy_id=strategy)
        await made(staff, "/v1/cards", uid="0" * 36, kind="app")
        lines = f"uid;company\nMASTER;OTHER\nOWN;OTHER\n{'1' * 36};\n{'0' * 36};OTHER\n"
        one = await shown(staff, lines)
        found = await rows(staff, one, outcome="bad")
        assert [(row["line"], row["faults"][0]["column"]) for row in found] == [
            (2, "company"), (3, "company"), (4, "uid"),
        ]  # fmt: skip
        assert one["counts"]["rows"]["change"] == 1


async def test_an_export_of_cards_changes_nothing_when_it_is_imported(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        await applied(staff, FILE.replace("Ada", "=Ada").replace(";Blue;", ";'+1;"))
        for kind, name in (("text/csv", "csv"), (XLSX, "xlsx")):
            file = await staff.get("/v1/cards/export", params={"format": name})
            answer = await send(staff, file.content, kind)
            counts = answer.json()["counts"]["rows"]
            assert (counts["unchanged"], sum(counts.values())) == (3, 3), answer.text


async def test_a_spreadsheet_is_imported_like_csv(identity: Running, operator: UUID) -> None:
    book = Workbook()
    for row in (("external_id", "name", "uid"), ("1", "Ada", "04A1"), ("2", "Bob", 4123456)):
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    async with identity.as_(operator, *SCOPES) as staff:
        answer = await send(staff, file.getvalue(), XLSX)
        assert answer.json()["counts"]["rows"]["make"] == 1
        [bad] = await rows(staff, answer.json(), outcome="bad")
        assert "zeros at its beginning are lost" in bad["faults"][0]["why"]


async def test_files_that_are_none_are_refused(
    identity: Running, operator: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        unreadable = await send(staff, 'uid;name\nA;"B\n')
        problem(unreadable, 422, "file-unreadable")
        assert unreadable.json()["line"] == 2
        problem(await send(staff, "{}", "application/json"), 415, "file-type-unknown")
        monkeypatch.setattr(incoming, "FILE_BYTES_MAX", 1000)
        problem(await send(staff, "x" * 1001), 413, "file-too-large")
        monkeypatch.setattr(incoming, "AT_ONCE_MAX", 0)
        problem(await send(staff, "uid\nA"), 503, "imports-busy")
    assert not incoming.UNDER_WAY


async def test_another_operator_sees_no_import_and_names_no_other_ones_people(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SCOPES) as staff:
        await furnish(staff)
        one = await shown(staff, FILE)
        await applied(staff, "external_id;name;uid\n1;Ada;04A1\n")
        async with identity.as_(await new_operator(identity), *SCOPES) as other:
            for method, path in (("GET", ""), ("GET", "/rows"), ("POST", "/apply")):
                answer = await other.request(method, f"/v1/imports/{one['id']}{path}")
                problem(answer, 404, "not-found")
            mine = await shown(other, "external_id;name;uid;groups\n1;Eve;04A1;\n")
            assert mine["counts"]["users"]["make"] == mine["counts"]["cards"]["make"] == 1
            [bad] = await rows(other, await shown(other, "external_id;name;groups\n1;E;Night"))
            assert bad["outcome"] == "bad"


async def test_imports_are_forgotten_after_a_week(identity: Running, operator: UUID) -> None:
    connections = identity.app.state.connections
    async with identity.as_(operator, *SCOPES) as staff:
        old, young = [await shown(staff, "external_id;name\n1;Ada") for _ in range(2)]
        async with connections.begin(PLATFORM) as db:
            age = text("update people_import set made_at = :then where id = :id")
            await db.execute(age, {"id": old["id"], "then": now() - timedelta(days=7, minutes=1)})
        await imports.prune_once(connections)
        assert (await staff.get(f"/v1/imports/{old['id']}")).status_code == 404
        assert len(await rows(staff, young)) == 1
        async with connections.begin(PLATFORM) as db:
            left = text("select count(*) from people_import_row where import_id = :id")
            assert await db.scalar(left, {"id": old["id"]}) == 0


async def test_some_thousand_are_imported_while_others_are_served(
    identity: Running, operator: UUID
) -> None:
    lines = [f"{n % 1500};User {n % 1500};{n:014X};rfid" for n in range(3000)]
    file = "external_id;name;uid;card_kind\n" + "\n".join(lines)
    async with identity.as_(operator, *SCOPES) as staff:
        importing = asyncio.create_task(applied(staff, file))
        served = 0
        while not importing.done():
            assert (await staff.get("/v1/users", params={"limit": 1})).status_code == 200
            served += 1
        counts = (await importing)["counts"]
        assert (counts["users"]["make"], counts["cards"]["make"]) == (1500, 3000)
        assert served > 10

    async def told() -> bool:
        found = await events(identity, CardsImported, "operator_id", operator)
        return sum(len(event.cards) for event in found) == 3000

    await eventually(told)
