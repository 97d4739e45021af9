from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.messages import MessageType, get_validator  # type: ignore[import-untyped, unused-ignore]

from fleet import Faults, v16
from fleet.charging import Sample
from fleet.configuration import Configuration
from fleet.schemas import violation

AT = datetime(2026, 3, 29, 1, 30, 0, 123_456, tzinfo=UTC)
SAMPLE = Sample(AT, 1_234_567, 10_987, 55, "Sample.Periodic")
SWITCHES = [f.name for f in fields(Faults) if f.type in {bool, "bool"}]


def check(action: str, payload: dict[str, Any]) -> None:
    get_validator(MessageType.Call, action, "1.6").validate(payload)
    assert violation(action, payload) is None


def test_the_plain_messages_are_valid() -> None:
    check(
        "BootNotification",
        v16.boot_notification(vendor="v" * 99, model="m" * 99, serial="s" * 99, firmware="f" * 99),
    )
    for status in ("Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Unavailable"):
        check("StatusNotification", v16.status_notification(0, status, AT))
    check("Authorize", v16.authorize("04A2B3C4"))
    check("StartTransaction", v16.start_transaction(1, "04A2B3C4", 17, AT))
    check("Heartbeat", {})


@pytest.mark.parametrize("dc", [False, True])
@pytest.mark.parametrize("switched", [(), *((name,) for name in SWITCHES), tuple(SWITCHES)])
def test_meter_values_and_stops_are_valid_with_every_fault(
    dc: bool, switched: tuple[str, ...]
) -> None:
    faults = Faults(**dict.fromkeys(switched, True))
    value = v16.meter_value(SAMPLE, v16.Electrics(50_000, dc), faults)
    for transaction_id in (None, 4711):
        check("MeterValues", v16.meter_values(1, transaction_id, [value], faults))
        check(
            "StopTransaction",
            v16.stop_transaction(
                transaction_id,
                meter_wh=18,
                at=AT,
                reason="DeAuthorized",
                id_tag="04A2B3C4",
                data=[value, value],
                faults=faults,
            ),
        )


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
    value = v16.meter_value(sample, v16.Electrics(400_000, dc), faults)
    check("MeterValues", v16.meter_values(1, 1, [value], faults))
    register = value["sampledValue"][0]
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
    ac = v16.meter_value(SAMPLE, v16.Electrics(11_000), Faults())
    dc = v16.meter_value(SAMPLE, v16.Electrics(50_000, dc=True), Faults())
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
    zero = v16.meter_values(1, 5, [], Faults(zero_transaction_id=True))
    none = v16.meter_values(1, 5, [], Faults(omit_transaction_id=True))
    comma = v16.meter_value(SAMPLE, v16.Electrics(), Faults(decimal_comma=True))
    both = v16.meter_value(SAMPLE, v16.Electrics(), Faults(decimal_comma=True, kilowatt_hours=True))
    assert zero["transactionId"] == 0
    assert "transactionId" not in none
    assert comma["sampledValue"][0]["value"] == "1234567,0"
    assert both["sampledValue"][0]["value"] == "1234,567"


def test_configuration_answers_are_valid_and_refuse_nonsense() -> None:
    configuration = Configuration(
        connectors=2, sample_interval_s=60, allow_offline=True, attempts=3
    )
    for asked in ([], ["HeartbeatInterval", "Nonsense"]):
        assert violation("GetConfigurationResponse", configuration.read(asked)) is None
    assert configuration.read(["Nonsense"])["unknownKey"] == ["Nonsense"]
    assert configuration.change("NumberOfConnectors", "3") == "Rejected"
    assert configuration.change("Nonsense", "3") == "NotSupported"
    assert configuration.change("HeartbeatInterval", "-1") == "Rejected"
    assert configuration.change("HeartbeatInterval", "٣") == "Rejected"
    assert configuration.change("AuthorizeRemoteTxRequests", "maybe") == "Rejected"
    assert configuration.change("MeterValuesSampledData", "Voltage,Mood") == "Rejected"
    assert configuration.change("MeterValueSampleInterval", "900") == "Accepted"
    assert configuration.number("MeterValueSampleInterval") == 900
