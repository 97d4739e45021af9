import asyncio
import json

import pytest
from ocpp.v16 import call  # type: ignore[import-untyped, unused-ignore]

from fleet import Charger, Vehicle

from .fake_csms import LONGEST_S, FakeCsms


async def test_a_remote_start_and_stop_are_obeyed(csms: FakeCsms, charger: Charger) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.plug_in(1, Vehicle())
        answer = await csms.command(call.RemoteStartTransaction(id_tag="APP1", connector_id=1))
        assert answer.status == "Accepted"
        start = (await csms.until("StartTransaction"))[0]
        assert (start["connectorId"], start["idTag"]) == (1, "APP1")
        await csms.until("MeterValues")
        busy = await csms.command(call.RemoteStartTransaction(id_tag="APP2"))
        assert busy.status == "Rejected"
        unknown = await csms.command(call.RemoteStopTransaction(transaction_id=99))
        assert unknown.status == "Rejected"
        known = await csms.command(call.RemoteStopTransaction(transaction_id=1))
        assert known.status == "Accepted"
        stop = (await csms.until("StopTransaction"))[0]
        assert (stop["transactionId"], stop["reason"]) == (1, "Remote")
    assert csms.sent("Authorize") == []


async def test_a_remote_start_asks_first_if_so_configured(csms: FakeCsms, charger: Charger) -> None:
    csms.authorized["APP1"] = "Expired"
    async with charger:
        await charger.wait_ready()
        changed = await csms.command(
            call.ChangeConfiguration(key="AuthorizeRemoteTxRequests", value="true")
        )
        assert changed.status == "Accepted"
        await charger.plug_in(1, Vehicle())
        await csms.command(call.RemoteStartTransaction(id_tag="APP1"))
        await csms.until("Authorize")
        await asyncio.sleep(0.05)
    assert csms.sent("StartTransaction") == []


async def test_a_remote_start_without_a_car_waits_for_one_and_not_for_ever(
    csms: FakeCsms, charger: Charger
) -> None:
    async def waits(simulated_s: int) -> None:
        key = call.ChangeConfiguration(key="ConnectionTimeOut", value=str(simulated_s))
        assert (await csms.command(key)).status == "Accepted"

    async with charger:
        await charger.wait_ready()
        await waits(86_400)  # over a minute of ours, which the car does not need
        await csms.command(call.RemoteStartTransaction(id_tag="APP1"))
        await charger.plug_in(1, Vehicle())
        await csms.until("StartTransaction")
        await charger.unplug(1)
        await charger.drain()
        told = len(csms.statuses(1))
        await waits(60)
        await csms.command(call.RemoteStartTransaction(id_tag="APP2"))
        await csms.heard(lambda: csms.statuses(1)[told:] == ["Preparing", "Available"])
        await charger.plug_in(1, Vehicle())
        await charger.drain()
    assert len(csms.sent("StartTransaction")) == 1


async def test_a_driver_comes_by_after_a_remote_start_and_leaves_when_the_car_is_full(
    csms: FakeCsms,
) -> None:
    small = Vehicle(capacity_wh=5_000, soc=0.9)
    async with Charger(
        csms.url, "X", time_scale=1800, power_w=50_000, next_vehicle=lambda: small
    ) as charger:
        await charger.wait_ready()
        await csms.command(call.RemoteStartTransaction(id_tag="APP1"))
        await csms.until("StopTransaction")
        await charger.drain()
        assert csms.payloads("StopTransaction")[0]["meterStop"] == 500
        assert charger.connector(1).vehicle is None


