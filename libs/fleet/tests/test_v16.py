from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.messages import MessageType, get_validator  # type: ignore[import-untyped, unused-ignore]

from fleet import Faults, Vehicle
from fleet import configuration as keys
from fleet.authority import IdToken
from fleet.charging import Charging, Register, Sample
from fleet.configuration import Configuration
from fleet.connectors import Plan, Session
from fleet.dialect import MEASURANDS, Electrics, Identity
from fleet.schemas import violation
from fleet.v16 import V16

AT = datetime(2026, 3, 29, 1, 30, 0, 123_456, tzinfo=UTC)
SAMPLE = Sample(AT, 1_234_567, 10_987, 55, "Sample.Periodic")
SWITCHES = [f.name for f in fields(Faults) if f.type in {bool, "bool"}]


def v16(faults: Faults | None = None, power_w: int = 11_000, dc: bool = False) -> V16:
    configuration = Configuration(
        connectors=2, sample_interval_s=60, allow_offline=True, attempts=3
    )
    return V16(Electrics(power_w, dc), faults or Faults(), configuration)


def session(transaction_id: int | None = None) -> Session:
    charging = Charging(Vehicle(), Register(17 * 3_600_000), 11_000, AT)
    made = Session(1, IdToken("04A2B3C4"), charging, Plan(reservation_id=7), transaction_id)
    charging.advance(AT + timedelta(hours=1))
    made.ended_at, made.meter_stop_wh, made.reason = charging.at, charging.register.wh, "Local"
    return made


def check(action: str, payload: dict[str, Any]) -> None:
    get_validator(MessageType.Call, action, "1.6").validate(payload)
    assert violation("1.6", action, payload) is None


def test_the_plain_messages_are_valid() -> None:
    dialect = v16()
    long = Identity("v" * 99, "m" * 99, "s" * 99, "f" * 99)
    check("BootNotification", dialect.boot(long, "PowerUp"))
    for status in ("Available", "Preparing", "Charging", "SuspendedEV", "Reserved", "Unavailable"):
        check("StatusNotification", dialect.status(0, status, AT).payload())
    check("Authorize", dialect.authorize(IdToken("04A2B3C4")))
    start = dialect.started(session()).payload()
    check("StartTransaction", start)
    assert (start["meterStart"], start["reservationId"]) == (17, 7)
    check("Heartbeat", {})


@pytest.mark.parametrize("dc", [False, True])
@pytest.mark.parametrize("switched", [(), *((name,) for name in SWITCHES), tuple(SWITCHES)])
def test_meter_values_and_stops_are_valid_with_every_fault(
    dc: bool, switched: tuple[str, ...]
) -> None:
    faults = Faults()
    for name in switched:
        setattr(faults, name, True)
    dialect = v16(faults, 50_000, dc)
    for transaction_id in (None, 4711):
        charging = session(transaction_id)
        check("MeterValues", dialect.sampled(1, charging, SAMPLE).payload())
        stop = dialect.ended(charging, IdToken("04A2B3C4"), [SAMPLE, SAMPLE])
        check("StopTransaction", stop.payload())


@given(
    wh=st.integers(0, 2**31 - 1),
    power_w=st.integers(0, 400_000),
    comma=st.booleans(),
    kwh=st.booleans(),
    dc=st.booleans(),
)
def test_the_reported_register_is_exact_in_either_unit(
    wh: int, power_w: int, comma: bool, kwh: bool, dc: bool
) -> None:
    sample = replace(SAMPLE, register_wh=wh, power_w=power_w)
    faults = Faults(decimal_comma=comma, kilowatt_hours=kwh)
    message = v16(faults, 400_000, dc).sampled(1, None, sample).payload()
    check("MeterValues", message)
    register = message["meterValue"][0]["sampledValue"][0]
    assert ("," in register["value"]) >= comma
    text = register["value"].replace(",", ".")
    whole, _, fraction = text.partition(".")
    if kwh:
        assert int(whole) * 1000 + int(fraction.ljust(3, "0")) == wh
        assert register["unit"] == "kWh"
    else:
        assert int(whole) == wh
        assert register["unit"] == "Wh"


def test_what_each_kind_of_charger_measures() -> None:
    ac = v16().meter_value(SAMPLE, list(MEASURANDS))
    dc = v16(power_w=50_000, dc=True).meter_value(SAMPLE, list(MEASURANDS))
    assert {v["measurand"]: (v["value"], v["unit"]) for v in ac["sampledValue"]} == {
        "Energy.Active.Import.Register": ("1234567", "Wh"),
        "Power.Active.Import": ("10987", "W"),
        "Current.Import": ("15.9", "A"),
        "Voltage": ("230", "V"),
    }
    assert dc["sampledValue"][-1]["measurand"] == "SoC"
    assert dc["sampledValue"][-1]["value"] == "55"
    assert ac["timestamp"] == "2026-03-29T01:30:00.123Z"


def test_faults_do_what_they_say() -> None:
    charging = session(5)
    zero = v16(Faults(zero_transaction_id=True)).sampled(1, charging, SAMPLE).payload()
    none = v16(Faults(omit_transaction_id=True)).sampled(1, charging, SAMPLE).payload()
    comma = v16(Faults(decimal_comma=True)).meter_value(SAMPLE, [])
    both = v16(Faults(decimal_comma=True, kilowatt_hours=True)).meter_value(SAMPLE, [])
    assert zero["transactionId"] == 0
    assert "transactionId" not in none
    assert comma["sampledValue"][0]["value"] == "1234567,0"
    assert both["sampledValue"][0]["value"] == "1234,567"


def test_configuration_answers_are_valid_and_refuse_nonsense() -> None:
    configuration = v16().configuration
    for asked in ([], ["HeartbeatInterval", "Nonsense"]):
        answer = configuration.read(asked)
        assert violation("1.6", "GetConfigurationResponse", answer) is None
    assert configuration.read(["Nonsense"])["unknownKey"] == ["Nonsense"]
    assert configuration.change("NumberOfConnectors", "3") == "Rejected"
    assert configuration.change("Nonsense", "3") == "NotSupported"
    assert configuration.change("HeartbeatInterval", "-1") == "Rejected"
    assert configuration.change("HeartbeatInterval", "٣") == "Rejected"
    assert configuration.change("AuthorizeRemoteTxRequests", "maybe") == "Rejected"
    assert configuration.change("MeterValuesSampledData", "Voltage,Mood") == "Rejected"
    assert configuration.change("MeterValueSampleInterval", "900") == "Accepted"
    assert configuration.number("MeterValueSampleInterval") == 900


def test_A05_a_security_profile_is_never_lowered() -> None:
    configuration = v16().configuration
    assert configuration.change(keys.SECURITY_PROFILE, "2") == "Accepted"
    for refused in ("2", "1", "4"):
        assert configuration.change(keys.SECURITY_PROFILE, refused) == "Rejected"
