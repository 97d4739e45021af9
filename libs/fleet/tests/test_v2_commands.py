"""What servers of OCPP 2.0.1 and 2.1 may tell a charger; both ways are validated by schema."""

from datetime import timedelta
from typing import Any

import ocpp.exceptions
import pytest

from fleet import Charger, Vehicle

from .fake_csms import FakeCsms
from .second import CALLS, TOKEN, charger_of


async def test_H01_a_reserved_connector_is_for_its_token_alone(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    later = (charger.clock() + timedelta(hours=10)).isoformat()
    reserve = call.ReserveNow(id=9, expiry_date_time=later, id_token=TOKEN, evse_id=1)
    assert (await csms.command(reserve)).status == "Accepted"
    await charger.drain()
    assert csms.statuses(1)[-1] == "Reserved"
    await charger.plug_in(1, Vehicle())
    assert await charger.tap(1, "OTHER") == "Invalid"
    assert await charger.tap(1, "APP1") == "Accepted"
    await csms.until("TransactionEvent")
    assert csms.events("Started")[0]["reservationId"] == 9
    cancel = call.CancelReservation(reservation_id=9)
    assert (await csms.command(cancel)).status == "Rejected"  # it is used up


async def test_H04_a_reservation_expires_and_the_server_is_told(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    # Five seconds of ours: time for the command to arrive, on a busy machine too.
    soon = (charger.clock() + timedelta(minutes=100)).isoformat()
    reserve = call.ReserveNow(id=9, expiry_date_time=soon, id_token=TOKEN)
    assert (await csms.command(reserve)).status == "Accepted"
    updates = await csms.until("ReservationStatusUpdate")
    assert updates == [{"reservationId": 9, "reservationUpdateStatus": "Expired"}]
    await charger.drain()
    assert csms.statuses(1)[-1] == "Available"


async def test_D01_the_local_list_decides_while_the_charger_is_offline(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    entries = [
        {"id_token": {"id_token": "LISTED", "type": "ISO14443"},
         "id_token_info": {"status": "Accepted"}},
        {"id_token": {"id_token": "LOST", "type": "ISO14443"},
         "id_token_info": {"status": "Blocked"}},
    ]  # fmt: skip
    send = call.SendLocalList(
        version_number=4, update_type="Full", local_authorization_list=entries
    )
    assert (await csms.command(send)).status == "Accepted"
    assert (await csms.command(call.GetLocalListVersion())).version_number == 4
    older = call.SendLocalList(version_number=4, update_type="Differential")
    assert (await csms.command(older)).status == "VersionMismatch"
    await charger.go_offline()
    await charger.plug_in(1, Vehicle())
    assert await charger.tap(1, "LOST") == "Blocked"
    assert await charger.tap(1, "UNHEARD") == "Offline"
    assert await charger.tap(1, "listed") == "Accepted"
    assert charger.connector(1).session is not None


async def test_B05_B06_variables_are_read_and_set(csms: FakeCsms, two: tuple[Charger, Any]) -> None:
    charger, call = two
    interval = {"component": {"name": "SampledDataCtrlr"},
                "variable": {"name": "TxUpdatedInterval"}}  # fmt: skip
    password = {"component": {"name": "SecurityCtrlr"},
                "variable": {"name": "BasicAuthPassword"}}  # fmt: skip
    wanted = [
        interval | {"attribute_value": "900"},
        password | {"attribute_value": "short"},
        password | {"attribute_value": "a-much-longer-password"},
        {"component": {"name": "Nowhere"}, "variable": {"name": "X"}, "attribute_value": "1"},
        {"component": {"name": "TxCtrlr"}, "variable": {"name": "X"}, "attribute_value": "1"},
        {"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"},
         "attribute_value": "ParkingBayOccupancy"},
    ]  # fmt: skip
    answer = await csms.command(call.SetVariables(set_variable_data=wanted))
    assert [result["attribute_status"] for result in answer.set_variable_result] == [
        *("Accepted", "Rejected", "Accepted", "UnknownComponent", "UnknownVariable", "Rejected")
    ]
    power = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
    answer = await csms.command(call.GetVariables(get_variable_data=[interval, password, power]))
    results = answer.get_variable_result
    assert [result.get("attribute_value") for result in results] == ["900", None, "11000"]
    assert results[1]["attribute_status"] == "Rejected"
    await charger.cut()
    await csms.until("StatusNotification", 2)
    assert csms.requests[-1].headers["Authorization"].startswith("Basic ")


async def test_B07_a_base_report_comes_in_parts_and_has_every_variable_once(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    _, call = two
    report = call.GetBaseReport(request_id=3, report_base="FullInventory")
    assert (await csms.command(report)).status == "Accepted"
    count = 1
    while (parts := await csms.until("NotifyReport", count))[-1]["tbc"]:
        count += 1
    assert len(parts) > 3 and [part["seqNo"] for part in parts] == list(range(len(parts)))
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
    names = [
        (str(entry["component"]), str(entry["variable"]))
        for part in parts
        for entry in part["reportData"]
    ]
    assert len(names) == len(set(names)) > 50
    nothing = call.GetReport(request_id=4, component_criteria=["Problem"])
    assert (await csms.command(nothing)).status == "EmptyResultSet"


async def test_N04_a_watched_variable_that_changes_is_an_event(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    _, call = two
    about = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    monitor = about | {"value": 1000, "type": "UpperThreshold", "severity": 5}
    answer = await csms.command(call.SetVariableMonitoring(set_monitoring_data=[monitor]))
    (result,) = answer.set_monitoring_result
    assert result["status"] == "Accepted"
    wanted = call.SetVariables(set_variable_data=[about | {"attribute_value": "2000"}])
    await csms.command(wanted)
    (told,) = await csms.until("NotifyEvent")
    assert told["eventData"][0]["variableMonitoringId"] == result["id"]
    assert told["eventData"][0]["actualValue"] == "2000"
    await csms.command(call.GetMonitoringReport(request_id=8))
    (report,) = await csms.until("NotifyMonitoringReport")
    assert report["monitor"][0]["variableMonitoring"][0]["value"] == 1000
    cleared = await csms.command(call.ClearVariableMonitoring(id=[result["id"], 99]))
    assert [one["status"] for one in cleared.clear_monitoring_result] == ["Accepted", "NotFound"]


@pytest.mark.parametrize(("kind", "reason"), [("Immediate", "RemoteReset"),
                                               ("OnIdle", "ScheduledReset")])  # fmt: skip
async def test_B11_B12_a_reset_ends_sessions_or_waits_for_them(
    csms: FakeCsms, two: tuple[Charger, Any], kind: str, reason: str
) -> None:
    charger, call = two
    await charger.plug_in(1, Vehicle())
    await charger.tap(1, "CARD")
    await csms.until("TransactionEvent")
    answer = await csms.command(call.Reset(type=kind))
    assert answer.status == ("Accepted" if kind == "Immediate" else "Scheduled")
    if kind == "OnIdle":
        assert len(csms.sent("BootNotification")) == 1
        await charger.unplug(1)
    boots = await csms.until("BootNotification", 2)
    await csms.until("TransactionEvent", 2)
    await charger.drain()
    assert boots[1]["reason"] == reason
    stopped = csms.events("Ended")[0]["transactionInfo"]["stoppedReason"]
    assert stopped == ("ImmediateReset" if kind == "Immediate" else "EVDisconnected")


async def test_K01_a_limit_is_kept_by_the_power_and_told_as_a_schedule(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    schedule = {
        "id": 1,
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": 10}],
    }
    profile = {
        "id": 1,
        "stack_level": 0,
        "charging_profile_purpose": "TxDefaultProfile",
        "charging_profile_kind": "Absolute",
        "charging_schedule": [schedule],
    }
    setting = call.SetChargingProfile(evse_id=1, charging_profile=profile)
    assert (await csms.command(setting)).status == "Accepted"
    result = await charger.charge(1, "CARD", duration_s=3600, backdate=True)
    assert 6_800 < result.energy_wh <= 6_900  # 10 A in three phases of 230 V
    asked = call.GetCompositeSchedule(duration=600, evse_id=1, charging_rate_unit="A")
    composite = (await csms.command(asked)).schedule
    assert composite["charging_schedule_period"] == [{"start_period": 0, "limit": 10.0}]
    criteria = {"charging_profile_purpose": "TxDefaultProfile"}
    getting = call.GetChargingProfiles(request_id=6, charging_profile=criteria)
    assert (await csms.command(getting)).status == "Accepted"
    (report,) = await csms.until("ReportChargingProfiles")
    assert report["chargingProfile"][0]["id"] == 1
    clearing = call.ClearChargingProfile(charging_profile_id=1)
    assert (await csms.command(clearing)).status == "Accepted"
    assert (await csms.command(clearing)).status == "Unknown"
    assert (await csms.command(getting)).status == "NoProfiles"
    result = await charger.charge(1, "CARD", duration_s=3600, backdate=True)
    assert 10_900 < result.energy_wh <= 11_000


async def test_the_rest_of_the_commands_is_answered(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    for answer, status in [
        (call.ClearCache(), "Accepted"),
        (call.DataTransfer(vendor_id="x"), "UnknownVendorId"),
        (call.UnlockConnector(evse_id=1, connector_id=1), "Unlocked"),
        (call.UnlockConnector(evse_id=1, connector_id=2), "UnknownConnector"),
        (call.SetMonitoringLevel(severity=4), "Accepted"),
        (call.SetMonitoringBase(monitoring_base="All"), "Accepted"),
        (call.GetDisplayMessages(request_id=1), "Unknown"),
        (call.ClearDisplayMessage(id=1), "Unknown"),
        (call.ChangeAvailability(operational_status="Inoperative"), "Accepted"),
        (call.RequestStartTransaction(id_token=TOKEN, remote_start_id=1), "Rejected"),
        (call.ChangeAvailability(operational_status="Operative"), "Accepted"),
        (call.TriggerMessage(requested_message="Heartbeat"), "Accepted"),
        (call.TriggerMessage(requested_message="TransactionEvent"), "Rejected"),
        (call.TriggerMessage(requested_message="SignV2GCertificate"), "NotImplemented"),
    ]:
        assert (await csms.command(answer)).status == status, answer
    await charger.drain()
    assert csms.statuses(1)[-2:] == ["Unavailable", "Available"]
    states = [told["eventData"][0]["actualValue"] for told in csms.payloads("NotifyEvent")]
    assert states == ["Unavailable", "Available"]
    shown = {"id": 3, "priority": "InFront", "message": {"format": "UTF8", "content": "Grüß Gott"}}
    assert (await csms.command(call.SetDisplayMessage(message=shown))).status == "Accepted"
    assert (await csms.command(call.GetDisplayMessages(request_id=2))).status == "Accepted"
    (told,) = await csms.until("NotifyDisplayMessages")
    assert told["messageInfo"][0]["message"]["content"] == "Grüß Gott"
    asked = call.CustomerInformation(request_id=5, report=True, clear=False, id_token=TOKEN)
    assert (await csms.command(asked)).status == "Accepted"
    assert (await csms.until("NotifyCustomerInformation"))[0]["data"] == ""
    with pytest.raises(ocpp.exceptions.NotSupportedError):
        await csms.command(call.UnpublishFirmware(checksum="a"))


async def test_a_costs_update_and_tariffs_of_2_1_are_kept(csms: FakeCsms) -> None:
    call = CALLS["2.1"]
    lines: list[str] = []
    async with charger_of(csms, "2.1", connectors=2, on_event=lines.append) as charger:
        await charger.wait_ready()
        tariff = {"tariff_id": "T1", "currency": "EUR"}
        setting = call.SetDefaultTariff(evse_id=0, tariff=tariff)
        assert (await csms.command(setting)).status == "Accepted"
        tariffs = await csms.command(call.GetTariffs(evse_id=0))
        assert tariffs.tariff_assignments[0]["evse_ids"] == [1, 2]
        await charger.plug_in(1, Vehicle())
        await charger.tap(1, "CARD")
        await csms.until("TransactionEvent")
        transaction_id = csms.events()[0]["transactionInfo"]["transactionId"]
        cost = call.CostUpdated(total_cost=1.25, transaction_id=transaction_id)
        await csms.command(cost)
        assert any(line.endswith("costs 1.25") for line in lines)
        for currency, status in [("EUR", "Accepted"), ("CHF", "NoCurrencyChange")]:
            other = {"tariff_id": "T2", "currency": currency}
            changing = call.ChangeTransactionTariff(transaction_id=transaction_id, tariff=other)
            assert (await csms.command(changing)).status == status
        cleared = await csms.command(call.ClearTariffs())
        assert [one["status"] for one in cleared.clear_tariffs_result] == ["Accepted"]
        assert (await csms.command(call.GetTariffs(evse_id=1))).status == "NoTariff"


async def test_B09_a_network_profile_is_used_after_a_reset_and_left_when_it_fails(
    csms: FakeCsms,
) -> None:
    call = CALLS["2.0.1"]
    other = FakeCsms()
    await other.open()
    try:
        async with charger_of(csms, "2.0.1", reconnect_max_s=0.1) as charger:
            await charger.wait_ready()
            data = {
                "ocpp_version": "OCPP20",
                "ocpp_transport": "JSON",
                "ocpp_csms_url": other.url,
                "message_timeout": 30,
                "security_profile": 1,
                "ocpp_interface": "Wired0",
            }
            profile = call.SetNetworkProfile(configuration_slot=1, connection_data=data)
            assert (await csms.command(profile)).status == "Accepted"
            priority = {
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "NetworkConfigurationPriority"},
                "attribute_value": "1,0",
            }
            answer = await csms.command(call.SetVariables(set_variable_data=[priority]))
            assert answer.set_variable_result[0]["attribute_status"] == "RebootRequired"
            await csms.command(call.Reset(type="Immediate"))
            await other.until("StatusNotification")
            await other.close()
            before = len(csms.sent("StatusNotification"))
            await csms.until("StatusNotification", before + 1)
            assert len(csms.sent("BootNotification")) == 1
    finally:
        await other.close()
