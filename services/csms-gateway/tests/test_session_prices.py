"""OCPP 2.x, I01 and I06: in a session a driver reads the price of that session."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway_tariffs import TARIFF_ON, authorize, report, set_tariffs, shown
from gateway_wire import EVSE, OPERATOR, V21, Gateway, Wire, connect_v2
from stack import eventually

from common.authorize import Holder
from common.events import PriceLine, SessionPriceSet, SessionStarted, StrategyAssignmentChanged
from csms_gateway.tables import Transaction
from csms_gateway.tariff_texts import display, messages, texts_of_session

VERSIONS = pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
OWN = "0.49 EUR/kWh, incl. 19 % VAT"
AGREED = "0.29 EUR/kWh, Members: -10 % (energy), incl. 19 % VAT"


def line(part: Any, english: str, german: str = "so viel") -> PriceLine:
    return PriceLine(part=part, texts={"en": english, "de": german})


def price(station: str, session_id: UUID, energy: str = "0.29", **more: Any) -> SessionPriceSet:
    given: dict[str, Any] = {
        "operator_id": uuid4(), "session_id": session_id, "station_id": station, "evse_id": 1,
        "tariff_id": uuid4(), "method": "monthly", "free_of_charge": False,
        "lines": (
            line("energy", f"{energy} EUR/kWh"),
            line("discount", "Members: -10 % (energy)"),
            line("tax", "incl. 19 % VAT"),
        ),
    }  # fmt: skip
    return SessionPriceSet(**given | more)


class Car:
    """A station that shows tariffs, and a session at it."""

    def __init__(self, gateway: Gateway, wire: Wire, station: str) -> None:
        self.gateway, self.wire, self.station = gateway, wire, station
        self.transaction, self.seq_no = str(uuid4()), 0

    async def start(self) -> Any:
        return await self.wire.event(
            "Started", 0, "Authorized", transaction=self.transaction, token="GOOD", evse=EVSE
        )

    async def told(self) -> Any:
        """What the answer to the next event tells the driver."""
        self.seq_no += 1
        answer = await self.wire.event(
            "Updated", self.seq_no, "MeterValuePeriodic", transaction=self.transaction
        )
        return answer.get("updatedPersonalMessage")

    async def session_id(self) -> UUID:
        (started,) = await self.gateway.told(SessionStarted, station_id=self.station)
        session_id: UUID = started.session_id
        return session_id


USER, GROUP = uuid4(), uuid4()


@VERSIONS
@pytest.mark.parametrize(
    ("holder", "assigned"),
    [
        ({"holder": Holder(partner_id=uuid4())}, None),
        ({"holder": Holder(company_id=uuid4())}, None),
        ({"holder": Holder(accounting_strategy_id=uuid4())}, None),
        ({"holder": Holder(user_group_ids=(uuid4(), GROUP))}, ("user_group", GROUP)),
        ({"user_id": USER}, ("user", USER)),
        ({}, ("everybody", None)),
    ],
    ids=["partner", "company", "strategy", "user group", "user", "everybody"],
)
async def test_I01_and_I06_who_may_have_another_price_reads_it_once_billing_has_told_it(
    gateway: Gateway, version: str, holder: dict[str, Any], assigned: tuple[Any, Any] | None
) -> None:
    operator = uuid4()
    await set_tariffs(gateway, operator, {-3600: "0.49"})
    if assigned:
        await assign(gateway, operator, *assigned)
    gateway.identity.more["GOOD"] = holder
    station = await gateway.add_station(operator=operator)
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        assert await authorize(wire) == {"status": "Accepted"}
        car = Car(gateway, wire, station)
        assert "updatedPersonalMessage" not in await car.start()
        assert await car.told() is None
        await gateway.service.publish(price(station, await car.session_id()))
        assert await eventually(car.told) == shown(AGREED)
        assert await car.told() is None
    gateway.identity.more.pop("GOOD")


async def assign(
    gateway: Gateway, operator: UUID, kind: Any, holder_id: UUID | None, **more: Any
) -> StrategyAssignmentChanged:
    given: dict[str, Any] = {"assignment_id": uuid4(), "version": 1, "strategy_id": uuid4()}
    told = StrategyAssignmentChanged(
        operator_id=operator, holder_kind=kind, holder_id=holder_id, **given | more
    )
    await gateway.service.publish(told)
    pool = gateway.service.app.state.beside.gateway.pool

    async def known() -> Any:
        query = "select version from strategy_assignment where assignment_id = $1"
        return (await pool.fetchval(query, told.assignment_id) or 0) >= told.version

    await eventually(known)
    return told


async def test_I01_strategies_of_others_and_those_taken_away_are_no_obstacle(
    gateway: Gateway,
) -> None:
    operator = uuid4()
    await set_tariffs(gateway, operator, {-3600: "0.49"})
    await assign(gateway, operator, "user", uuid4())
    await assign(gateway, operator, "user_group", uuid4())
    await assign(gateway, uuid4(), "everybody", None)
    given = await assign(gateway, operator, "everybody", None)
    station = await gateway.add_station(operator=operator)
    gateway.identity.more["GOOD"] = {"user_id": USER, "holder": Holder(user_group_ids=(GROUP,))}
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        assert await authorize(wire) == {"status": "Accepted"}
        again = {"assignment_id": given.assignment_id}
        await assign(gateway, operator, "everybody", None, version=2, removed=True, **again)
        await gateway.service.publish(given)  # late
        await assign(gateway, uuid4(), "everybody", None)  # so that it is handled by now
        assert (await authorize(wire))["personalMessage"] == shown(OWN)
    gateway.identity.more.pop("GOOD")


@VERSIONS
async def test_I06_the_operators_own_price_is_corrected_by_that_of_the_session(
    gateway: Gateway, version: str
) -> None:
    operator = uuid4()
    await set_tariffs(gateway, operator, {-3600: "0.49"})
    gateway.identity.more["GOOD"] = {"user_id": uuid4()}  # but there are no other prices
    station = await gateway.add_station(operator=operator)
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        assert (await authorize(wire))["personalMessage"] == shown(OWN)
        car = Car(gateway, wire, station)
        assert (await car.start())["updatedPersonalMessage"] == shown(OWN)
        session_id = await car.session_id()
        first = price(station, session_id, "0.39")
        second = price(station, session_id, lines=(line("other", "free of charge"),))
        await gateway.service.publish(first)
        corrected = await eventually(car.told)
        assert corrected["content"].startswith("0.39 EUR/kWh")
        # The newest counts, whichever comes last.
        await gateway.service.publish(second)
        await gateway.service.publish(first)
        assert await eventually(car.told) == shown("free of charge")
        assert await car.told() is None
    gateway.identity.more.pop("GOOD")


async def test_a_replica_that_has_not_heard_of_a_price_finds_it_with_the_transaction(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        car = Car(gateway, wire, station)
        await car.start()
        session_id = await car.session_id()
        new = price(station, session_id, operator_id=OPERATOR)
        old = price(
            station, session_id, "0.99", operator_id=OPERATOR,
            occurred_at=new.occurred_at - timedelta(days=1),
        )  # fmt: skip
        await gateway.service.publish(new, old)

        async def kept() -> Any:
            (row,) = await gateway.rows(Transaction, station)
            return row.price

        assert (await eventually(kept))["lines"][0]["texts"]["en"] == "0.29 EUR/kWh"
        await gateway.service.publish(old)
        tariffs = gateway.service.app.state.beside.gateway.tariffs
        tariffs.prices._prices.clear()
        assert await car.told() == shown(AGREED)
        assert (await kept())["lines"][0]["texts"]["en"] == "0.29 EUR/kWh"


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (None, AGREED),
        (len(AGREED), AGREED),
        (len(AGREED) - 1, "0.29 EUR/kWh, incl. 19 % VAT"),
        (10, None),
    ],
)
def test_discounts_are_left_out_before_the_price_is(most: int | None, expected: str | None) -> None:
    told = {"displaymessagectrlr.enabled.": "true"}
    if most:
        told["displaymessagectrlr.personalmessagesize."] = str(most)
    able = display(None, told)
    assert able
    found = messages(texts_of_session(price("S", uuid4())), able)
    assert (found[0]["content"] if found else None) == expected


def test_a_text_is_never_longer_than_ocpp_takes() -> None:
    able = display(None, {"displaymessagectrlr.enabled.": "true"})
    assert able
    long = (line("energy", "x" * 513, "y"),)
    assert messages(texts_of_session(price("S", uuid4(), lines=long)), able) == []
