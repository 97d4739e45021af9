import asyncio
import random
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from ocpp.v16 import call  # type: ignore[import-untyped, unused-ignore]
from websockets.asyncio.server import serve
from websockets.http11 import Request, Response

from fleet import Charger, NotReady, Vehicle

from .fake_csms import LONGEST_S, FakeCsms


async def test_a_whole_session_while_simulated_time_runs(csms: FakeCsms, charger: Charger) -> None:
    async with charger:
        await charger.wait_ready()
        result = await charger.charge(1, "04A2B3C4", energy_wh=1_500)
        await charger.drain()
    start = csms.payloads("StartTransaction")
    stop = csms.payloads("StopTransaction")
    assert len(start) == len(stop) == 1
    assert start[0]["meterStart"] == 1_234_567
    assert stop[0] | {"timestamp": ""} == {
        "transactionId": 1,
        "meterStop": 1_236_067,
        "idTag": "04A2B3C4",
        "reason": "Local",
        "timestamp": "",
    }
    assert (result.transaction_id, result.energy_wh, result.status) == (1, 1_500, "Accepted")
    took = datetime.fromisoformat(stop[0]["timestamp"]) - datetime.fromisoformat(
        start[0]["timestamp"]
    )
    assert timedelta(minutes=8) < took < timedelta(minutes=9)
    meter_values = csms.payloads("MeterValues")
    assert len(meter_values) == 8
    assert {payload["transactionId"] for payload in meter_values} == {1}
    assert csms.statuses(0) == ["Available"]
    assert csms.statuses(1) == [
        "Available",
        "Preparing",
        "Charging",
        "SuspendedEV",
        "Finishing",
        "Available",
    ]


async def test_a_backdated_hour_takes_no_time_and_ends_now(
    csms: FakeCsms,
) -> None:
    began = datetime.now(UTC)
    async with Charger(csms.url, "DEMO-1") as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "04A2B3C4", energy_wh=11_000, backdate=True)
    now = datetime.now(UTC)
    assert now - began < timedelta(minutes=1)
    assert began - timedelta(seconds=1) <= result.ended_at <= now
    assert timedelta(hours=1) < result.ended_at - result.started_at < timedelta(hours=1, minutes=1)
    assert result.energy_wh == 11_000
    samples = [payload["meterValue"][0] for payload in csms.payloads("MeterValues")]
    times = [datetime.fromisoformat(sample["timestamp"]) for sample in samples]
    registers = [int(sample["sampledValue"][0]["value"]) for sample in samples]
    assert [b - a for a, b in pairwise(times)] == [timedelta(minutes=1)] * 59
    assert registers == sorted(registers)
    assert result.started_at < times[0] and times[-1] <= result.ended_at


async def test_a_backdated_session_ends_when_the_given_clock_says_now(csms: FakeCsms) -> None:
    summer_time_begins = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    async with Charger(csms.url, "DEMO-1", now=lambda: summer_time_begins) as charger:
        await charger.wait_ready()
        result = await charger.charge(1, "04A2B3C4", duration_s=7200, backdate=True)
    assert result.ended_at == summer_time_begins
    assert csms.payloads("StartTransaction")[0]["timestamp"] == "2026-03-28T23:00:00.000Z"


