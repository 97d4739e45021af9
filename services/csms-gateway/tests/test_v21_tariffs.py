"""Tariffs on the station (OCPP 2.1, I07 to I11): billing's in OCPP's words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway_tariffs import TARIFF_ON, authorize, report, set_tariffs
from gateway_wire import EVSE, OPERATOR, V21, Gateway, Wire, accepted, connect_v2
from hypothesis import given
from hypothesis import strategies as st

from common.clock import now
from common.events import PriceLine, TariffChanged
from csms_gateway import schemas
from csms_gateway.charger import Unsupported
from csms_gateway.tariff_texts import Prices, describe
from csms_gateway.v21.tariff_type import tariff_type

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def prices(**changes: Any) -> Prices:
    given: dict[str, Any] = {
        "tariff_id": UUID(int=7), "name": "house", "valid_from": NOON, "currency": "EUR",
        "tax_included": True, "vat_percent": Decimal(19), "energy_price": Decimal("0.49"),
        "time_price": Decimal("0.01"), "start_fee": Decimal("0.35"),
    }  # fmt: skip
    return Prices(**given | changes)


def test_I07_a_tariff_is_told_without_tax_and_with_its_rate() -> None:
    found = tariff_type(prices(), NOON)
    assert found["energy"] == {
        "prices": [{"priceKwh": 0.411765}], "taxRates": [{"type": "VAT", "tax": 19.0}],
    }  # fmt: skip
    assert found["chargingTime"] == found["idleTime"]
    assert found["chargingTime"]["prices"] == [{"priceMinute": 0.008403}]
    assert found["fixedFee"]["prices"] == [{"priceFixed": 0.294118}]
    assert "validFrom" not in found
    net = tariff_type(prices(tax_included=False), NOON - timedelta(hours=1))
    assert net["energy"]["prices"] == [{"priceKwh": 0.49}]
    assert net["validFrom"] == "2026-11-02T12:00:00.000Z"
    plain = tariff_type(prices(time_price=Decimal(0), start_fee=Decimal(0)), NOON)
    assert not plain.keys() & {"chargingTime", "idleTime", "fixedFee"}


def test_people_read_the_price_of_a_kwh_first_then_of_a_minute_then_of_a_session() -> None:
    assert describe(prices()) == (
        "0.49 EUR/kWh, 0.01 EUR/min, 0.35 EUR per session, incl. 19 % VAT"
    )


@given(
    price=st.decimals(0, 999, places=4),
    vat=st.decimals(0, 100, places=2),
    kwh=st.decimals(0, 500, places=3),
)
def test_I07_a_station_that_reckons_with_it_is_never_a_cent_off(
    price: Decimal, vat: Decimal, kwh: Decimal
) -> None:
    found = tariff_type(prices(energy_price=price, vat_percent=vat), NOON)
    schemas.check_outgoing("v21", "SetDefaultTariffRequest", {"evseId": 0, "tariff": found})
    net = Decimal(str(found["energy"]["prices"][0]["priceKwh"]))
    gross = net * kwh * (100 + vat) / 100
    assert abs(gross - price * kwh) < Decimal("0.01")


WITH_VAT = {"vat": "19"}


def element(kind: str, price: str, **restrictions: Any) -> dict[str, Any]:
    """As billing writes it (OCPI's TariffElement)."""
    component = {"type": kind, "price": price, "step_size": 1, **WITH_VAT}
    found: dict[str, Any] = {"price_components": [component]}
    return found | ({"restrictions": restrictions} if restrictions else {})


def defined(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    found = tariff_type(
        prices(tax_included=False, definition={"elements": list(elements), **more}), NOON
    )
    schemas.check_outgoing("v21", "SetDefaultTariffRequest", {"evseId": 0, "tariff": found})
    return found


def test_I07_conditions_of_a_tariff_are_told_in_ocpps_words_and_order() -> None:
    found = defined(
        element("ENERGY", "0.30", start_time="22:00", end_time="06:00", day_of_week=["SUNDAY"]),
        element("ENERGY", "0.39", max_kwh="10", min_power="22.5", start_date="2026-01-01"),
        element("ENERGY", "0.59"),
        element("TIME", "1.20", min_duration=3600, max_current="16"),
        element("PARKING_TIME", "6.00", end_date="2027-01-01"),
        element("FLAT", "0.35", day_of_week=["MONDAY", "TUESDAY"]),
        element("FLAT", "2.00", reservation="RESERVATION"),
        min_price={"excl_vat": "0.84", "incl_vat": "1.00"},
        max_price={"incl_vat": "50"},
    )
    tax = [{"type": "VAT", "tax": 19.0}]
    night = {"startTimeOfDay": "22:00", "endTimeOfDay": "06:00", "dayOfWeek": ["Sunday"]}
    fast = {"maxEnergy": 10_000.0, "minPower": 22_500.0, "validFromDate": "2026-01-01"}
    assert found["energy"]["prices"] == [
        {"priceKwh": 0.3, "conditions": night},
        {"priceKwh": 0.39, "conditions": fast},
        {"priceKwh": 0.59},
    ]
    assert found["chargingTime"]["prices"] == [
        {"priceMinute": 0.02, "conditions": {"minTime": 3600, "maxCurrent": 16.0}}
    ]
    until = {"validToDate": "2027-01-01"}
    assert found["idleTime"]["prices"] == [{"priceMinute": 0.1, "conditions": until}]
    weekdays = {"dayOfWeek": ["Monday", "Tuesday"]}
    assert found["fixedFee"]["prices"] == [{"priceFixed": 0.35, "conditions": weekdays}]
    assert found["reservationFixed"]["prices"] == [{"priceFixed": 2.0}]
    assert all(found[name]["taxRates"] == tax for name in ("energy", "chargingTime", "fixedFee"))
    assert (found["minCost"], found["maxCost"]) == (
        {"exclTax": 0.84, "inclTax": 1.0}, {"inclTax": 50.0},
    )  # fmt: skip


def test_I07_prices_with_tax_are_told_without_and_no_tax_is_not_0_percent() -> None:
    untaxed = element("ENERGY", "0.49")
    del untaxed["price_components"][0]["vat"]
    assert defined(untaxed)["energy"] == {"prices": [{"priceKwh": 0.49}]}
    gross = prices(definition={"elements": [element("ENERGY", "0.49")]})
    assert tariff_type(gross, NOON)["energy"]["prices"] == [{"priceKwh": 0.411765}]


def in_steps() -> dict[str, Any]:
    found = element("ENERGY", "0.49")
    found["price_components"][0]["step_size"] = 1000
    return found


def of_another_rate() -> dict[str, Any]:
    found = element("ENERGY", "0.59")
    found["price_components"][0]["vat"] = "7"
    return found


@pytest.mark.parametrize(
    ("elements", "more", "why"),
    [
        ([element("ENERGY", "0.49")], {"idle_fee": {"price_per_min": "0.1"}}, "blocking"),
        ([element("ENERGY", "0.49")], {"caps": {"ENERGY": "20"}}, "caps"),
        ([in_steps()], {}, "in steps"),
        ([element("ENERGY", "0.49", max_kwh="5"), of_another_rate()], {}, "rate of VAT"),
        ([element("FLAT", "1", min_kwh="5")], {}, "how the session goes"),
        ([element("ENERGY", "1", reservation="RESERVATION")], {}, "ENERGY for RESERVATION"),
        ([element("FLAT", "1", reservation="RESERVATION_EXPIRES")], {}, "RESERVATION_EXPIRES"),
    ],
)
def test_I07_what_ocpp_cannot_say_is_left_out_with_its_reason(
    elements: list[dict[str, Any]], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(Unsupported, match=why):
        defined(*elements, **more)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("ConditionsSupported", "false", "does not support"),
        ("MaxElements", "1", "2 prices of one kind, the station takes 1"),
        ("ConditionsSupported", "true", None),
        ("MaxElements", "2", None),
    ],
)
async def test_I07_a_station_is_told_no_more_than_it_can_reckon_with(
    gateway: Gateway, variable: str, value: str, why: str | None
) -> None:
    operator = uuid4()
    station = await gateway.add_station(operator=operator)
    elements = [element("ENERGY", "0.39", max_kwh="10"), element("ENERGY", "0.59")]
    texts = {"en": "0.39 EUR/kWh (up to 10 kWh), otherwise 0.59 EUR/kWh", "de": "so"}
    lines = (PriceLine(part="energy", texts=texts),)
    (told,) = await set_tariffs(
        gateway, operator, {-3600: "0.59"}, definition={"elements": elements}, lines=lines
    )
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON | {("TariffCostCtrlr", variable, "Tariff"): value})
        message = (await authorize(wire))["personalMessage"]
        assert message["content"] == texts["en"]
        async with gateway.service.as_(operator, "commands:write") as api:
            body = {"type": "set_default_tariff", "evse_id": 0}
            url = f"/v1/stations/{station}/commands"
            if why:
                answer = await api.post(url, json=body, params={"wait_s": 10})
                assert answer.json()["state"] == "failed"
                assert why in answer.json()["result"]["description"]
                return
        sent = await accepted(gateway, socket, station, body, operator)
        assert sent["tariff"]["tariffId"] == str(told.tariff_id)
        assert len(sent["tariff"]["energy"]["prices"]) == 2


