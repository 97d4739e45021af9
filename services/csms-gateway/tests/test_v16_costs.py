"""OCPP 1.6: prices and costs by the OCA's extension ("OCPP & California Pricing Requirements")."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from cost_display import KEYS, VENDOR, Display
from gateway_tariffs import set_tariffs
from gateway_wire import Gateway, running_gateway, stamp
from stack import Issuer, Servers, eventually

from common.authorize import Holder
from common.clock import now
from common.events import (
    PriceLine,
    RecordClosed,
    RecordReviewed,
    SessionCostUpdated,
    SessionPriceSet,
    SessionStarted,
    TariffPrices,
)
from csms_gateway import costmsg
from csms_gateway.costmsg import default_price, running_cost

NOW = "0.49 EUR/kWh, incl. 19 % VAT"
PRICES = TariffPrices(
    currency="EUR", tax_included=True, vat_percent=Decimal(19), energy_price=Decimal("0.49"),
    time_price=Decimal("0.01"), start_fee=Decimal("0.35"),
)  # fmt: skip


@asynccontextmanager
async def displaying(
    gateway: Gateway, station: str, keys: dict[str, str] | None = None
) -> AsyncIterator[Display]:
    async with gateway.connect(station) as socket:
        display = Display(socket, KEYS if keys is None else keys)
        reading = asyncio.ensure_future(display.read())
        yield display
    await reading


async def shows(gateway: Gateway, station: str, value: bool | None = True) -> None:
    async def known() -> Any:
        pool = gateway.service.app.state.beside.gateway.pool
        found = await pool.fetchval("select shows_cost from station where station_id = $1", station)
        return found is value

    await eventually(known)


@pytest.fixture(scope="module")
async def asking(servers: Servers, issuer: Issuer) -> AsyncIterator[Gateway]:
    """A gateway that asks stations what they show."""
    async with running_gateway(servers, issuer, read_device_model=True) as gateway:
        yield gateway


async def priced(gateway: Gateway, **prices: Any) -> tuple[UUID, str]:
    operator = uuid4()
    await set_tariffs(gateway, operator, {-3600: "0.49"}, **prices)
    return operator, await gateway.add_station(operator=operator)


async def test_a_station_is_asked_once_a_firmware_whether_it_shows_costs(asking: Gateway) -> None:
    _, station = await priced(asking)
    async with displaying(asking, station, {"CustomDisplayCostAndPrice": "false"}) as display:
        await display.boot()
        await shows(asking, station, False)
        asked = {"key": ["CustomDisplayCostAndPrice", "CustomMultiLanguageMessages", "Language"]}
        assert display.heard == [display.heard[0], ("GetConfiguration", asked)]
        await display.boot()
        await display.send("Heartbeat", {})
        assert len(display.heard) == 4, "once"
        display.keys = KEYS
        await display.boot("1.1")
        await shows(asking, station)
    async with displaying(asking, station) as display:
        await display.boot("1.1")
        await display.send("Authorize", {"idTag": "GOOD"})
        await display.cost("SetUserPrice")


async def test_the_price_follows_the_answer_to_the_card_in_the_stations_languages(
    asking: Gateway,
) -> None:
    _, station = await priced(asking)
    keys = KEYS | {"CustomMultiLanguageMessages": "true"}
    async with displaying(asking, station, keys) as display:
        await display.boot()
        await shows(asking, station)
        asking.service.app.state.beside.gateway.tariffs.forget_display(station)
        await display.send("Authorize", {"idTag": "BAD"})
        await display.send("Authorize", {"idTag": "GOOD"})
        assert await display.cost("SetUserPrice") == {
            "idToken": "GOOD",
            "priceText": "0,49 EUR/kWh; inkl. 19 % MwSt.",
            "priceTextExtra": [{"format": "UTF8", "language": "en", "content": NOW}],
        }
        # The default price is told now and then, in between as well.
        kinds = [action for action, _ in display.heard if action != "ChangeConfiguration"]
        assert kinds[-2:] == ["answer", "DataTransfer"], "never before the card is accepted"


async def test_what_a_session_costs_is_shown_from_its_start_to_its_end(asking: Gateway) -> None:
    operator, station = await priced(asking)
    nats = asking.service.app.state.parts.nats

    def cost(session_id: UUID, gross: str, register_wh: int) -> SessionCostUpdated:
        return SessionCostUpdated(
            operator_id=operator, session_id=session_id, station_id=station,
            total_gross=Decimal(gross), currency="EUR", register_wh=register_wh,
            as_of=datetime(2026, 3, 2, 12, tzinfo=UTC),
        )  # fmt: skip

    async def tell(event: SessionCostUpdated) -> None:
        await nats.publish(event.subject, event.model_dump_json().encode())

    async with displaying(asking, station, KEYS | {"Language": "en"}) as display:
        await display.boot()
        await shows(asking, station)
        asking.identity.more["GOOD"] = {"holder": Holder(company_id=uuid4())}
        await display.send("Authorize", {"idTag": "GOOD"})
        started = await display.start()
        (told,) = await asking.told(SessionStarted, station_id=station)
        text = PriceLine(part="energy", texts={"en": "0.29 EUR/kWh", "de": "so viel"})
        await asking.service.publish(
            SessionPriceSet(
                operator_id=operator, session_id=told.session_id, station_id=station, evse_id=1,
                tariff_id=uuid4(), method="monthly", free_of_charge=False, prices=PRICES,
                lines=(text,),
            )
        )  # fmt: skip
        assert await display.cost("SetUserPrice") == {
            "idToken": "GOOD", "priceText": "0.29 EUR/kWh",
        }  # fmt: skip
        await tell(cost(told.session_id, "0.00", 1000))
        assert await display.cost("RunningCost") == {
            "transactionId": started["transactionId"],
            "timestamp": "2026-03-02T12:00:00.000Z",
            "meterValue": 1000,
            "cost": 0.0,
            "state": "Charging",
            "chargingPrice": {"kWhPrice": 0.49, "hourPrice": 0.6},
            "idlePrice": {"graceMinutes": 0, "hourPrice": 0.6},
            "triggerMeterValue": {"atCPStatus": ["Charging", "SuspendedEV", "SuspendedEVSE"]},
        }
        status = {"connectorId": 1, "errorCode": "NoError", "status": "SuspendedEV"}
        await display.send("StatusNotification", status)
        asking.service.app.state.beside.gateway.costs.on_running.__self__._not_before.clear()
        await tell(cost(told.session_id, "2.31", 5000))
        second = await display.cost("RunningCost", 2)
        assert (second["cost"], second["state"], second["meterValue"]) == (2.31, "Idle", 5000)
        await display.stop(started["transactionId"], meterStop=5000)
        await asking.service.publish(
            RecordClosed(
                operator_id=operator, record_id=uuid4(), session_id=told.session_id,
                station_id=station, evse_id=1, card_id=None, user_id=None,
                started_at=now() - timedelta(minutes=61), ended_at=now(),
                time_zone="Europe/Berlin", energy_wh=4000, currency="EUR",
                total_gross=Decimal("2.31"), total_net=Decimal(0), vat=Decimal(0),
            )
        )  # fmt: skip
        assert await display.cost("FinalCost") == {
            "transactionId": started["transactionId"],
            "cost": 2.31,
            "priceText": "4.000 kWh, 61 min, 2.31 EUR",
        }
        # Nothing more of a session that is over.
        await tell(cost(told.session_id, "9.99", 9000))
        await display.send("Heartbeat", {})
        assert len(display.costs("RunningCost")) == 2
    asking.identity.more.pop("GOOD")


async def test_a_session_delivered_late_or_corrected_is_not_shown_any_more(
    asking: Gateway,
) -> None:
    operator, station = await priced(asking)
    async with displaying(asking, station) as display:
        await display.boot()
        await shows(asking, station)
        sessions: list[UUID] = []
        for ago_s in (7200, 60):
            begun = await display.start(timestamp=stamp(ago_s + 60), meterStart=ago_s)
            await display.stop(begun["transactionId"], timestamp=stamp(ago_s), meterStop=9999)
            told = await asking.told(SessionStarted, len(sessions) + 1, station_id=station)
            sessions.append(told[-1].session_id)

        def closed(session_id: UUID, **more: Any) -> RecordClosed:
            return RecordClosed(
                operator_id=operator, record_id=uuid4(), session_id=session_id,
                station_id=station, evse_id=1, card_id=None, user_id=None, started_at=now(),
                ended_at=now(), time_zone="Europe/Berlin", energy_wh=0, currency="EUR",
                total_gross=Decimal(7), total_net=Decimal(0), vat=Decimal(0), **more,
            )  # fmt: skip

        await asking.service.publish(
            closed(sessions[0]), closed(sessions[1], kind="cancellation"), closed(sessions[1])
        )
        assert (await display.cost("FinalCost"))["cost"] == 7.0


async def test_what_is_under_review_is_shown_as_being_checked_and_once_it_is_decided_the_sum(
    asking: Gateway,
) -> None:
    operator, station = await priced(asking)
    async with displaying(asking, station, KEYS | {"Language": "en"}) as display:
        await display.boot()
        await shows(asking, station)
        begun = await display.start()
        await display.stop(begun["transactionId"], meterStop=9999)
        (told,) = await asking.told(SessionStarted, station_id=station)
        pending = RecordClosed(
            operator_id=operator, record_id=uuid4(), session_id=told.session_id,
            station_id=station, evse_id=1, card_id=None, user_id=None, started_at=now(),
            ended_at=now(), time_zone="Europe/Berlin", energy_wh=0, currency="EUR",
            total_gross=Decimal(7), total_net=Decimal(0), vat=Decimal(0), review="pending",
        )  # fmt: skip
        await asking.service.publish(pending)
        assert await display.cost("SetUserPrice") == {
            "idToken": told.id_token, "priceText": "The amount is being checked",
        }  # fmt: skip
        assert display.costs("FinalCost") == []
        decided = pending.model_dump() | {"id": uuid4(), "review": "valid"}
        await asking.service.publish(RecordReviewed.model_validate(decided))
        assert (await display.cost("FinalCost"))["cost"] == 7.0


async def test_a_station_that_does_not_know_the_extension_is_not_asked_again(
    asking: Gateway,
) -> None:
    _, station = await priced(asking)
    async with displaying(asking, station) as display:
        await display.boot()
        await shows(asking, station)
        display.says = "UnknownMessageId"
        for id_tag in ("GOOD", "ALSO"):
            asking.identity.decisions["ALSO"] = "Accepted"
            await display.send("Authorize", {"idTag": id_tag})
            await display.cost("SetUserPrice")
        await asyncio.sleep(0.5)  # would be sent after the answer to the card
        await display.cost("SetUserPrice")


async def test_staff_say_it_for_a_station_that_does_not(gateway: Gateway) -> None:
    operator, station = await priced(gateway)
    async with displaying(gateway, station, {}) as display:
        async with gateway.service.as_(operator, "commands:write", "status:read") as api:
            url = f"/v1/stations/{station}/cost-display"
            read = {"If-Match": (await api.get(url)).headers["ETag"]}
            answer = await api.put(url, json={"shows_cost": True}, headers=read)
            assert answer.status_code == 200, answer.text
        await display.send("Authorize", {"idTag": "GOOD"})
        told = {"idToken": "GOOD", "priceText": NOW}
        assert await display.cost("SetUserPrice") == told
        # Who shows the card once more, to stop, is not told once more.
        await display.send("Authorize", {"idTag": "good"})
        await asyncio.sleep(0.5)
        assert display.costs("SetUserPrice") == [told]


async def test_the_default_price_is_set_when_it_is_another_and_once_if_it_is_not_taken(
    asking: Gateway,
) -> None:
    operator, station = await priced(asking, time_price=Decimal("0.02"))
    messages = asking.service.app.state.beside.gateway.tariffs.on_price.__self__
    async with displaying(asking, station, KEYS | {"Language": "en"}) as display:
        await display.boot()
        await shows(asking, station)

        async def changed(count: int) -> Any:
            await messages.tell_default_prices()

            async def there() -> Any:
                found = [one for action, one in display.heard if action == "ChangeConfiguration"]
                return found if len(found) >= count else None

            found = await eventually(there)
            assert len(found) == count
            return found[-1]

        text = "0.49 EUR/kWh, 0.02 EUR/min, incl. 19 % VAT"
        first = await changed(1)
        assert first["key"] == "DefaultPrice"
        assert json.loads(first["value"]) == {
            "priceText": text,
            "priceTextOffline": text,
            "chargingPrice": {"kWhPrice": 0.49, "hourPrice": 1.2, "flatFee": 0.0},
        }
        await changed(1)
        messages._sent.clear()  # another replica finds with the station what it was sent
        await changed(1)
        await set_tariffs(asking, operator, {-60: "0.59"})
        assert "0.59" in (await changed(2))["value"]


async def test_that_the_cable_was_pulled_is_understood_and_kept(gateway: Gateway) -> None:
    operator, station = await priced(gateway)
    unplugged = {
        "vendorId": VENDOR, "messageId": "ConnectorUnplugged",
        "data": json.dumps({"transactionId": 1, "timestamp": stamp()}),
    }  # fmt: skip
    async with displaying(gateway, station) as display:
        assert await display.send("DataTransfer", unplugged) == {"status": "Accepted"}
        other = unplugged | {"messageId": "SetUserPrice"}
        assert await display.send("DataTransfer", other) == {"status": "UnknownMessageId"}
    async with gateway.service.as_(operator, "messages:read") as api:
        kept = (await api.get(f"/v1/stations/{station}/notifications")).json()["items"]
    assert [one["payload"] for one in kept] == [other, unplugged]


def test_prices_are_told_with_tax_and_only_if_they_say_it_all() -> None:
    told = SessionCostUpdated(
        session_id=uuid4(), station_id="S", total_gross=Decimal("1.23"), currency="EUR",
        as_of=now(), register_wh=5,
    )  # fmt: skip
    net = PRICES.model_copy(update={"tax_included": False, "time_price": Decimal(0)})
    found = running_cost(7, told, net, idle=False)
    assert found["chargingPrice"] == {"kWhPrice": 0.5831}
    assert found.keys().isdisjoint({"idlePrice", "triggerMeterValue"})
    assert running_cost(7, told, None, idle=True)["chargingPrice"] == {}
    texts = [{"content": "x" * 500}]
    assert default_price(PRICES, texts) is None
    assert len(costmsg.KEYS) == 3
