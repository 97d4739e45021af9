"""A card that has a price by an accounting strategy alone: the operator has no tariff."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import nats
import pytest
from nats.aio.client import Client
from stack import Running, eventually

from common import authorize, bus
from common.authorize import AuthorizeAnswer, AuthorizeQuestion
from common.clock import now
from common.events import (
    AccountingStrategyChanged,
    AgreedPlace,
    StationChanged,
    StrategyAssignmentChanged,
    StrategyPlace,
)
from common.ids import uuid7
from services.identity.tests.support import ALL, ANSWERED_S, made, new_operator


@pytest.fixture(scope="module")
async def gateway(identity: Running) -> AsyncIterator[Client]:
    client = await nats.connect(identity.nats_url)
    yield client
    await client.close()


SCOPES = (*ALL, "user-groups:read", "user-groups:write", "companies:read", "companies:write")


class Untariffed:
    """An operator without a tariff, and what billing tells of its strategies."""

    def __init__(self, identity: Running, gateway: Client, operator: UUID) -> None:
        self.identity, self.gateway, self.operator = identity, gateway, operator
        self.station = f"CP-{operator}"

    async def ask(self, id_token: str, station: str | None = None) -> tuple[str, str]:
        question = AuthorizeQuestion(
            operator_id=self.operator, station_id=station or self.station, id_token=id_token
        )
        reply = await bus.ask(self.gateway, authorize.SUBJECT, question, ANSWERED_S)
        answer = AuthorizeAnswer.model_validate_json(reply)
        return answer.status, answer.why

    async def until(self, status: str, id_token: str, station: str | None = None) -> None:
        async def as_wanted() -> bool:
            return (await self.ask(id_token, station))[0] == status

        await eventually(as_wanted)

    async def strategy(self, *, version: int = 1, **more: Any) -> UUID:
        place = more.pop("place", AgreedPlace(kind="everywhere"))
        priced: dict[str, Any] = {"tariff_id": uuid7(), "priced_from": now() - timedelta(days=1)}
        entry = StrategyPlace(place=place, **priced | more.pop("entry", {}))
        facts = {
            "strategy_id": uuid7(), "operator_id": self.operator, "name": "S", "active": True,
            "method": "monthly", "tariffs": (entry,), "version": version,
        }  # fmt: skip
        told = AccountingStrategyChanged.model_validate(facts | more)
        await self.identity.publish(told)
        return told.strategy_id

    async def give(
        self, strategy: UUID, kind: Any, holder: UUID | str | None = None, **more: Any
    ) -> StrategyAssignmentChanged:
        facts = {
            "assignment_id": uuid7(), "operator_id": self.operator, "version": 1,
            "strategy_id": strategy, "holder_kind": kind, "holder_id": holder,
        }  # fmt: skip
        told = StrategyAssignmentChanged.model_validate(facts | more)
        await self.identity.publish(told)
        return told


@pytest.fixture
async def untariffed(identity: Running, gateway: Client) -> Untariffed:
    return Untariffed(identity, gateway, await new_operator(identity, f"Untariffed {uuid7()}"))


async def test_a_card_charges_by_its_strategy_where_that_has_a_price(
    identity: Running, untariffed: Untariffed
) -> None:
    operator = untariffed.operator
    here = uuid7()
    await identity.publish(
        StationChanged(
            operator_id=operator, station_id=untariffed.station, version=1, name="S", active=True,
            evses=(), location_id=here,
        )
    )  # fmt: skip
    async with identity.as_(operator, *SCOPES) as client:
        user = await made(client, "/v1/users", name="Ada")
        group = await made(client, "/v1/user-groups", name="G")
        await client.put(f"/v1/user-groups/{group['id']}/members/{user['id']}")
        await made(client, "/v1/cards", uid="USERS", user_id=user["id"])
        await made(client, "/v1/cards", uid="NOBODYS")
        status, why = await untariffed.ask("USERS")
        assert (status, "no valid tariff" in why) == ("Blocked", True)
        place = AgreedPlace(kind="location", id=str(here))
        strategy = await untariffed.strategy(place=place)
        given = await untariffed.give(strategy, "user_group", group["id"])
        await untariffed.until("Accepted", "USERS")
        assert (await untariffed.ask("USERS", "ELSEWHERE"))[0] == "Blocked"
        assert (await untariffed.ask("NOBODYS"))[0] == "Blocked"
        # A user's own comes first, and where it names no place the default's counts.
        later = {"priced_from": now() + timedelta(days=1)}
        await untariffed.give(await untariffed.strategy(entry=later), "user", user["id"])
        await untariffed.until("Blocked", "USERS")
        everywhere = await untariffed.strategy()
        default = await untariffed.give(everywhere, "everybody")
        await untariffed.until("Accepted", "NOBODYS")
        assert (await untariffed.ask("USERS"))[0] == "Accepted"
        gone = default.model_copy(update={"id": uuid7(), "version": 2, "removed": True})
        await identity.publish(gone)
        await untariffed.until("Blocked", "NOBODYS")
        await identity.publish(default.model_copy(update={"id": uuid7()}))  # old news
        carrying = await made(
            client, "/v1/cards", uid="CARRIES", accounting_strategy_id=str(everywhere)
        )
        assert carrying["accounting_strategy_id"] == str(everywhere)
        assert (await untariffed.ask("CARRIES"))[0] == "Accepted"
        assert (await untariffed.ask("NOBODYS"))[0] == "Blocked"
        await untariffed.strategy(strategy_id=everywhere, version=2, active=False)
        await untariffed.until("Blocked", "CARRIES")
    assert given.version == 1


async def test_a_companys_cards_charge_by_what_it_has(
    identity: Running, untariffed: Untariffed
) -> None:
    async with identity.as_(untariffed.operator, *SCOPES) as client:
        company = await made(client, "/v1/companies", name="Works")
        user = await made(client, "/v1/users", name="Ada")
        await made(client, "/v1/cards", uid="WORKS", company_id=company["id"], user_id=user["id"])
        strategy = await untariffed.strategy()
        await untariffed.give(strategy, "user", user["id"])
        await made(client, "/v1/cards", uid="OWN", user_id=user["id"])
        await untariffed.until("Accepted", "OWN")
        assert (await untariffed.ask("WORKS"))[0] == "Blocked"  # the company has none
        await made(
            client, "/v1/cards", uid="MASTER", company_id=company["id"], company_master=True,
            accounting_strategy_id=str(strategy),
        )  # fmt: skip
        await untariffed.until("Accepted", "WORKS")
        assert (await untariffed.ask("MASTER"))[0] == "Accepted"