async def priced(gateway: Gateway, operator: UUID) -> list[TariffChanged]:
    """The tariffs of an operator whose prices the gateway knows by then; the second holds now."""
    unpriced = TariffChanged(operator_id=operator, tariff_id=uuid4(), name="x", valid_from=now())
    await gateway.service.publish(unpriced)
    return await set_tariffs(gateway, operator, {-7200: "0.59", -3600: "0.49", 3600: "0.99"})


async def test_I07_a_default_tariff_that_is_not_given_is_the_operators_own(
    gateway: Gateway,
) -> None:
    operator = uuid4()
    station = await gateway.add_station(operator=operator)
    told = await priced(gateway, operator)
    async with connect_v2(gateway, station, V21) as socket:
        body = {"type": "set_default_tariff", "evse_id": 0}
        sent = await accepted(gateway, socket, station, body, operator)
        assert sent["evseId"] == 0
        assert sent["tariff"]["tariffId"] == str(told[1].tariff_id)
        assert sent["tariff"]["energy"]["prices"] == [{"priceKwh": 0.411765}]
        given = {"tariffId": "mine", "currency": "EUR"}
        sent = await accepted(gateway, socket, station, body | {"tariff": given}, operator)
        assert sent["tariff"] == given


@pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
async def test_I07_without_a_tariff_or_on_2_0_1_the_command_says_so(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connected(station, version):
        async with gateway.service.as_(OPERATOR, "commands:write") as api:
            body = {"type": "set_default_tariff", "evse_id": 0}
            url = f"/v1/stations/{station}/commands"

            answer = await api.post(url, json=body, params={"wait_s": 10})
        if version == V21:
            assert answer.json()["state"] == "failed"
            assert "no tariff" in answer.json()["result"]["description"]
        else:
            assert answer.json()["title"] == "The station's version of OCPP has no such command"


async def test_I08_nobody_has_a_tariff_of_their_own_so_that_of_the_station_holds(
    gateway: Gateway,
) -> None:
    """I08.FR.01 wants a tariff in the answer only for a driver who has one of their own. Billing
    knows none of those, so it never is there, and the station reckons with its default.
    """
    operator = uuid4()
    station = await gateway.add_station(operator=operator)
    _, current, _ = await priced(gateway, operator)
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        body = {"type": "set_default_tariff", "evse_id": 0}
        sent = await accepted(gateway, socket, station, body, operator)
        token = {"idToken": "GOOD", "type": "ISO14443"}
        answer = await wire.send("Authorize", {"idToken": token})
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        used = {"tariffId": sent["tariff"]["tariffId"]}
        answer = await wire.event(
            "Started", 0, "Authorized", transaction="tx-1", token="GOOD", evse=EVSE, info=used
        )
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
    async with gateway.service.as_(operator, "sessions:read") as api:
        page = await api.get("/v1/transactions", params={"station_id": station})
    (known,) = page.json()["items"]
    assert known["details"] == {"tariffId": str(current.tariff_id)}
