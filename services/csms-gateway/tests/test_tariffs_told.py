"""OCPP 2.x, I01 and I06: a driver reads what charging costs before it begins, and what holds."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from gateway_tariffs import TARIFF_ON, Variables, authorize, report, set_tariffs, shown
from gateway_wire import EVSE, V21, Gateway, Wire, accepted, connect_v2, stamp
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from common.price_words import LANGUAGES
from csms_gateway import schemas, tariffs_told
from csms_gateway.tariff_texts import Prices, describe, display, messages, texts_of

VERSIONS = pytest.mark.parametrize("version", ["ocpp2.0.1", V21])
MESSAGES_ON: Variables = {("DisplayMessageCtrlr", "Enabled", ""): "true"}
FIELD = "MessageContentType.content"
OLD = "0.39 EUR/kWh, incl. 19 % VAT"
NOW = "0.49 EUR/kWh, incl. 19 % VAT"


async def say_that_it_shows_costs(gateway: Gateway, operator: UUID, station: str) -> None:
    async with gateway.service.as_(operator, "commands:write", "status:read") as api:
        url = f"/v1/stations/{station}/cost-display"
        read = {"If-Match": (await api.get(url)).headers["ETag"]}
        answer = await api.put(url, json={"shows_cost": True}, headers=read)
    assert answer.status_code == 200, answer.text


async def priced_station(gateway: Gateway, told: dict[float, str]) -> tuple[UUID, str]:
    operator = uuid4()
    await set_tariffs(gateway, operator, told)
    return operator, await gateway.add_station(operator=operator)


@VERSIONS
@pytest.mark.parametrize(
    "variables",
    [
        TARIFF_ON,
        MESSAGES_ON,
        {("tariffcostctrlr", "AVAILABLE", "tariff"): "True"},
        TARIFF_ON | {("DisplayMessageCtrlr", "Enabled", ""): "false"},
        MESSAGES_ON | {("TariffCostCtrlr", "Enabled", "Tariff"): "false"},
        MESSAGES_ON | {("DisplayMessageCtrlr", "PersonalMessageSize", ""): str(len(NOW))},
        None,
    ],
)
async def test_I01_FR_01_a_driver_reads_the_price_at_a_station_that_shows_it(
    gateway: Gateway, version: str, variables: Variables | None
) -> None:
    operator, station = await priced_station(gateway, {-7200: "0.39", -3600: "0.49", 3600: "0.99"})
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        if variables is None:
            await say_that_it_shows_costs(gateway, operator, station)
        else:
            await report(wire, variables)
        assert await authorize(wire) == {"status": "Accepted", "personalMessage": shown(NOW)}


@VERSIONS
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {("TariffCostCtrlr", "Enabled", "Cost"): "true"},
        {
            ("TariffCostCtrlr", "Available", "Tariff"): "true",
            ("TariffCostCtrlr", "Enabled", "Tariff"): "false",
        },
        MESSAGES_ON | {("DisplayMessageCtrlr", "SupportedFormats", ""): "URI,HTML"},
        MESSAGES_ON | {("DisplayMessageCtrlr", "PersonalMessageSize", ""): str(len(NOW) - 1)},
        TARIFF_ON | {("OCPPCommCtrlr", "FieldLength", FIELD): "20"},
    ],
)
async def test_I01_FR_02_a_station_that_cannot_show_the_whole_price_is_told_none(
    gateway: Gateway, version: str, variables: Variables
) -> None:
    _, station = await priced_station(gateway, {-3600: "0.49"})
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, variables)
        assert await authorize(wire) == {"status": "Accepted"}
        answer = await wire.event(
            "Started", 0, "Authorized", transaction="tx-1", token="GOOD", evse=EVSE
        )
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        # Once it says that it can, it is.
        able = TARIFF_ON | {("DisplayMessageCtrlr", "PersonalMessageSize", ""): "255"}
        able |= {("DisplayMessageCtrlr", "SupportedFormats", ""): "ASCII"}
        await report(wire, able | {("OCPPCommCtrlr", "FieldLength", FIELD): "512"})
        answer = await wire.event("Updated", 1, "MeterValuePeriodic", transaction="tx-1")
        assert answer["updatedPersonalMessage"] == shown(NOW, "en", "ASCII")


@VERSIONS
async def test_I01_and_I06_in_the_stations_language_and_format(
    gateway: Gateway, version: str
) -> None:
    operator = uuid4()
    await set_tariffs(
        gateway, operator, {-3600: "0.4900"}, time_price=Decimal("0.05"),
        start_fee=Decimal("1.50"), tax_included=False,
    )  # fmt: skip
    station = await gateway.add_station(operator=operator)
    german = "0,4900 EUR/kWh; 0,05 EUR/min; 1,50 EUR je Ladevorgang; zzgl. 19 % MwSt."
    english = "0.4900 EUR/kWh, 0.05 EUR/min, 1.50 EUR per session, plus 19 % VAT"
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        about = {
            ("DisplayMessageCtrlr", "Language", ""): "de-AT",
            ("DisplayMessageCtrlr", "SupportedFormats", ""): "ASCII,URI",
        }
        await report(wire, MESSAGES_ON | about)
        expected = shown(german, "de", "ASCII")
        assert (await authorize(wire))["personalMessage"] == expected
        answer = await wire.event(
            "Started", 0, "Authorized", transaction="tx-1", token="GOOD", evse=EVSE
        )
    extra = {"updatedPersonalMessageExtra": [shown(english, "en", "ASCII")]}
    assert answer == {
        "idTokenInfo": {"status": "Accepted"}, "updatedPersonalMessage": expected,
        **(extra if version == V21 else {}),
    }  # fmt: skip


@VERSIONS
async def test_I01_who_cannot_begin_a_session_is_told_no_price(
    gateway: Gateway, version: str
) -> None:
    _, station = await priced_station(gateway, {-3600: "0.49"})
    gateway.identity.decisions |= {"PASS": "Accepted", "OVER": "Expired"}
    gateway.identity.more |= {
        "PASS": {"master_pass": True}, "OVER": {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)},
    }  # fmt: skip
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        for id_token in ("BAD", "STRANGER", "PASS", "OVER"):
            assert "personalMessage" not in await authorize(wire, id_token)
            answer = await wire.event(
                "Started", 0, "Authorized", transaction=id_token, token=id_token, evse=EVSE
            )
            assert answer.keys() == {"idTokenInfo"}
        # Nobody is billed where the station asks nobody.
        nobody = {"idToken": "", "type": "NoAuthorization"}
        answer = await wire.event(
            "Started", 0, "CablePluggedIn", transaction="tx-1", idToken=nobody, evse=EVSE
        )
        assert answer == {"idTokenInfo": {"status": "Accepted"}}


async def test_I01_who_has_paid_elsewhere_was_told_the_price_there(gateway: Gateway) -> None:
    operator, station = await priced_station(gateway, {-3600: "0.49"})
    async with connect_v2(gateway, station, V21) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        paid = {"type": "remote_start", "id_token": "PSP-1", "id_token_type": "DirectPayment"}
        await accepted(gateway, socket, station, paid, operator)
        assert await authorize(wire, "PSP-1", "DirectPayment") == {"status": "Accepted"}


@VERSIONS
@pytest.mark.parametrize("change_s", [-30, 120])
async def test_I01_and_I06_FR_02_a_price_that_could_be_another_is_told_once_the_session_has_begun(
    gateway: Gateway, version: str, change_s: float
) -> None:
    _, station = await priced_station(gateway, {-7200: "0.39", change_s: "0.49"})
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        assert await authorize(wire) == {"status": "Accepted"}
        answer = await wire.event(
            "Started", 0, "Authorized", transaction="tx-1", token="GOOD", evse=EVSE
        )
        holds = NOW if change_s < 0 else OLD
        assert answer["updatedPersonalMessage"] == shown(holds)


@VERSIONS
async def test_I06_FR_01_and_02_the_price_is_that_of_the_start_however_late_the_card(
    gateway: Gateway, version: str
) -> None:
    _, station = await priced_station(gateway, {-7200: "0.39", -600: "0.49"})
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        # The cable was plugged in twenty minutes ago; the station was offline then.
        answer = await wire.event(
            "Started", 0, "CablePluggedIn", transaction="tx-1", evse=EVSE, offline=True,
            timestamp=stamp(1200),
        )  # fmt: skip
        assert answer == {}
        assert await authorize(wire) == {"status": "Accepted"}  # this session, or a new one?
        answer = await wire.event("Updated", 1, "Authorized", transaction="tx-1", token="GOOD")
        assert answer["updatedPersonalMessage"] == shown(OLD)
        # Once; and again if the answer was lost.
        at = stamp()
        seen = [
            await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", transaction="tx-1", timestamp=at
            )
            for seq_no in (2, 3)
        ]
        assert seen == [{}, {}]
        # Who shows the card to end it is not told today's price.
        assert await authorize(wire) == {"status": "Accepted"}
        await wire.event("Ended", 4, "StopAuthorized", transaction="tx-1", token="GOOD")
        assert (await authorize(wire))["personalMessage"] == shown(NOW)


@VERSIONS
async def test_I06_FR_02_an_answer_that_was_lost_is_given_again(
    gateway: Gateway, version: str
) -> None:
    _, station = await priced_station(gateway, {-3600: "0.49"})
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        said = {"transaction": "tx-1", "token": "GOOD", "evse": EVSE, "timestamp": stamp()}
        answers = [await wire.event("Started", 0, "Authorized", **said) for _ in range(2)]
        assert answers[0]["updatedPersonalMessage"] == shown(NOW)
        assert answers[1] == answers[0]


@VERSIONS
async def test_I06_FR_01_each_update_is_a_moment_to_tell_what_is_known_by_then(
    gateway: Gateway, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, station = await priced_station(gateway, {-7200: "0.39"})
    tariffs = gateway.service.app.state.beside.gateway.tariffs
    monkeypatch.setattr(tariffs, "check_s", 0.0)
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        seq_no = 0

        async def answer(**more: Any) -> Any:
            nonlocal seq_no
            seq_no += 1
            found = await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", transaction="tx-1", **more
            )
            return found.get("updatedPersonalMessage")

        told = await wire.event(
            "Started", 0, "Authorized", transaction="tx-1", token="GOOD", evse=EVSE
        )
        assert told["updatedPersonalMessage"] == shown(OLD)
        assert await answer() is None
        # Billing's tariff of an hour ago, of which the gateway has not heard until now.
        await set_tariffs(gateway, operator, {-3600: "0.49"})
        assert await answer(offline=True) is None  # nobody stands there
        assert await answer() == shown(NOW)
        assert await answer() is None
        # The session keeps its price, whatever holds by now.
        await set_tariffs(gateway, operator, {0: "0.59"})
        assert await answer() is None


@VERSIONS
async def test_I01_a_price_that_is_not_there_in_time_delays_no_driver(
    gateway: Gateway, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tariffs_told, "LATEST_S", 0.5)
    _, station = await priced_station(gateway, {-3600: "0.49"})
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await report(wire, TARIFF_ON)
        async with gateway.service.app.state.parts.connections.begin("*") as db:
            await db.execute(text("lock table csms_gateway.tariff in access exclusive mode"))
            began_s = time.monotonic()
            assert await authorize(wire) == {"status": "Accepted"}
            answer = await wire.event(
                "Started", 0, "Authorized", transaction="tx-1", token="GOOD", evse=EVSE
            )
            assert answer == {"idTokenInfo": {"status": "Accepted"}}
            assert time.monotonic() - began_s < 8  # the lock would have them wait for ever
        monkeypatch.undo()
        answer = await wire.event("Updated", 1, "MeterValuePeriodic", transaction="tx-1")
        assert answer["updatedPersonalMessage"] == shown(NOW)


AMOUNT = st.decimals(0, 999_999, places=4)


@given(
    prices=st.builds(
        Prices, tariff_id=st.uuids(), name=st.text(), valid_from=st.just(datetime.now(UTC)),
        currency=st.sampled_from(["EUR", "CHF"]), tax_included=st.booleans(),
        vat_percent=st.decimals(0, 100, places=2), energy_price=AMOUNT, time_price=AMOUNT,
        start_fee=AMOUNT,
    ),
    most=st.integers(0, 200),
    language=st.sampled_from(["de", "en", "fr"]),
)  # fmt: skip
def test_a_text_is_whole_and_in_the_first_language_or_there_is_none(
    prices: Prices, most: int, language: str
) -> None:
    told = {
        "displaymessagectrlr.enabled.": "true",
        "displaymessagectrlr.language.": language,
        "displaymessagectrlr.personalmessagesize.": str(most),
    }
    able = display(None, told)
    assert able is not None
    assert able.language == ("en" if language == "fr" else language)
    found = messages(texts_of(prices), able)
    whole = describe(prices, able.language)
    assert whole.isascii()
    assert bool(found) == (len(whole) <= most)
    for version in ("v201", "v21"):
        for one in found:
            assert one["content"] == describe(prices, one["language"])
            answer = {"idTokenInfo": {"status": "Accepted", "personalMessage": one}}
            schemas.check_outgoing(version, "AuthorizeResponse", answer)
    assert {one["language"] for one in found} <= LANGUAGES.keys()
