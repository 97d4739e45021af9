"""OCPP 2.0.1, block J: readings by the clock and by interval, with and without a session."""

from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from gateway_commands import staffed
from gateway_wire import OPERATOR, Gateway, stamp
from told_transaction import (
    ACCEPTED,
    BEGIN,
    CHARGING,
    CONNECTED,
    END,
    IDLE,
    ToldTransaction,
    charging,
    meter,
    metered,
    over,
    row_of,
)

from common.events import MeterReport, SessionStarted
from csms_gateway.tables import SignedMessage

CLOCK, PERIODIC = "Sample.Clock", "Sample.Periodic"
SIGNED = {
    # Base64 of OCMF in a form of its own: spaces, order of members and a final line break count.
    "signedMeterData": "T0NNRnx7ICJWSSI6ICJYIiwgIlJEIjogWyBdIH18eyJTRCI6IjMwIn0K",
    "signingMethod": "ECDSA-secp256r1-SHA256",
    "encodingMethod": "OCMF",
    "publicKey": "",
}


def plain(report: MeterReport) -> list[tuple[str, Decimal, str, str]]:
    return [(one.measurand, one.value, one.unit, one.context) for one in report.samples]


def energy(*values: tuple[int, str]) -> list[tuple[str, Decimal, str, str]]:
    return [
        ("Energy.Active.Import.Register", Decimal(value), "Wh", context)
        for value, context in values
    ]


