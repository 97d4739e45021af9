"""One OCPP 1.6 session through a real socket, PostgreSQL and NATS."""

from datetime import UTC, datetime, timedelta

import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from stack import eventually

from common.events import (
    BootsReported,
    IncidentOpened,
    MeterValuesReported,
    SessionEnded,
    SessionStarted,
    StatusesReported,
)
from csms_gateway.tables import SignedMessage


async def test_a_whole_session_is_stored_and_told(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        boot = {"chargePointVendor": "Acme", "chargePointModel": "One", "firmwareVersion": "1.2"}
        booted = await wire.send("BootNotification", boot)
        assert booted["status"] == "Accepted" and booted["interval"] > 0
        told = (await gateway.reported(BootsReported, station))[0]
        assert (told.vendor, told.firmware_version) == ("Acme", "1.2")
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
        assert await wire.send("StatusNotification", status) == {}
        answer = await wire.send("Authorize", {"idTag": "good"})
        assert answer["idTagInfo"]["status"] == "Accepted"
        started = await wire.start()
        assert started["idTagInfo"] == {"status": "Accepted"}
        transaction_id = started["transactionId"]
        assert 0 < transaction_id < 2**31
        assert await wire.meter(transactionId=transaction_id) == {}
        assert await wire.stop(transaction_id, reason="EVDisconnected") == {}
        assert "currentTime" in await wire.send("Heartbeat", {})
    start = (await gateway.told(SessionStarted, station_id=station))[0]
    end = (await gateway.told(SessionEnded, station_id=station))[0]
    assert start.session_id == end.session_id
    assert start.transaction_id == end.transaction_id == str(transaction_id)
    assert (end.energy_wh, end.stop_reason, end.incidents) == (500, "EVDisconnected", ())
    assert end.card_id == gateway.identity.card_id
    reports = [r for e in gateway.of(MeterValuesReported) for r in e.reports]
    mine = [r for r in reports if r.session_id == end.session_id]
    assert [(str(s.value), s.unit) for r in mine for s in r.samples] == [("1250", "Wh")]
    statuses = [r for e in gateway.of(StatusesReported) for r in e.reports]
    assert [r.status for r in statuses if r.station_id == station] == ["preparing"]


async def test_a_retried_start_with_a_new_message_id_gets_the_same_transaction(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    at = stamp()
    async with gateway.connect(station) as socket:
        first = await Wire(socket).start(timestamp=at)
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        again = await wire.start("gOOd", timestamp=at)
        assert again["transactionId"] == first["transactionId"]
        other = await wire.start(timestamp=at, meterStart=1001)
        assert other["transactionId"] != first["transactionId"]
    await gateway.told(SessionStarted, count=2, station_id=station)
    assert len(gateway.of(SessionStarted, station_id=station)) == 2


async def test_a_repeated_stop_keeps_the_first_value_and_opens_an_incident(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start())["transactionId"]
        assert await wire.stop(transaction_id) == {}
        assert await wire.stop(transaction_id) == {}
        assert gateway.of(IncidentOpened, station_id=station) == []
        assert await wire.stop(transaction_id, meterStop=9000) == {}
    incident = (await gateway.told(IncidentOpened, station_id=station))[0].incident
    assert incident.kind == "stop_repeated"
    (stored,) = await gateway.transactions(station_id=station)
    assert (stored["meter_stop_wh"], stored["energy_wh"]) == (1500, 500)
    assert len(gateway.of(SessionEnded, station_id=station)) == 1


async def test_a_start_refused_for_a_blocked_card_is_stored_under_its_own_id(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        blocked = await wire.start("BAD")
        unknown = await wire.start("NOBODY", connectorId=2)
        assert blocked["idTagInfo"]["status"] == "Blocked"
        assert unknown["idTagInfo"]["status"] == "Invalid"
        assert blocked["transactionId"] != unknown["transactionId"] > 0
        assert await wire.stop(blocked["transactionId"], reason="DeAuthorized") == {}
    start = (await gateway.told(SessionStarted, station_id=station, token_status="Blocked"))[0]
    assert [incident.kind for incident in start.incidents] == ["token_refused"]
    end = (await gateway.told(SessionEnded, station_id=station))[0]
    assert "token_refused" in [incident.kind for incident in end.incidents]


async def test_an_offline_session_keeps_the_chargers_own_times(gateway: Gateway) -> None:
    station = await gateway.add_station()
    begin, end = stamp(7200), stamp(3600)
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start(timestamp=begin))["transactionId"]
        assert await wire.stop(transaction_id, timestamp=end) == {}
    told = (await gateway.told(SessionEnded, station_id=station))[0]
    assert told.started_at == datetime.fromisoformat(begin)
    assert told.ended_at == datetime.fromisoformat(end)
    assert (told.energy_wh, told.incidents) == (500, ())


async def test_a_clock_in_1970_is_not_believed_but_kept(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        started = await wire.start(timestamp="1970-01-01T00:00:12Z")
        assert await wire.stop(started["transactionId"], timestamp="1970-01-01T00:10:00Z") == {}
    told = (await gateway.told(SessionEnded, station_id=station))[0]
    assert datetime.now(UTC) - told.started_at < timedelta(seconds=30)
    assert [incident.kind for incident in told.incidents] == ["clock", "clock"]
    (stored,) = await gateway.transactions(station_id=station)
    assert stored["started_raw"] == "1970-01-01T00:00:12Z"


async def test_a_stop_of_an_unknown_transaction_is_answered_and_never_bills_the_odometer(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        stop = {"meterStop": 1_234_567, "timestamp": stamp()}
        for transaction_id in (0, -1, 2_000_000_000):
            assert await wire.stop(transaction_id, **stop) == {}
            assert await wire.stop(transaction_id, **stop) == {}
    ended = await gateway.told(SessionEnded, count=3, station_id=station)
    assert len(ended) == 3
    assert {event.energy_wh for event in ended} == {None}
    assert {event.incidents[0].kind for event in ended} == {"stop_without_start"}


async def test_a_stop_with_id_minus_one_ends_the_only_session_it_can_mean(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await wire.start()
        answer = await wire.stop(-1, idTag="good")
        assert answer["idTagInfo"]["status"] == "Accepted"
    ended = (await gateway.told(SessionEnded, station_id=station))[0]
    assert (ended.energy_wh, ended.incidents[0].kind) == (500, "stop_matched")


async def test_S_3_16_S_4_7_readings_find_their_session_without_its_id_and_after_the_stop(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        one = (await wire.start())["transactionId"]
        two = (await wire.start(connectorId=2, meterStart=50))["transactionId"]
        assert await wire.meter("1111") == {}
        assert await wire.meter("2222", connectorId=2) == {}
        assert await wire.stop(one) == {}
        assert await wire.meter("3333", transactionId=one) == {}
        assert await wire.meter("4444") == {}
        assert await wire.meter("5555", transactionId=99_999_999) == {}
    starts = {
        e.transaction_id: e.session_id
        for e in await gateway.told(SessionStarted, 2, station_id=station)
    }

    async def found() -> dict[str, object] | None:
        reports = [r for e in gateway.of(MeterValuesReported) for r in e.reports]
        told = {str(r.samples[0].value): r.session_id for r in reports if r.station_id == station}
        return told if len(told) == 5 else None

    assert await eventually(found) == {
        "1111": starts[str(one)],
        "2222": starts[str(two)],
        "3333": starts[str(one)],
        "4444": None,
        "5555": None,
    }
    (open_one,) = await gateway.transactions(station_id=station, state="open")
    assert open_one["id"] == two


async def test_two_cars_on_one_station_never_share_a_transaction(gateway: Gateway) -> None:
    station = await gateway.add_station()
    at = stamp()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        one = await wire.start(timestamp=at)
        two = await wire.start(timestamp=at, connectorId=2)
        assert one["transactionId"] != two["transactionId"]
    assert gateway.of(IncidentOpened, station_id=station) == []


async def test_a_start_while_another_session_is_open_is_an_incident_told_once(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        first = await wire.start(meterStart=1)
        for register in (2, 3):
            await wire.start(meterStart=register)
    (start,) = await gateway.told(
        SessionStarted, station_id=station, transaction_id=str(first["transactionId"])
    )
    await gateway.told(SessionStarted, 3, station_id=station)
    told = await gateway.told(IncidentOpened, 2, station_id=station)
    assert len(told) == 2
    assert [event.incident.kind for event in told] == ["start_while_open"] * 2
    assert start.session_id in {event.session_id for event in told}


async def test_a_repeated_stop_of_no_known_id_never_ends_the_next_session(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await wire.start(meterStart=1000)
        stop = {"meterStop": 1500, "timestamp": stamp()}
        assert await wire.stop(-1, **stop) == {}
        await wire.start(meterStart=1500)
        assert await wire.stop(-1, **stop) == {}
        # Nor does one from before it started.
        assert await wire.stop(0, meterStop=1600, timestamp=stamp(86_400)) == {}
    ended = await gateway.told(SessionEnded, 2, station_id=station)
    assert [event.meter_stop_wh for event in ended] == [1500, 1600]
    assert [event.incidents[0].kind for event in ended] == ["stop_matched", "stop_without_start"]
    assert len(await gateway.transactions(station_id=station, state="open")) == 1


async def test_a_session_in_an_odd_form_is_a_session(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        started = await wire.start("x" * 30, meterStart=1000.0)
        assert started["idTagInfo"]["status"] == "Invalid"
        assert await wire.stop(started["transactionId"], meterStop="1500") == {}
        refused = await wire.stop(started["transactionId"], meterStop=[])
        assert refused[0] == "TypeConstraintViolation"
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert (end.energy_wh, end.id_token) == (500, "x" * 30)
    async with gateway.service.as_(OPERATOR, "messages:read") as api:
        kept = (await api.get("/v1/unmatched-messages", params={"limit": 500})).json()["items"]
    assert [one["payload"]["meterStop"] for one in kept if one["station_id"] == station] == [[]]


async def test_a_clock_an_hour_slow_makes_no_session_an_hour_longer(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        # Just connected, so an hour ago is taken for an offline session's start.
        began_at, over_at = stamp(3600), stamp(3600 - 1700)
        started = await wire.start(timestamp=began_at)
        await gateway.held(station, reachable_for_s=1800)
        assert await wire.stop(started["transactionId"], timestamp=over_at) == {}
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert round((end.ended_at - end.started_at).total_seconds()) == 1700


async def test_signed_readings_are_stored_whole_before_the_answer(gateway: Gateway) -> None:
    station = await gateway.add_station()
    signed = {"value": 'OCMF|{"FV":"1.0"}|{"SD":"ff"}', "format": "SignedData"}
    value = [{"timestamp": stamp(), "sampledValue": [signed]}]
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start())["transactionId"]
        for _ in range(2):
            assert await wire.meter(meterValue=value, transactionId=transaction_id) == {}
    (row,) = await gateway.rows(SignedMessage, station)
    assert row.payload["meterValue"] == value
    assert row.session_id is not None


async def test_S_4_10_readings_that_come_with_the_stop_keep_their_times(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start(timestamp=stamp(1800)))["transactionId"]
        # It could have told each at once; that it is told at the end says nothing of its clock.
        await gateway.held(station, reachable_for_s=86_400)
        data = [
            {"timestamp": stamp(ago_s), "sampledValue": [{"value": value}]}
            for ago_s, value in ((1200, "1100"), (600, "1300"))
        ]
        assert await wire.stop(transaction_id, transactionData=data) == {}
    (report,) = await gateway.reported(MeterValuesReported, station)
    (end,) = await gateway.told(SessionEnded, station_id=station)
    assert report.session_id == end.session_id
    before_s = [(end.ended_at - sample.sampled_at).total_seconds() for sample in report.samples]
    assert before_s == pytest.approx([1200, 600], abs=5)
