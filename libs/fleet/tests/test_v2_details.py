"""What the requirements of OCPP 2.x ask of a charger beyond the plain answer."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from websockets.asyncio.server import ServerConnection

from fleet import Charger, Vehicle

from .fake_csms import LONGEST_S, FakeCsms
from .second import CALLS, TOKEN, charger_of

HEARTBEAT = {
    "component": {"name": "OCPPCommCtrlr"},
    "variable": {"name": "HeartbeatInterval"},
}


async def test_B05_FR_12_and_B06_FR_11_a_result_says_of_which_attribute_it_is(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    _, call = two
    wanted = [HEARTBEAT, HEARTBEAT | {"attribute_type": "Target"}]
    got = await csms.command(call.GetVariables(get_variable_data=wanted))
    assert [one["attribute_type"] for one in got.get_variable_result] == ["Actual", "Target"]
    setting = [HEARTBEAT | {"attribute_value": "60"}]
    were_set = await csms.command(call.SetVariables(set_variable_data=setting))
    assert [one["attribute_type"] for one in were_set.set_variable_result] == ["Actual"]


async def test_F06_FR_17_a_boot_is_not_triggered_of_an_accepted_charger(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    _, call = two
    answer = await csms.command(call.TriggerMessage(requested_message="BootNotification"))
    assert answer.status == "Rejected"
    assert len(csms.sent("BootNotification")) == 1


async def test_F06_FR_15_and_FR_16_a_charger_that_is_done_is_idle(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    _, call = two
    log = {"remote_location": "ftp://nobody"}
    asked = call.GetLog(log=log, log_type="DiagnosticsLog", request_id=5)
    assert (await csms.command(asked)).status == "Accepted"
    told = await csms.until("LogStatusNotification", 2)
    assert [one["status"] for one in told] == ["Uploading", "UploadFailure"]
    trigger = call.TriggerMessage(requested_message="LogStatusNotification")
    async with asyncio.timeout(LONGEST_S):
        while told[-1] != {"status": "Idle"}:  # the answer to the last word may be on its way
            assert (await csms.command(trigger)).status == "Accepted"
            told = await csms.until("LogStatusNotification", len(told) + 1)


async def test_H01_FR_06_and_FR_17_a_reservation_is_of_what_is_there_and_usable(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    charger, call = two
    later = (charger.clock() + timedelta(hours=10)).isoformat()
    reserve = {"id": 9, "expiry_date_time": later, "id_token": TOKEN}
    other = call.ReserveNow(**reserve, connector_type="cG105")
    assert (await csms.command(other)).status == "Rejected"
    ours = call.ReserveNow(**reserve, connector_type="cType2")
    assert (await csms.command(ours)).status == "Accepted"
    off = call.ChangeAvailability(operational_status="Inoperative", evse={"id": 1})
    assert (await csms.command(off)).status == "Accepted"
    told = await csms.until("ReservationStatusUpdate")
    assert told == [{"reservationId": 9, "reservationUpdateStatus": "Removed"}]
    assert charger.connector(1).reservation is None


async def test_E14_what_waits_is_told_of_its_own_transaction(csms: FakeCsms) -> None:
    call = CALLS["2.0.1"]
    async with charger_of(csms, "2.0.1", delay_s=0.5) as charger:
        await charger.wait_ready()
        await charger.drain()

        async def asked(transaction_id: str) -> tuple[bool, bool]:
            found = await csms.command(call.GetTransactionStatus(transaction_id=transaction_id))
            return found.ongoing_indicator, found.messages_in_queue

        csms.fails["TransactionEvent"] = 1000
        await charger.plug_in(1, Vehicle())
        await charger.tap(1, "CARD")
        ((event, *_), unknown) = await csms.until("TransactionEvent"), "no-such"
        transaction_id = event["transactionInfo"]["transactionId"]
        assert await asked(transaction_id) == (True, True)
        assert await asked(unknown) == (False, False)
        await charger.unplug(1)
        assert await asked(transaction_id) == (False, True)
        csms.fails.clear()
        await charger.drain()
        assert await asked(transaction_id) == (False, False)
        ended = csms.events("Ended")[-1]["transactionInfo"]
        assert (ended["stoppedReason"], ended["chargingState"]) == ("EVDisconnected", "Idle")


async def test_B13_FR_01_no_transaction_is_resumed_after_a_reset(csms: FakeCsms) -> None:
    call = CALLS["2.1"]
    async with charger_of(csms, "2.1") as charger:
        await charger.wait_ready()
        answer = await csms.command(call.Reset(type="ImmediateAndResume"))
        assert answer.status == "Rejected"


async def test_what_breaks_the_schema_gets_an_error_of_2_x(
    csms: FakeCsms, two: tuple[Charger, Any]
) -> None:
    socket: ServerConnection = csms.peers[-1]._connection
    heard: asyncio.Queue[Any] = asyncio.Queue(maxsize=10)
    peer = csms.peers[-1]
    route = peer.route_message

    async def listen(raw: str) -> None:
        heard.put_nowait(json.loads(raw))
        await route(raw)

    peer.route_message = listen
    await socket.send(json.dumps([2, "m1", "Reset", {"type": "Sometimes"}]))
    frame = await asyncio.wait_for(heard.get(), 5)
    assert frame[:3] == [4, "m1", "FormatViolation"]