async def test_a_soft_reset_stops_the_session_and_boots_again(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.plug_in(1, Vehicle())
        await charger.tap(1, "04A2B3C4")
        await csms.until("StartTransaction")
        assert (await csms.command(call.Reset(type="Soft"))).status == "Accepted"
        await csms.until("BootNotification", 2)
    assert csms.payloads("StopTransaction")[0]["reason"] == "SoftReset"


async def test_a_connector_is_put_out_of_service_after_its_session(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.plug_in(1, Vehicle())
        await charger.tap(1, "04A2B3C4")
        off = call.ChangeAvailability(connector_id=1, type="Inoperative")
        assert (await csms.command(off)).status == "Scheduled"
        await charger.unplug(1)
        await charger.drain()
        assert csms.statuses(1)[-1] == "Unavailable"
        assert (await csms.command(call.RemoteStartTransaction(id_tag="A"))).status == "Rejected"
        station = call.ChangeAvailability(connector_id=0, type="Operative")
        assert (await csms.command(station)).status == "Accepted"
        await charger.drain()
        assert csms.statuses(1)[-1] == "Available"
        nowhere = call.ChangeAvailability(connector_id=7, type="Operative")
        assert (await csms.command(nowhere)).status == "Rejected"


@pytest.mark.parametrize(
    "message", ["BootNotification", "Heartbeat", "StatusNotification", "MeterValues"]
)
async def test_a_triggered_message_is_sent(csms: FakeCsms, charger: Charger, message: str) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.drain()
        before = len(csms.sent(message))
        answer = await csms.command(call.TriggerMessage(requested_message=message, connector_id=1))
        assert answer.status == "Accepted"
        sent = await csms.until(message, before + 1)
        if message == "MeterValues":
            assert sent[0]["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"


async def test_the_rest_of_the_commands_is_answered(csms: FakeCsms, charger: Charger) -> None:
    async with charger:
        await charger.wait_ready()
        firmware = call.TriggerMessage(requested_message="FirmwareStatusNotification")
        assert (await csms.command(firmware)).status == "Accepted"
        assert await csms.until("FirmwareStatusNotification") == [{"status": "Idle"}]
        nowhere = call.TriggerMessage(requested_message="MeterValues", connector_id=9)
        assert (await csms.command(nowhere)).status == "Rejected"
        assert (await csms.command(call.ClearCache())).status == "Accepted"
        transfer = call.DataTransfer(vendor_id="x")
        assert (await csms.command(transfer)).status == "UnknownVendorId"
        configuration = await csms.command(call.GetConfiguration())
        keys = {entry["key"] for entry in configuration.configuration_key}
        assert {"HeartbeatInterval", "NumberOfConnectors"} <= keys
        assert (await csms.command(call.UnlockConnector(connector_id=9))).status == "NotSupported"
        await charger.plug_in(1, Vehicle())
        await charger.tap(1, "04A2B3C4")
        assert (await csms.command(call.UnlockConnector(connector_id=1))).status == "Unlocked"
        stop = (await csms.until("StopTransaction"))[0]
        assert stop["reason"] == "UnlockCommand"


async def test_a_command_is_answered_while_an_own_call_waits(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.drain()
        csms.silences["Authorize"] = 1
        tap = asyncio.ensure_future(charger.tap(1, "04A2B3C4"))
        await csms.until("Authorize")
        async with asyncio.timeout(10):  # of the thirty seconds that its own may take
            assert (await csms.command(call.ClearCache())).status == "Accepted"
        assert not tap.done()
        tap.cancel()


async def test_malformed_frames_of_the_server_are_counted_and_refused(
    csms: FakeCsms, charger: Charger
) -> None:
    answers: list[list[object]] = []
    both = asyncio.Event()
    async with charger:
        await charger.wait_ready()
        await charger.drain()
        peer = csms.peers[-1]

        async def keep(raw: str) -> None:
            answers.append(json.loads(raw))
            if len(answers) == 2:
                both.set()

        peer.route_message = keep
        for raw in ("{", "[2]", "17", '[9,"a",{}]', '[2,"m1","Reset",{}]', '[2,"m2","../x",{}]'):
            await peer._connection.send(raw)
        async with asyncio.timeout(LONGEST_S):
            await both.wait()
        assert charger.online
    assert [(answer[1], answer[2]) for answer in answers] == [
        ("m1", "FormationViolation"),
        ("m2", "NotImplemented"),
    ]
    assert charger.violations == 5