def gaps_s(moments: list[datetime]) -> list[float]:
    return [(later - one).total_seconds() for one, later in pairwise(moments)]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_J_01_J01_FR_03_FR_14_FR_18_values_by_the_clock_without_a_session_are_of_none(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        for turn in range(3):
            for evse_id in (0, 1, 2):
                sampled = {"value": 100 * evse_id + turn, "context": CLOCK}
                values = [meter(sampled, ago_s=300 - turn * 60)]
                payload = {"evseId": evse_id, "meterValue": values}
                assert await staff.wire.send("MeterValues", payload) == {}
        reports = await metered(gateway, staff.station_id, 9)
        assert len(reports) == 9
        assert {report.session_id for report in reports} == {None}
        for evse_id in (0, 1, 2):
            told = [report for report in reports if report.evse_id == evse_id]
            assert [plain(report) for report in told] == [
                energy((100 * evse_id + turn, CLOCK)) for turn in range(3)
            ]
            at = [report.samples[0].sampled_at for report in told]
            assert gaps_s(at) == pytest.approx([60, 60], abs=5)
        assert await gateway.transactions(station_id=staff.station_id) == []


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_J_01_a_meter_may_also_be_told_as_a_variable_that_changes_by_the_clock(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        for wh in ("100.5", "101.5"):
            event = {
                "eventId": 7, "timestamp": stamp(), "trigger": "Periodic", "actualValue": wh,
                "eventNotificationType": "HardWiredMonitor",
                "component": {"name": "FiscalMetering", "evse": {"id": 1}},
                "variable": {"name": "EnergyImportRegister"},
            }  # fmt: skip
            payload = {"generatedAt": stamp(), "seqNo": 0, "eventData": [event]}
            assert await staff.wire.send("NotifyEvent", payload) == {}
        (variable,) = await staff.variables(component="FiscalMetering")
        assert (variable["evse_id"], variable["value"]) == (1, "101.5")
        kept = await staff.notifications(action="NotifyEvent")
        told = [one["payload"]["eventData"][0]["actualValue"] for one in kept]
        assert sorted(told) == ["100.5", "101.5"]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_J_02_J01_FR_18_FR_22_values_by_the_clock_are_of_the_session_of_their_evse_only(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        for evse_id in (0, 2):
            values = [meter({"value": 77, "context": CLOCK})]
            payload = {"evseId": evse_id, "meterValue": values}
            assert await staff.wire.send("MeterValues", payload) == {}
        for wh in (1100, 1200):
            values = [meter({"value": wh, "context": CLOCK})]
            assert await told.updated("MeterValueClock", meterValue=values) == {}
        # A station may say of a busy EVSE in MeterValues what it says in no event (J01.FR.22).
        volts = {"value": 231.5, "measurand": "Voltage", "phase": "L1-N", "context": CLOCK,
                 "unitOfMeasure": {"unit": "V"}}  # fmt: skip
        payload = {"evseId": 1, "meterValue": [meter(volts)]}
        assert await staff.wire.send("MeterValues", payload) == {}
        reports = await metered(gateway, staff.station_id, 6)
        assert [(one.evse_id, one.session_id, plain(one)) for one in reports] == [
            (1, started.session_id, energy((1000, BEGIN))),
            (0, None, energy((77, CLOCK))),
            (2, None, energy((77, CLOCK))),
            (1, started.session_id, energy((1100, CLOCK))),
            (1, started.session_id, energy((1200, CLOCK))),
            (1, started.session_id, [("Voltage", Decimal("231.5"), "V", CLOCK)]),
        ]
        assert reports[-1].samples[0].phase == "L1-N"
        await told.ended("EVDeparted", IDLE, reason="EVDisconnected", wh=1300)
        # Neither the grid's meter nor the neighbour's counts.
        assert (await over(gateway, told, staff.station_id)).energy_wh == 300


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    ("context", "signed"),
    [
        pytest.param(CLOCK, {}, id="TC_J_03"),
        pytest.param(CLOCK, {"signedMeterValue": SIGNED}, id="TC_J_04"),
        pytest.param(PERIODIC, {}, id="TC_J_10"),
        pytest.param(PERIODIC, {"signedMeterValue": SIGNED}, id="TC_J_11"),
    ],
)
async def test_TC_J_03_J_04_J_10_J_11_J01_FR_21_J02_FR_19_FR_21_all_values_come_with_the_end(
    gateway: Gateway, version: str, context: str, signed: dict[str, Any]
) -> None:
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        # The only register at the start is the one that the end repeats.
        began = {"token": "GOOD", "timestamp": stamp(1800)}
        assert await told.started("Authorized", CHARGING, **began) == ACCEPTED
        # A station that could have told each at once: its clock is not slow, it was set so.
        await gateway.held(staff.station_id, reachable_for_s=86_400)
        values = [
            meter({"value": value, "context": its_context} | signed, ago_s=ago_s)
            for value, its_context, ago_s in (
                (1000, BEGIN, 1800), (1400, context, 1200), (1900, context, 600), (2500, END, 0),
            )
        ]  # fmt: skip
        ended = {"reason": "EVDisconnected", "meterValue": values}
        assert await told.ended("EVCommunicationLost", IDLE, **ended) == {}
        session = await over(gateway, told, staff.station_id)
        assert (session.meter_start_wh, session.meter_stop_wh) == (1000, 2500)
        assert session.energy_wh == 1500
        (report,) = await metered(gateway, staff.station_id)
        assert (report.session_id, report.evse_id) == (session.session_id, 1)
        assert plain(report) == energy((1000, BEGIN), (1400, context), (1900, context), (2500, END))
        at = [sample.sampled_at for sample in report.samples]
        assert gaps_s(at) == pytest.approx([600, 600, 600], abs=5)
        kept = await gateway.rows(SignedMessage, staff.station_id)
        whole = [(one.session_id, one.evse_id, one.payload["meterValue"]) for one in kept]
        # What was signed, byte for byte, each in its place.
        assert whole == ([(session.session_id, 1, values)] if signed else [])
        assert await shown(gateway, told, staff.station_id) == values


async def shown(gateway: Gateway, told: ToldTransaction, station_id: str) -> Any:
    """The readings of the newest event as staff can look them up, whole."""
    row = await row_of(gateway, told, station_id)
    async with gateway.service.as_(OPERATOR, "sessions:read") as api:
        answer = await api.get(f"/v1/transactions/{row['id']}/events")
    return answer.json()["items"][0]["payload"]["meterValue"]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_E06_FR_11_the_reading_that_ends_a_session_is_found_wherever_it_stands(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        values = [
            meter({"value": 1300, "context": END}),
            meter({"value": 1200, "context": CLOCK}, ago_s=1),
        ]
        await told.ended("EVDeparted", reason="EVDisconnected", meterValue=values)
        session = await over(gateway, told, staff.station_id)
        assert (session.meter_stop_wh, session.energy_wh) == (1300, 300)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_J_07_E01_FR_09_J02_FR_06_FR_19_values_come_with_the_start_on_a_known_evse(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire, evse_id=2)
        # A phase's own register and a power are not what the driver is billed by.
        values = [
            meter(
                {"value": 5, "context": BEGIN, "phase": "L1"},
                {"value": 0, "context": BEGIN, "measurand": "Power.Active.Import",
                 "unitOfMeasure": {"unit": "kW"}},
                {"value": 12.345, "context": BEGIN, "unitOfMeasure": {"unit": "kWh"}},
            )
        ]  # fmt: skip
        assert await told.started("CablePluggedIn", CONNECTED, meterValue=values) == {}
        assert await told.updated("Authorized", CONNECTED, token="GOOD") == ACCEPTED
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        assert (started.evse_id, started.meter_start_wh) == (2, 12_345)
        (report,) = await metered(gateway, staff.station_id)
        assert (report.evse_id, report.session_id) == (2, started.session_id)
        assert {one.context for one in report.samples} == {BEGIN}
        assert [(one.measurand, one.value, one.unit, one.phase) for one in report.samples] == [
            ("Energy.Active.Import.Register", Decimal(5), "Wh", "L1"),
            ("Power.Active.Import", Decimal(0), "kW", ""),
            ("Energy.Active.Import.Register", Decimal(12345), "Wh", ""),
        ]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_J_08_E01_FR_17_J02_FR_19_FR_22_values_of_the_start_come_once_the_evse_is_known(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        told = ToldTransaction(staff.wire)
        assert await told.started("Authorized", evse=None, token="GOOD") == ACCEPTED
        evse = {"id": 2, "connectorId": 1}
        values = [meter({"value": 640, "context": BEGIN})]
        await told.updated("CablePluggedIn", CONNECTED, evse=evse, meterValue=values)
        await told.updated("ChargingStateChanged", CHARGING)
        await told.updated("MeterValuePeriodic", wh=700)
        await told.ended("EVDeparted", IDLE, reason="EVDisconnected", wh=900)
        session = await over(gateway, told, staff.station_id)
        assert (session.evse_id, session.meter_start_wh, session.energy_wh) == (2, 640, 260)
        # Later events name no EVSE; their readings are the transaction's own all the same.
        reports = await metered(gateway, staff.station_id, 3)
        assert {(one.evse_id, one.session_id) for one in reports} == {(2, session.session_id)}
        assert [plain(one) for one in reports] == [
            energy((640, BEGIN)), energy((700, PERIODIC)), energy((900, END)),
        ]  # fmt: skip


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_J_09_J02_FR_03_to_06_FR_11_values_at_intervals_keep_what_was_measured_and_where(
    gateway: Gateway, version: str
) -> None:
    async with charging(gateway, version) as (staff, told):
        for wh, unit, multiplier in ((1100, "Wh", 0), (12, "Wh", 2), (1.3, "kWh", 0)):
            values = [
                meter(
                    {"value": wh, "context": PERIODIC,
                     "unitOfMeasure": {"unit": unit, "multiplier": multiplier}},
                    {"value": 7.4, "context": PERIODIC, "measurand": "Power.Active.Import",
                     "phase": "L2", "unitOfMeasure": {"unit": "W", "multiplier": 3}},
                    {"value": 48, "context": PERIODIC, "measurand": "SoC", "location": "EV",
                     "unitOfMeasure": {"unit": "Percent"}},
                )
            ]  # fmt: skip
            assert await told.updated("MeterValuePeriodic", meterValue=values) == {}
        (started,) = await gateway.told(SessionStarted, station_id=staff.station_id)
        _, *reports = await metered(gateway, staff.station_id, 4)
        assert {report.session_id for report in reports} == {started.session_id}
        for report, wh in zip(reports, (1100, 1200, 1300), strict=True):
            assert plain(report) == [
                *energy((wh, PERIODIC)),
                ("Power.Active.Import", Decimal(7400), "W", PERIODIC),
                ("SoC", Decimal(48), "Percent", PERIODIC),
            ]
            where = [(sample.phase, sample.location) for sample in report.samples]
            assert where == [("", ""), ("L2", ""), ("", "EV")]
        # The default unit is Wh, the default measurand the register (SampledValueType).
        assert await told.updated("MeterValuePeriodic", meterValue=[meter({"value": 1400})]) == {}
        *_, last = await metered(gateway, staff.station_id, 5)
        assert plain(last) == energy((1400, ""))
