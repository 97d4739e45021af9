"""Operators, users and cards over REST, with their events and their walls."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from stack import Running, eventually, published

from common.events import CardChanged, Event, OperatorChanged, UserChanged

from .support import ALL, made, new_operator, problem


async def events(identity: Running, kind: type[Event], key: str, value: object) -> list[Any]:
    """The events of one entity so far, in the order of the stream: fewer until the relay ran."""
    bodies = await published(identity.nats_url, kind.subject)
    found = [kind.model_validate_json(body) for body in bodies]
    return [event for event in found if getattr(event, key) == value]


async def told(identity: Running, kind: type[Event], key: str, value: object, count: int) -> Any:
    """The events of one entity, once there are so many."""

    async def all_there() -> list[Any]:
        found = await events(identity, kind, key, value)
        return found if len(found) >= count else []

    return await eventually(all_there)


async def test_an_operator_is_made_changed_and_told_of(identity: Running) -> None:
    async with identity.as_(None, "operators:read", "operators:write") as client:
        operator = await made(client, "/v1/operators", name="Stadtwerke Nord")
        assert (operator["time_zone"], operator["currency"]) == ("Europe/Berlin", "EUR")
        path = f"/v1/operators/{operator['id']}"
        changed = await client.patch(
            path, json={"time_zone": "Europe/Vienna"}, headers={"If-Match": '"1"'}
        )
        assert changed.json() == operator | {"time_zone": "Europe/Vienna", "version": 2}
        read = await client.get(path)
        assert (read.headers["etag"], read.json()) == ('"2"', changed.json())

    found = await told(identity, OperatorChanged, "operator_id", UUID(operator["id"]), 2)
    assert [(e.version, e.time_zone) for e in found] == [
        (1, "Europe/Berlin"),
        (2, "Europe/Vienna"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "time_zone": "Europe/Nowhere"},
        {"name": "x", "time_zone": "../etc/passwd"},
        {"name": "x", "currency": "euro"},
        {"name": "x", "currency": "JPY"},
        {"name": "  "},
        {"name": "a\0b"},
        {"name": "x", "more": 1},
    ],
)
async def test_an_operator_that_makes_no_sense_is_refused(
    identity: Running, body: dict[str, Any]
) -> None:
    async with identity.as_(None, "operators:write") as client:
        problem(await client.post("/v1/operators", json=body), 422, "invalid-request")


async def test_a_platform_admin_makes_operators_while_acting_for_another(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(None, "operators:read", "operators:write") as client:
        client.headers["Operator-Id"] = str(operator)
        await made(client, "/v1/operators", name="One more")
        mine = (await client.get("/v1/operators")).json()["items"]
        assert [row["id"] for row in mine] == [str(operator)]


async def test_a_user_and_a_card_are_made_changed_and_told_of(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        user = await made(client, "/v1/users", name="Ada", email="Ada@Example.org")
        assert user["email"] == "ada@example.org"
        card = await made(client, "/v1/cards", uid="04a2b3c4", user_id=user["id"], label="blue")
        assert (card["uid"], card["kind"], card["active"]) == ("04A2B3C4", "rfid", True)
        path = f"/v1/cards/{card['id']}"
        blocked = await client.patch(
            path,
            json={"active": False, "blocked_reason": "lost"},
            headers={"If-Match": '"1"'},
        )
        assert blocked.json() == card | {"active": False, "blocked_reason": "lost", "version": 2}
        again = await client.patch(path, json={"active": True}, headers={"If-Match": '"2"'})
        assert again.json() == card | {"version": 3}

    found = await told(identity, CardChanged, "card_id", UUID(card["id"]), 3)
    states = [(e.version, e.active, e.uid) for e in found]
    assert states == [(1, True, "04A2B3C4"), (2, False, "04A2B3C4"), (3, True, "04A2B3C4")]
    people = await told(identity, UserChanged, "user_id", UUID(user["id"]), 1)
    assert [(e.version, e.name, e.operator_id) for e in people] == [(1, "Ada", operator)]


async def test_a_uid_is_one_card_of_an_operator_whatever_its_case(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        card = await made(client, "/v1/cards", uid="aabb01")
        other = await made(client, "/v1/cards", uid="aabb02")
        problem(await client.post("/v1/cards", json={"uid": "AaBb01"}), 409, "card-uid-taken")
        moved = await client.patch(
            f"/v1/cards/{other['id']}", json={"uid": "AABB01"}, headers={"If-Match": '"1"'}
        )
        problem(moved, 409, "card-uid-taken")
        found = (await client.get("/v1/cards", params={"uid": "aAbB01"})).json()["items"]
        assert found == [card]
    async with identity.as_(await new_operator(identity), *ALL) as client:
        await made(client, "/v1/cards", uid="AABB01")


async def test_of_twenty_makers_of_one_uid_one_succeeds(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *ALL) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/cards", json={"uid": "RACE"}) for _ in range(20))
        )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_a_card_never_belongs_to_another_operators_user(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(await new_operator(identity), *ALL) as client:
        stranger = await made(client, "/v1/users", name="Eve")
    async with identity.as_(operator, *ALL) as client:
        body = {"uid": "F00D", "user_id": stranger["id"]}
        problem(await client.post("/v1/cards", json=body), 422, "unknown-user")
        card = await made(client, "/v1/cards", uid="F00E")
        given = await client.patch(
            f"/v1/cards/{card['id']}",
            json={"user_id": stranger["id"]},
            headers={"If-Match": '"1"'},
        )
        problem(given, 422, "unknown-user")


async def test_an_external_id_is_one_user(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *ALL) as client:
        await made(client, "/v1/users", name="A", external_id="K-1")
        twice = await client.post("/v1/users", json={"name": "B", "external_id": "K-1"})
        problem(twice, 409, "external-id-taken")
        for name in ("C", "D"):
            await made(client, "/v1/users", name=name)


async def test_a_change_needs_the_version_it_changes(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *ALL) as client:
        user = await made(client, "/v1/users", name="Ada", external_id="7")
        path, body = f"/v1/users/{user['id']}", {"name": "Grace"}
        problem(await client.patch(path, json=body), 428, "if-match-required")
        for stale in ('"2"', "1", 'W/"1"', f'"{10**30}"', ""):
            refused = await client.patch(path, json=body, headers={"If-Match": stale})
            problem(refused, 412, "version-changed")
        assert (await client.get(path)).json() == user
        changed = await client.patch(path, json=body, headers={"If-Match": '"1"'})
        assert changed.headers["etag"] == '"2"'
        emptied = await client.patch(
            path, json={"external_id": None}, headers={"If-Match": '"1", "2"'}
        )
        assert emptied.json() == user | {"name": "Grace", "external_id": None, "version": 3}
        for nonsense in ({}, {"name": None}, {"version": 9}):
            refused = await client.patch(path, json=nonsense, headers={"If-Match": "*"})
            problem(refused, 422, "invalid-request")
        lost = await client.patch(f"/v1/users/{uuid4()}", json=body, headers={"If-Match": '"1"'})
        problem(lost, 404, "not-found")


@pytest.mark.parametrize(
    "body",
    [
        {"uid": ""},
        {"uid": "x" * 37},
        {"uid": "ä"},
        {"uid": "a\0"},
        {"uid": "1", "kind": "paper"},
        {"uid": "1", "label": "a\0"},
        {"uid": "1", "blocked_reason": "lost"},
        {"uid": "1", "valid_from": "2026-01-01T00:00:00"},
        {"uid": "1", "valid_until": "0001-01-01T00:00:00+14:00"},
        {"uid": "1", "label": "\ud800"},
    ],
)
async def test_a_card_that_makes_no_sense_is_refused(
    identity: Running, operator: UUID, body: dict[str, Any]
) -> None:
    raw = json.dumps(body)  # httpx would not send half a surrogate pair
    async with identity.as_(operator, *ALL) as client:
        client.headers["Content-Type"] = "application/json"
        problem(await client.post("/v1/cards", content=raw), 422, "invalid-request")


async def test_a_validity_that_ends_before_it_begins_is_refused(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        day, next_day = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
        body = {"uid": "BACK", "valid_from": next_day, "valid_until": day}
        problem(await client.post("/v1/cards", json=body), 422, "validity-reversed")
        card = await made(client, "/v1/cards", uid="BACK", valid_from=day)
        assert card["valid_from"] == day


async def test_an_operator_that_does_not_exist_has_no_users(identity: Running) -> None:
    async with identity.as_(uuid4(), *ALL) as client:
        problem(await client.post("/v1/users", json={"name": "A"}), 422, "unknown-operator")
        problem(await client.post("/v1/cards", json={"uid": "A"}), 422, "unknown-operator")
    async with identity.as_(None, *ALL) as client:
        problem(await client.post("/v1/users", json={"name": "A"}), 400, "operator-required")


async def test_lists_are_paged_and_filtered(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *ALL) as client:
        users = [await made(client, "/v1/users", name=f"U{n}", active=n != 2) for n in range(5)]
        first = (await client.get("/v1/users", params={"limit": 3})).json()
        rest = (await client.get("/v1/users", params={"cursor": first["next_cursor"]})).json()
        assert first["items"] + rest["items"] == users
        assert rest["next_cursor"] is None
        idle = (await client.get("/v1/users", params={"active": "false"})).json()["items"]
        assert idle == [users[2]]
        card = await made(client, "/v1/cards", uid="OWN", user_id=users[0]["id"])
        await made(client, "/v1/cards", uid="LOOSE")
        of_user = await client.get("/v1/cards", params={"user_id": users[0]["id"]})
        assert of_user.json()["items"] == [card]
        strange = await client.get("/v1/cards", params={"uid": "\0"})
        problem(strange, 422, "invalid-request")


async def test_one_operators_rows_do_not_exist_for_another(
    identity: Running, operator: UUID
) -> None:
    scopes = (*ALL, "logins:read", "logins:write", "operators:read", "operators:write")
    async with identity.as_(operator, *scopes) as client:
        user = await made(client, "/v1/users", name="Ada", external_id="wall")
        card = await made(client, "/v1/cards", uid="WALL")
        email = f"{uuid4().hex}@nord.example"
        body = {"email": email, "password": "long enough for all", "role": "read-only"}
        login = await made(client, "/v1/logins", **body)
    paths = {
        "/v1/operators": (str(operator), {"name": "stolen"}),
        "/v1/users": (user["id"], {"name": "stolen"}),
        "/v1/cards": (card["id"], {"label": "stolen"}),
        "/v1/logins": (login["id"], {"active": False}),
    }
    other = await new_operator(identity, "Other")
    async with identity.as_(other, *scopes) as client:
        for path, (row_id, change) in paths.items():
            listed = (await client.get(path)).json()["items"]
            assert [row["id"] for row in listed] == ([str(other)] if "operators" in path else [])
            problem(await client.get(f"{path}/{row_id}"), 404, "not-found")
            patch = await client.patch(f"{path}/{row_id}", json=change, headers={"If-Match": '"1"'})
            problem(patch, 404, "not-found")
        tried = {"station_id": "S", "id_token": "WALL"}
        answer = (await client.post("/v1/authorizations", json=tried)).json()
        assert (answer["status"], answer["card_id"]) == ("Invalid", None)
    for path, (row_id, change) in paths.items():
        problem(await identity.http.get(f"{path}/{row_id}"), 401, "unauthenticated")
        problem(await identity.http.post(path, json=change), 401, "unauthenticated")
        async with identity.as_(operator, "nothing:read") as client:
            problem(await client.get(path), 403, "missing-scope")
            problem(await client.post(path, json=change), 403, "missing-scope")


async def test_row_level_security_hides_every_table_beneath_the_code(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL, "logins:write") as client:
        await made(client, "/v1/users", name="Ada")
        await made(client, "/v1/cards", uid="RLS")
    tables = ("operator", "login", "users", "card", "tariff", "sign_in_failure", "signing_key")
    async with identity.app.state.connections.begin(uuid4()) as db:
        for table in tables:
            assert await db.scalar(text(f"select count(*) from {table}")) == 0, table


async def test_of_ten_changes_of_one_version_one_succeeds(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        user = await made(client, "/v1/users", name="Ada")
        path, match = f"/v1/users/{user['id']}", {"If-Match": '"1"'}
        answers = await asyncio.gather(
            *(client.patch(path, json={"name": f"N{n}"}, headers=match) for n in range(10))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
        anyhow = await client.patch(path, json={"name": "Zoe"}, headers={"If-Match": "*"})
        assert (anyhow.json()["name"], anyhow.headers["etag"]) == ("Zoe", '"3"')