async def test_a_session_with_energy_and_time_keeps_the_socket_until_the_time_is_over(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        result = await charger.charge(
            1, "04A2B3C4", energy_wh=5_000, duration_s=3600, started_ago_s=7200
        )
    assert result.energy_wh == 5_000
    assert result.ended_at - result.started_at == timedelta(hours=1)
    powers = [p["meterValue"][0]["sampledValue"][1]["value"] for p in csms.payloads("MeterValues")]
    assert powers[-1] == "0" and "11000" in powers


@pytest.mark.parametrize("action", ["StartTransaction", "MeterValues", "StopTransaction"])
@pytest.mark.parametrize("plan", ["fails", "silences"])
async def test_a_retry_has_a_new_message_id_and_the_same_payload(
    csms: FakeCsms, charger: Charger, action: str, plan: str
) -> None:
    # Silences are waited for, so two; whatever else is asked has the same time to be answered in.
    times = {"fails": 4, "silences": 2}[plan]
    timeout_s = {"fails": 30, "silences": 2.5}[plan]
    charger = Charger(csms.url, "DEMO-1", delay_s=0.01, call_timeout_s=timeout_s)
    getattr(csms, plan)[action] = times
    async with charger:
        await charger.wait_ready()
        result = await charger.charge(1, "04A2B3C4", duration_s=90, backdate=True)
    sent = csms.sent(action)
    assert len(sent) == times + 1
    assert len({frame.message_id for frame in sent}) == times + 1
    assert all(frame.payload == sent[0].payload for frame in sent)
    assert result.transaction_id == 1
    in_order = ["StartTransaction", "MeterValues", "StopTransaction"]
    order = [frame.action for frame in csms.sent(*in_order)]
    assert sorted(order, key=in_order.index) == order


async def test_every_session_arrives_once_through_a_bad_connection(csms: FakeCsms) -> None:
    dice = random.Random(7)
    charger = Charger(
        csms.url,
        "DEMO-1",
        delay_s=0.005,
        call_timeout_s=0.5,  # enough for an answer on a busy machine, or none would ever come
        reconnect_min_s=0.005,
        reconnect_max_s=0.02,
        allow_offline=True,
    )

    async def harm() -> None:
        for _ in range(8):
            await asyncio.sleep(0.06)
            csms.fails[dice.choice(["StartTransaction", "MeterValues", "StopTransaction"])] += 1
            csms.silences[dice.choice(["StartTransaction", "Authorize", "StopTransaction"])] += 1
            csms.peers[-1]._connection.transport.abort()

    async with charger:
        await charger.wait_ready()
        harming = asyncio.ensure_future(harm())
        results = [
            await charger.charge(1, f"CARD{n}", duration_s=150, backdate=True) for n in range(6)
        ]
        await harming
        await charger.drain()
    assert len({result.transaction_id for result in results}) == len(csms.transactions) == 6
    stops = {stop["transactionId"]: stop["meterStop"] for stop in csms.payloads("StopTransaction")}
    assert stops == {result.transaction_id: result.meter_stop_wh for result in results}
    samples = {
        (p["transactionId"], p["meterValue"][0]["timestamp"]) for p in csms.payloads("MeterValues")
    }
    assert len(samples) == 12
    assert results[0].meter_stop_wh == results[1].meter_start_wh


async def test_a_message_the_server_calls_malformed_is_given_up_after_some_attempts(
    csms: FakeCsms, charger: Charger
) -> None:
    csms.fail_code = "FormationViolation"
    csms.fails["StartTransaction"] = 99
    async with charger:
        await charger.wait_ready()
        result = await charger.charge(1, "04A2B3C4", energy_wh=100, backdate=True)
    assert len(csms.sent("StartTransaction")) == 3
    assert (result.transaction_id, result.status) == (None, "NotDelivered")
    assert csms.payloads("StopTransaction")[0]["transactionId"] == -1


async def test_a_session_of_an_offline_charger_is_delivered_later_with_its_own_times(
    csms: FakeCsms, charger: Charger
) -> None:
    charger = Charger(csms.url, "DEMO-1", allow_offline=True, time_scale=1200, reconnect_min_s=0.05)
    async with charger:
        await charger.wait_ready()
        await charger.go_offline()
        await charger.plug_in(1, Vehicle())
        began = [charger.clock()]
        assert await charger.tap(1, "04A2B3C4") == "Accepted"
        began.append(charger.clock())
        await asyncio.sleep(0.3)
        ended = [charger.clock()]
        await charger.unplug(1)
        ended.append(charger.clock())
        assert csms.sent("StartTransaction", "Authorize") == []
        await asyncio.sleep(0.4)
        await charger.go_online()
        await charger.drain()
    start, stop = csms.payloads("StartTransaction")[0], csms.payloads("StopTransaction")[0]
    for message, (earliest, latest) in ((start, began), (stop, ended)):
        at = datetime.fromisoformat(message["timestamp"])  # in whole milliseconds
        assert earliest - timedelta(milliseconds=1) <= at <= latest
    assert stop["reason"] == "EVDisconnected"
    assert stop["transactionId"] == 1
    assert len(csms.payloads("MeterValues")) >= 4
    assert len(csms.sent("BootNotification")) == 1


async def test_a_session_that_begins_online_goes_on_while_the_connection_is_gone(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        session = asyncio.ensure_future(charger.charge(1, "04A2B3C4", energy_wh=1_500))
        await csms.until("MeterValues", 2)
        await charger.go_offline(abruptly=True)
        sent = len(csms.sent("MeterValues"))
        await asyncio.sleep(0.2)
        assert charger.queued >= 1
        await charger.go_online()
        result = await session
        await charger.drain()
    assert result.energy_wh == 1_500
    meter_values = csms.payloads("MeterValues")
    assert {payload["transactionId"] for payload in meter_values} == {1}
    times = {payload["meterValue"][0]["timestamp"] for payload in meter_values}
    assert len(times) == 8 > sent  # one may have come twice: its answer was lost


async def test_an_offline_charger_that_must_ask_does_not_start(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.go_offline()
        result = await charger.charge(1, "04A2B3C4", energy_wh=100)
    assert (result.status, result.transaction_id, result.energy_wh) == ("Offline", None, 0)
    assert charger.queued == 0


async def test_after_the_server_drops_it_a_charger_reports_status_and_does_not_boot_again(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await csms.until("StatusNotification", 2)
        await charger.plug_in(1, Vehicle())
        await csms.until("StatusNotification", 3)
        await csms.close()
        await asyncio.sleep(0.2)
        await csms.open()
        await csms.until("StatusNotification", 5)
        assert charger.online
        assert await charger.tap(1, "04A2B3C4") == "Accepted"
        await csms.until("StartTransaction")
    assert csms.statuses(0) == ["Available", "Available"]
    assert csms.statuses(1)[:3] == ["Available", "Preparing", "Preparing"]
    assert len(csms.sent("BootNotification")) == 1


async def test_a_charger_is_silent_until_its_boot_is_accepted(csms: FakeCsms) -> None:
    csms.boots = ["Pending"]
    csms.boot_again_s = 300
    told = asyncio.Event()

    def say(line: str) -> None:
        if "the server says Pending" in line:
            told.set()

    async with Charger(csms.url, "DEMO-1", allow_offline=True, on_event=say) as charger:
        await charger.plug_in(1, Vehicle())
        assert await charger.tap(1, "04A2B3C4") == "Accepted"
        await asyncio.wait_for(told.wait(), LONGEST_S)
        with pytest.raises(NotReady, match="Pending"):
            await charger.wait_ready(0.3)
        assert [frame.action for frame in csms.frames] == ["BootNotification"]
        trigger = call.TriggerMessage(requested_message="BootNotification")
        assert (await csms.command(trigger)).status == "Accepted"
        await charger.wait_ready()  # without the rest of the time it was told to wait
        await charger.drain()
    assert len(csms.sent("BootNotification")) == 2
    assert len(csms.sent("StartTransaction")) == 1
    assert csms.statuses(1)[-1] == "Charging"


async def test_heartbeats_come_at_the_interval_of_the_boot(
    csms: FakeCsms, charger: Charger
) -> None:
    csms.interval = 1
    async with charger:
        await csms.until("Heartbeat")


async def test_a_refused_tag_starts_nothing(csms: FakeCsms, charger: Charger) -> None:
    csms.authorized["BADCARD"] = "Blocked"
    async with charger:
        await charger.wait_ready()
        result = await charger.charge(1, "BADCARD", energy_wh=100)
        await charger.drain()
        assert charger.connector(1).status == "Available"
    assert (result.status, result.transaction_id, result.energy_wh) == ("Blocked", None, 0)
    assert csms.sent("StartTransaction") == []


@pytest.mark.parametrize("backdate", [True, False])
async def test_a_tag_refused_at_the_start_stops_the_transaction(
    csms: FakeCsms, charger: Charger, backdate: bool
) -> None:
    csms.started["LATEBAD"] = "ConcurrentTx"
    async with charger:
        await charger.wait_ready()
        # More than it could take before the answer is there, 14 s of ours.
        result = await charger.charge(1, "LATEBAD", energy_wh=50_000, backdate=backdate)
    assert (result.status, result.transaction_id) == ("ConcurrentTx", 1)
    assert csms.payloads("StopTransaction")[0]["reason"] == "DeAuthorized"
    assert result.energy_wh < 50_000


async def test_the_same_card_again_stops_whatever_its_case(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        assert await charger.tap(1, "04a2b3c4") == "Accepted"
        assert charger.connector(1).session is None
        await charger.plug_in(1, Vehicle())
        await csms.until("StartTransaction")
        assert await charger.tap(1, "OTHER") == "Invalid"
        assert await charger.tap(1, "04A2B3C4") == "Accepted"
        await csms.until("StopTransaction")
    assert len(csms.sent("Authorize")) == 2


async def test_two_connectors_charge_at_once_and_keep_their_transactions_apart(
    csms: FakeCsms,
) -> None:
    async with Charger(csms.url, "TWO", connectors=2, time_scale=600) as charger:
        await charger.wait_ready()
        first, second = await asyncio.gather(
            charger.charge(1, "CARD1", energy_wh=1_000), charger.charge(2, "CARD2", energy_wh=500)
        )
    assert {first.transaction_id, second.transaction_id} == {1, 2}
    for payload in csms.payloads("MeterValues"):
        result = first if payload["connectorId"] == 1 else second
        assert payload["transactionId"] == result.transaction_id


async def test_it_logs_in_with_basic_authentication_and_an_encoded_station_id(
    csms: FakeCsms,
) -> None:
    async with Charger(csms.url, "DE*ABC/1 ü", "s3cret:x") as charger:
        await charger.wait_ready()
    request = csms.requests[0]
    assert request.path == "/ocpp/DE%2AABC%2F1%20%C3%BC"
    expected = b64encode("DE*ABC/1 ü:s3cret:x".encode()).decode()
    assert request.headers["Authorization"] == f"Basic {expected}"
    assert request.headers["Sec-WebSocket-Protocol"] == "ocpp1.6"
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_a_server_that_refuses_is_named_and_asked_ever_less_often() -> None:
    asked_s: list[float] = []
    often = asyncio.Event()

    def refuse(_socket: object, request: Request) -> Response:
        asked_s.append(time.monotonic())
        if len(asked_s) == 5:
            often.set()
        return Response(401, "Unauthorized", request.headers.__class__())

    lines: list[str] = []
    async with serve(lambda _socket: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as s:
        url = f"ws://127.0.0.1:{next(iter(s.sockets)).getsockname()[1]}/ocpp"
        async with Charger(url, "X", reconnect_min_s=0.05, on_event=lines.append) as charger:
            await asyncio.wait_for(often.wait(), LONGEST_S)
            with pytest.raises(NotReady, match="HTTP 401"):
                await charger.wait_ready(0.1)
    gaps_s = [later - one for one, later in pairwise(asked_s)]
    # Doubling, with half of it left to chance; nobody can be late so that they are shorter.
    assert all(gap_s >= 0.05 * 2**n / 2 for n, gap_s in enumerate(gaps_s)), gaps_s
    assert lines == ["X: the server refuses the connection: HTTP 401"]


async def test_a_crash_of_background_work_comes_out_of_the_block(csms: FakeCsms) -> None:
    def explode(_text: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with Charger(csms.url, "X", on_event=explode):
            await asyncio.sleep(5)


async def test_an_error_of_the_block_comes_out_as_it_is(csms: FakeCsms, charger: Charger) -> None:
    async def fail() -> None:
        async with charger:
            await charger.wait_ready()
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
