"""The authorize decision over NATS and REST, from facts that came by REST and by events."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import nats
import pytest
from nats.aio.client import Client
from stack import Running, eventually

from common import authorize, bus
from common.authorize import AuthorizeAnswer, AuthorizeQuestion, Holder
from common.clock import LATEST, now
from common.events import TariffChanged
from identity.consumers import note_tariff
from identity.tables import Tariff

from .support import ALL, ANSWERED_S, made, new_operator


@pytest.fixture(scope="module")
async def gateway(identity: Running) -> AsyncIterator[Client]:
    client = await nats.connect(identity.nats_url)
    yield client
    await client.close()


async def ask(gateway: Client, operator: UUID, id_token: str) -> AuthorizeAnswer:
    question = AuthorizeQuestion(operator_id=operator, station_id="CP-1", id_token=id_token)
    reply = await bus.ask(gateway, authorize.SUBJECT, question, ANSWERED_S)
    return AuthorizeAnswer.model_validate_json(reply)


def tariff(operator: UUID, **more: Any) -> TariffChanged:
    facts: dict[str, Any] = {"tariff_id": uuid4(), "name": "by day"}
    facts["valid_from"] = now() - timedelta(days=1)
    return TariffChanged(operator_id=operator, **facts | more)


@pytest.fixture(scope="module")
async def priced(identity: Running, gateway: Client) -> UUID:
    """An operator with a tariff."""
    operator = await new_operator(identity, "Priced")
    await identity.publish(tariff(operator))
    async with identity.as_(operator, *ALL) as client:
        await made(client, "/v1/cards", uid="PRICED")

    async def accepted() -> bool:
        return (await ask(gateway, operator, "PRICED")).status == "Accepted"

    await eventually(accepted)
    return operator


async def test_a_known_card_is_accepted_whatever_its_case(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    end = (now() + timedelta(days=1)).replace(microsecond=0)
    async with identity.as_(priced, *ALL) as client:
        user = await made(client, "/v1/users", name="Ada")
        body = {"uid": "04a2b3", "user_id": user["id"], "valid_until": end.isoformat()}
        card = await made(client, "/v1/cards", **body)
        answer = await ask(gateway, priced, " 04A2b3 ")
        assert answer == AuthorizeAnswer(
            status="Accepted",
            why="The card is known, active and valid.",
            card_id=UUID(card["id"]),
            user_id=UUID(user["id"]),
            holder=Holder(),
            expires_at=end,
        )
        tried = await client.post(
            "/v1/authorizations", json={"station_id": "CP-1", "id_token": "04A2B3"}
        )
        assert AuthorizeAnswer.model_validate(tried.json()) == answer


async def test_TC_C_50_a_contract_is_known_with_and_without_its_hyphens(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    async with identity.as_(priced, *ALL) as client:
        hyphens = await made(client, "/v1/cards", uid="DE-8AA-C1A2B3C4D-T", kind="emaid")
        plain = await made(client, "/v1/cards", uid="NL8AAC1A2B3C4D", kind="emaid")
        await made(client, "/v1/cards", uid="FR8AAC1A2B3C4D", kind="rfid")
        for told, card in (
            ("DE8AAC1A2B3C4DT", hyphens),
            ("de-8aa-c1a2b3c4d-t", hyphens),
            ("DE8AAC1A2B3C4D", hyphens),
            ("DE-8AA-C1A2B3C4D", hyphens),
            ("NL-8AA-C1A2B3C4D", plain),
            ("NL8AAC1A2B3C4D6", plain),
            ("NL-8AA-C1A2B3C4D-6", plain),
        ):
            answer = await ask(gateway, priced, told)
            assert (answer.status, answer.card_id) == ("Accepted", UUID(card["id"])), told
        # Another contract's check digit, another contract, a card that is no contract.
        for told in ("DE8AAC1A2B3C4D8", "NL8AAC1A2B3C4E", "FR-8AA-C1A2B3C4D"):
            assert (await ask(gateway, priced, told)).status == "Invalid", told
        # Where there are cards in both forms, each is its own.
        both = await made(client, "/v1/cards", uid="NL-8AA-C1A2B3C4D", kind="emaid", active=False)
        answer = await ask(gateway, priced, "NL-8AA-C1A2B3C4D")
        assert (answer.status, answer.card_id) == ("Blocked", UUID(both["id"]))
        assert (await ask(gateway, priced, "NL8AAC1A2B3C4D")).status == "Accepted"


async def test_a_block_of_card_or_user_refuses_the_next_start(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    async with identity.as_(priced, *ALL) as client:
        user = await made(client, "/v1/users", name="Bob")
        card = await made(client, "/v1/cards", uid="B0B", user_id=user["id"])
        path, match = f"/v1/users/{user['id']}", {"If-Match": '"1"'}
        await client.patch(path, json={"active": False}, headers=match)
        answer = await ask(gateway, priced, "B0B")
        assert (answer.status, answer.why) == ("Blocked", "The card's user is not active.")
        assert answer.card_id == UUID(card["id"])
        blocked = {"active": False, "blocked_reason": "stolen"}
        await client.patch(f"/v1/cards/{card['id']}", json=blocked, headers=match)
        answer = await ask(gateway, priced, "B0B")
        assert (answer.status, answer.why) == ("Blocked", "The card is blocked: stolen.")


@pytest.mark.parametrize(
    ("validity", "status"),
    [
        ({"valid_until": timedelta(seconds=-1)}, "Expired"),
        ({"valid_from": timedelta(1)}, "Invalid"),
    ],
)
async def test_a_card_outside_its_validity_is_refused(
    identity: Running,
    gateway: Client,
    priced: UUID,
    validity: dict[str, timedelta],
    status: str,
) -> None:
    uid = uuid4().hex[:20]
    moments = {name: (now() + offset).isoformat() for name, offset in validity.items()}
    async with identity.as_(priced, *ALL) as client:
        await made(client, "/v1/cards", uid=uid, **moments)
    assert (await ask(gateway, priced, uid)).status == status


@pytest.mark.parametrize("id_token", ["UNKNOWN", "", "a\0b", "ß", "x" * 400, "' or '1'='1"])
async def test_an_unknown_token_is_invalid_and_never_an_error(
    gateway: Client, priced: UUID, id_token: str
) -> None:
    answer = await ask(gateway, priced, id_token)
    assert (answer.status, answer.card_id) == ("Invalid", None)


async def test_without_a_tariff_that_is_valid_now_every_start_is_refused(
    identity: Running, gateway: Client, operator: UUID
) -> None:
    async with identity.as_(operator, *ALL) as client:
        await made(client, "/v1/cards", uid="NOPRICE")

    async def why() -> str:
        return (await ask(gateway, operator, "NOPRICE")).why

    assert "no valid tariff" in await why()
    later = tariff(operator, valid_from=now() + timedelta(days=1))
    mark = tariff(await new_operator(identity))
    await identity.publish(later, mark)

    async def arrived(told: TariffChanged) -> bool:
        async with identity.app.state.connections.begin(told.operator_id) as db:
            row = await db.get(Tariff, (told.operator_id, told.tariff_id))
            return row is not None and row.valid_from == told.valid_from

    await eventually(lambda: arrived(later))
    assert "no valid tariff" in await why()
    moved = later.model_copy(
        update={"id": uuid4(), "valid_from": now(), "occurred_at": now() + timedelta(seconds=1)}
    )
    # The older news comes once more, under another id and after the newer.
    await identity.publish(moved, later.model_copy(update={"id": uuid4()}), tariff(operator))
    await eventually(lambda: arrived(moved))

    async def accepted() -> bool:
        return (await ask(gateway, operator, "NOPRICE")).status == "Accepted"

    await eventually(accepted)


async def test_older_news_of_a_tariff_changes_nothing(identity: Running, operator: UUID) -> None:
    old = tariff(operator)
    new = old.model_copy(
        update={"occurred_at": old.occurred_at + timedelta(seconds=1), "valid_from": now()}
    )
    async with identity.app.state.connections.begin(operator) as db:
        for told in (new, old):
            await note_tariff(db, told)
        row = await db.get(Tariff, (operator, old.tariff_id))
        assert row is not None and row.valid_from == new.valid_from


async def test_a_withdrawn_tariff_is_never_valid_in_whatever_order_it_is_told(
    identity: Running, operator: UUID
) -> None:
    begun = tariff(operator)
    gone = begun.model_copy(
        update={"occurred_at": begun.occurred_at + timedelta(seconds=1), "withdrawn": True}
    )
    for order in ((begun, gone), (gone, begun)):
        async with identity.app.state.connections.begin(operator) as db:
            for told in order:
                await note_tariff(db, told)
            row = await db.get(Tariff, (operator, begun.tariff_id))
            assert row is not None and row.valid_from == LATEST
            await db.delete(row)


async def test_a_question_that_does_not_parse_stops_nothing(gateway: Client, priced: UUID) -> None:
    await gateway.publish(authorize.SUBJECT, b"{nonsense")
    assert (await ask(gateway, priced, "PRICED")).status == "Accepted"


async def test_a_card_is_one_operators_over_nats_too(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    stranger = await new_operator(identity, "Stranger")
    await identity.publish(tariff(stranger))
    assert (await ask(gateway, stranger, "PRICED")).status == "Invalid"
