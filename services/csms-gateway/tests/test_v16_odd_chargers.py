"""OCPP 1.6 from chargers of poor quality: what they say oddly, and what must come of it."""

import time
from typing import Any

import pytest
from gateway_wire import Gateway, Wire, kinds, stamp

from common.events import IncidentOpened, MeterValuesReported, SessionEnded
from csms_gateway.schemas import Violation
from csms_gateway.tables import SignedMessage, UnmatchedMessage
from csms_gateway.v16.start_transaction import register

SIGNED = {"value": 'OCMF|{"FV":"1.0"}|{"SD":"ff"}', "format": "SignedData"}


async def reported(gateway: Gateway, station: str) -> dict[str, tuple[Any, int]]:
    """The session and EVSE of each reading that was told, by its value."""
    reports = await gateway.reported(MeterValuesReported, station)
    return {str(one.value): (r.session_id, r.evse_id) for r in reports for one in r.samples}


@pytest.mark.parametrize("text", ["1e300000", "-1e300000", "1e999999999999", "NaN", "", "1" * 65])
def test_R8_a_register_that_is_no_meter_s_is_refused_at_once(text: str) -> None:
    began_s = time.process_time()
    with pytest.raises(Violation):
        register({"meterStart": text}, "meterStart")
    assert time.process_time() - began_s < 0.5


@pytest.mark.parametrize(
    ("told", "wh"), [("12500", 12500), (12500.0, 12500), ("12500,0", 12500), (-5, -5), (" 7 ", 7)]
)
def test_a_register_is_read_as_the_charger_meant_it(told: object, wh: int) -> None:
    assert register({"meterStart": told}, "meterStart") == wh


@pytest.mark.parametrize("transaction_id", [-1, 0, 2_000_000_000])
async def test_R3_readings_in_a_stop_of_no_known_id_are_of_the_session_it_ends(
    gateway: Gateway, transaction_id: int
) -> None:
    station = await gateway.add_station()
    data = [{"timestamp": stamp(), "sampledValue": [{"value": "1499"}, SIGNED]}]
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await wire.start(connectorId=2)
        assert await wire.stop(transaction_id, transactionData=data) == {}
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert kinds(end) == ["stop_matched"]
    assert await reported(gateway, station) == {"1499": (end.session_id, 2)}
    (signed,) = await gateway.rows(SignedMessage, station)
    assert (signed.session_id, signed.evse_id) == (end.session_id, 2)
    assert await gateway.rows(UnmatchedMessage, station) == []


async def test_readings_in_a_stop_are_of_the_evse_that_was_charging(gateway: Gateway) -> None:
    station = await gateway.add_station()
    data = [{"timestamp": stamp(), "sampledValue": [{"value": "1498"}, SIGNED]}]
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        started = await wire.start(connectorId=2)
        assert await wire.stop(started["transactionId"], transactionData=data) == {}
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert await reported(gateway, station) == {"1498": (end.session_id, 2)}
    (signed,) = await gateway.rows(SignedMessage, station)
    assert (signed.session_id, signed.evse_id) == (end.session_id, 2)


async def test_R3_readings_in_a_stop_without_a_start_are_kept_with_it_once(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    stop = {
        "timestamp": stamp(),
        "transactionData": [{"timestamp": stamp(), "sampledValue": [{"value": "1497"}, SIGNED]}],
    }
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        for _ in range(2):
            assert await wire.stop(1_999_999_999, **stop) == {}
    await gateway.told(SessionEnded, station_id=station)
    assert await reported(gateway, station) == {"1497": (None, 0)}
    assert len(await gateway.rows(SignedMessage, station)) == 1
    kept = await gateway.rows(UnmatchedMessage, station)
    assert [one.action for one in kept] == ["StopTransaction"]


async def test_R3_a_second_stop_that_says_otherwise_is_kept_whole_and_told_once(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        number = (await wire.start())["transactionId"]
        assert await wire.stop(number) == {}
        other = {"meterStop": 9000, "timestamp": stamp()}
        for _ in range(3):
            assert await wire.stop(number, **other) == {}
        assert await wire.stop(number, meterStop=9001) == {}
    told = await gateway.told(IncidentOpened, 2, station_id=station)
    assert [event.incident.kind for event in told] == ["stop_repeated"] * 2
    kept = await gateway.rows(UnmatchedMessage, station)
    assert sorted(one.payload["meterStop"] for one in kept) == [9000, 9001]
    assert {one.session_id for one in kept} == {told[0].session_id}


async def test_R2_a_start_repeated_after_its_stop_takes_no_later_readings(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        at = stamp()
        started = await wire.start(timestamp=at)
        assert await wire.stop(started["transactionId"]) == {}
        assert (await wire.start(timestamp=at))["transactionId"] == started["transactionId"]
        assert await wire.meter("4321") == {}
    assert await reported(gateway, station) == {"4321": (None, 1)}
