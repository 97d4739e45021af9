"""Groups of cards, and master passes: what identity knows of them and answers the gateway."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import nats
import pytest
from nats.aio.client import Client
from stack import Running, eventually

from common import authorize, bus
from common.authorize import AuthorizeAnswer, AuthorizeQuestion
from common.events import CardChanged

from .support import ALL, ANSWERED_S, made, problem
from .test_entities import events


@pytest.fixture
async def gateway(identity: Running) -> AsyncIterator[Client]:
    client = await nats.connect(identity.nats_url)
    yield client
    await client.close()


async def ask(gateway: Client, operator: UUID, id_token: str) -> AuthorizeAnswer:
    question = AuthorizeQuestion(operator_id=operator, station_id="CP-1", id_token=id_token)
    reply = await bus.ask(gateway, authorize.SUBJECT, question, ANSWERED_S)
    return AuthorizeAnswer.model_validate_json(reply)


async def test_the_group_of_a_card_is_answered_and_told_whatever_becomes_of_the_card(
    identity: Running, gateway: Client, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        card = await made(client, "/v1/cards", uid="F1", group_id="fleet-7")
        assert (card["group_id"], card["master_pass"]) == ("FLEET-7", False)
        assert (await ask(gateway, operator, "F1")).parent_id_token == "FLEET-7"
        path, expected = f"/v1/cards/{card['id']}", {"If-Match": '"1"'}
        await client.patch(path, json={"active": False}, headers=expected)
        answer = await ask(gateway, operator, "F1")
        # Blocked for a start, but its group still decides who may end the one that runs.
        assert (answer.status, answer.parent_id_token) == ("Blocked", "FLEET-7")
        other = await made(client, "/v1/cards", uid="F2")
        assert other["group_id"] is None
        found = await client.get("/v1/cards", params={"group_id": "Fleet-7"})
        assert [one["id"] for one in found.json()["items"]] == [card["id"]]
        left = await client.patch(path, json={"group_id": None}, headers={"If-Match": '"2"'})
        assert left.json()["group_id"] is None
        assert (await ask(gateway, operator, "F1")).parent_id_token is None

    async def told() -> list[Any]:
        found = await events(identity, CardChanged, "card_id", UUID(card["id"]))
        return found if len(found) == 3 else []

    assert [e.group_id for e in await eventually(told)] == ["FLEET-7", "FLEET-7", None]


async def test_C16_a_master_pass_is_accepted_with_its_group_and_needs_no_price(
    identity: Running, gateway: Client, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        bare = {"uid": "M1", "master_pass": True}
        problem(await client.post("/v1/cards", json=bare), 422, "master-pass-of-no-group")
        card = await made(client, "/v1/cards", uid="M1", group_id="MASTERS", master_pass=True)
        answer = await ask(gateway, operator, "m1")
        assert (answer.status, answer.parent_id_token) == ("Accepted", "MASTERS")
        assert answer.master_pass
        path, expected = f"/v1/cards/{card['id']}", {"If-Match": '"1"'}
        refused = await client.patch(path, json={"group_id": None}, headers=expected)
        problem(refused, 422, "master-pass-of-no-group")
        refused = await client.patch(path, json={"master_pass": None}, headers=expected)
        problem(refused, 422, "invalid-request")
        plain = await client.patch(path, json={"master_pass": False}, headers=expected)
        assert plain.json()["master_pass"] is False
        assert (await ask(gateway, operator, "M1")).status == "Blocked"  # for it has no price


@pytest.mark.parametrize("group_id", ["", "x" * 37, "ä", "a\0", 7])
async def test_a_group_that_no_charger_could_be_told_is_refused(
    identity: Running, operator: UUID, group_id: Any
) -> None:
    async with identity.as_(operator, *ALL) as client:
        body = {"uid": "G", "group_id": group_id}
        problem(await client.post("/v1/cards", json=body), 422, "invalid-request")
