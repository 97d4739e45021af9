"""OCPP 2.x events that come twice, late, from two sockets: nothing lost, nothing doubled."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import EVSE, Gateway, Wire, connect_v2, kinds, stamp
from stack import eventually

from common.events import IncidentOpened, MeterValuesReported, SessionEnded
from csms_gateway.tables import TransactionEvent, UnmatchedMessage
from csms_gateway.transaction_fold import MISSING_MAX, Known, missing


def test_R8_a_number_that_jumps_to_two_billion_costs_no_memory() -> None:
    known = Known(
        uuid4(), "T", None, "", start_seen=True, start_seq_no=0, end_seq_no=2**31 - 1  # type: ignore[arg-type]
    )  # fmt: skip
    assert missing(known, [0, 3, 2**31 - 1]) == [1, 2, *range(4, 4 + MISSING_MAX - 2)]
    assert missing(known, range(2)) == []


async def test_E04_FR06_an_end_whose_events_have_all_come_is_told_without_an_incident(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
        )
        await wire.event("Ended", 2, "EVDeparted", transaction=transaction, wh=1800)
        # The one between was stored by the station's other socket at that very moment.
        await gateway.execute(
            "insert into transaction_event "
            "(station_id, ocpp_id, seq_no, operator_id, payload, received_at) "
            "select station_id, ocpp_id, 1, operator_id, '{}', now() from transaction "
            "where station_id = :station",
            station=station,
        )
        await gateway.execute(
            "update transaction set tell_by = now() where station_id = :station", station=station
        )
        await gateway.sweep_untold(station)
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, kinds(over)) == (800, [])


async def test_one_session_that_cannot_be_told_does_not_hold_up_the_others(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    broken, whole = "a-" + uuid4().hex[:8], "b-" + uuid4().hex[:8]
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        for transaction, evse_id in ((broken, 1), (whole, 2)):
            await wire.event(
                "Started", 0, "Authorized", transaction=transaction, token="GOOD",
                evse={"id": evse_id, "connectorId": 1}, wh=1000,
            )  # fmt: skip
            await wire.event("Ended", 2, "EVDeparted", transaction=transaction, wh=1800)
        await gateway.execute(
            "update transaction set tell_by = now() - interval '1 hour', end_seq_no = null "
            "where ocpp_id = :broken",
            broken=broken,
        )
        await gateway.execute(
            "update transaction set tell_by = now() where ocpp_id = :whole", whole=whole
        )
        await gateway.sweep_untold(station)
        (over,) = await gateway.told(SessionEnded, station_id=station)
        assert over.transaction_id == whole
        await gateway.execute("update transaction set tell_by = null where ocpp_id = :b", b=broken)


async def test_an_end_without_a_reading_takes_the_last_that_happened_not_the_last_to_come(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
        )
        await wire.event("Updated", 2, "MeterValuePeriodic", transaction=transaction, wh=1900)
        await wire.event("Ended", 3, "EVDeparted", transaction=transaction)
        await wire.event("Updated", 1, "MeterValuePeriodic", transaction=transaction, wh=1500)
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.meter_stop_wh, over.energy_wh) == (1900, 900)


async def test_E04_an_old_session_that_was_kept_offline_leaves_the_running_one_alone(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    running, old = str(uuid4()), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=running, token="GOOD", evse=EVSE, wh=5000
        )
        for kind, seq_no, trigger, ago, wh in (
            ("Started", 0, "Authorized", 7200, 1000),
            ("Ended", 1, "EVDeparted", 3600, 4000),
        ):
            await wire.event(
                kind, seq_no, trigger, transaction=old, offline=True, wh=wh, evse=EVSE,
                timestamp=stamp(ago), **({"token": "GOOD"} if seq_no == 0 else {}),
            )  # fmt: skip
        sampled = {"value": 6000, "measurand": "Energy.Active.Import.Register"}
        values = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        assert await wire.send("MeterValues", {"evseId": 1, "meterValue": values}) == {}
        (over,) = await gateway.told(SessionEnded, station_id=station)
        assert (over.transaction_id, over.energy_wh) == (old, 3000)
    rows = await gateway.transactions(station_id=station)
    row = next(one for one in rows if one["ocpp_id"] == running)
    assert row["incidents"] == []

    reports = await gateway.reported(MeterValuesReported, station, 4)
    of_it = [str(one.session_id) for one in reports if str(one.samples[0].value) == "6000"]
    assert of_it == [row["session_id"]]


async def test_E04_an_event_sent_again_as_offline_is_the_same_event(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    at = stamp()
    said: dict[str, Any] = {"transaction": transaction, "token": "GOOD", "timestamp": at}
    async with connect_v2(gateway, station) as socket:
        await Wire(socket).event("Started", 0, "Authorized", **said, evse=EVSE)
    async with connect_v2(gateway, station) as socket:
        answer = await Wire(socket).event(
            "Started", 0, "Authorized", **said, evse=EVSE, offline=True
        )
        assert answer["idTokenInfo"]["status"] == "Accepted"
    assert not await gateway.rows(UnmatchedMessage, station)
    assert not gateway.of(IncidentOpened, station_id=station)


async def test_R3_a_start_while_another_is_open_is_in_the_record_of_the_other(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    first, second = str(uuid4()), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        for transaction in (first, second):
            await wire.event(
                "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=10
            )
        (opened,) = await gateway.told(IncidentOpened, station_id=station)
        assert opened.incident.kind == "start_while_open"
        await wire.event("Ended", 1, "EVDeparted", transaction=first, wh=20)
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.session_id, over.transaction_id) == (opened.session_id, first)
    assert kinds(over) == ["start_while_open"]


async def test_a_state_that_comes_late_does_not_undo_a_newer_one(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE
        )
        for seq_no, state in ((2, "Charging"), (1, "EVConnected")):
            await wire.event(
                "Updated", seq_no, "ChargingStateChanged", transaction=transaction,
                info={"chargingState": state},
            )  # fmt: skip
    (row,) = await gateway.transactions(station_id=station)
    assert row["charging_state"] == "Charging"


async def test_R6_words_that_the_version_does_not_know_lose_no_session(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        token = {"idToken": "X" * 60, "type": "VIN"}
        answer = await wire.event(
            "Started", 0, "TxResumed", transaction=transaction, idToken=token, evse=EVSE, wh=10,
            info={"chargingState": "Preconditioning"},
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Invalid"
        await wire.event(
            "Ended", 1, "CostLimitReached", transaction=transaction, wh=20,
            info={"stoppedReason": "ReqEnergyTransferRejected"},
        )  # fmt: skip
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, over.stop_reason) == (10, "ReqEnergyTransferRejected")


@pytest.mark.parametrize("fails", ["readings", "event"])
async def test_R1_an_update_of_which_one_half_was_stored_is_told_again_and_is_whole(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    inside = gateway.service.app.state.beside.gateway

    async def broken(*_: Any) -> Any:
        await asyncio.sleep(0.1)  # the other half is stored meanwhile
        raise OSError("planted")

    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=1000
        )
        said: dict[str, Any] = {
            "transaction": transaction, "wh": 1200, "timestamp": stamp(),
            "info": {"chargingState": "Charging"},
        }  # fmt: skip
        with monkeypatch.context() as planted:
            if fails == "readings":
                planted.setattr(inside.publisher, "meter", broken)
            else:
                planted.setattr(inside.events, "_stored", broken)
            code, _ = await wire.event("Updated", 1, "MeterValuePeriodic", **said)
            assert code == "InternalError"
        assert await wire.event("Updated", 1, "MeterValuePeriodic", **said) == {}
        assert await wire.event(
            "Updated", 2, "ChargingStateChanged", transaction=transaction,
            info={"chargingState": "EVConnected"},
        ) == {}  # fmt: skip
        await wire.event("Ended", 3, "EVDeparted", transaction=transaction, wh=1800)
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, kinds(over)) == (800, [])
    rows = await gateway.rows(TransactionEvent, station)
    assert sorted(row.seq_no for row in rows) == [0, 1, 2, 3]
    wanted = {(over.session_id, value) for value in (1000, 1200, 1800)}

    async def whole() -> bool:  # the first try's readings count twice, if they were stored
        reports = await gateway.reported(MeterValuesReported, station, 3)
        return wanted == {(one.session_id, int(s.value)) for one in reports for s in one.samples}

    await eventually(whole)
