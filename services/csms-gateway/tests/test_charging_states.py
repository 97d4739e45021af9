"""Whether a session's car takes power is told with the session, whatever the version of OCPP."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from gateway_wire import EVSE, Gateway, Wire, connect_v2, running_gateway, stamp
from stack import Issuer, Servers

from common.events import ChargingStateReport, ChargingStatesReported, SessionEnded, SessionStarted


async def states(gateway: Gateway, station: str, count: int) -> list[ChargingStateReport]:
    return await gateway.reported(ChargingStatesReported, station, count)


def read(raw: str) -> datetime:
    return datetime.fromisoformat(raw)


async def status(wire: Wire, name: str, **more: Any) -> None:
    payload = {"connectorId": 1, "errorCode": "NoError", "status": name}
    assert await wire.send("StatusNotification", payload | more) == {}


async def test_statuses_of_1_6_are_told_of_the_session_on_their_connector(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await status(wire, "Preparing")
        started_at = stamp()
        number = (await wire.start(timestamp=started_at))["transactionId"]
        full_at = stamp()
        await status(wire, "Charging", timestamp=started_at)
        await status(wire, "Charging", connectorId=2)  # another car's, of no session
        await status(wire, "SuspendedEVSE")
        await status(wire, "SuspendedEV", timestamp=full_at)
        await status(wire, "Faulted", connectorId=1)
        await status(wire, "Available", connectorId=0)
        await wire.stop(number)
        await status(wire, "Finishing")
        await status(wire, "Available")
    told = await states(gateway, station, 4)
    end = (await gateway.told(SessionEnded, station_id=station))[0]
    assert [one.state for one in told] == [
        "charging", "suspended_evse", "suspended_ev", "suspended_evse",
    ]  # fmt: skip
    assert {(one.session_id, one.evse_id) for one in told} == {(end.session_id, 1)}
    assert (told[0].at, told[2].at) == (read(started_at), read(full_at))


async def test_a_state_after_a_reconnect_is_of_the_session_that_goes_on(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        await Wire(socket).start()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await status(wire, "Available", connectorId=2)
        await status(wire, "SuspendedEV")
    (told,) = await states(gateway, station, 1)
    start = (await gateway.told(SessionStarted, station_id=station))[0]
    assert (told.session_id, told.state) == (start.session_id, "suspended_ev")


async def test_states_told_before_the_start_of_their_session_are_told_with_it(
    gateway: Gateway,
) -> None:
    """After a time offline: states first, then the messages of the transaction."""
    station = await gateway.add_station()
    ago = {seconds: stamp(seconds) for seconds in (900, 800, 600, 300, 200)}
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await status(wire, "SuspendedEV", timestamp=ago[900])
        await status(wire, "Preparing", timestamp=ago[800])
        await status(wire, "Charging", timestamp=ago[600])
        await status(wire, "SuspendedEV", timestamp=ago[300])
        number = (await wire.start(timestamp=ago[600]))["transactionId"]
        # The answer was lost: it starts again, and nothing is told of another session.
        again = await wire.start(timestamp=ago[600])
        assert again["transactionId"] == number
        await wire.stop(number, timestamp=ago[200])
        # A car that was full before its session began.
        await status(wire, "SuspendedEV")
        await wire.start()
    told = await states(gateway, station, 3)
    first, second = await gateway.told(SessionStarted, 2, station_id=station)
    assert [(one.session_id, one.state) for one in told] == [
        (first.session_id, "charging"),
        (first.session_id, "suspended_ev"),
        (second.session_id, "suspended_ev"),
    ]
    assert [one.at for one in told[:2]] == [read(ago[600]), read(ago[300])]
    assert told[2].at < second.started_at


async def test_E_each_change_of_the_charging_state_of_2_x_is_told_once(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    events = [
        ("Started", "Authorized", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
        ("Updated", "MeterValuePeriodic", "Charging"),
        ("Updated", "MeterValuePeriodic", None),
        ("Updated", "MeterValuePeriodic", "Charging"),
        ("Updated", "ChargingStateChanged", "SuspendedEVSE"),
        ("Updated", "ChargingStateChanged", "SuspendedEV"),
        ("Ended", "EVDeparted", "Idle"),
    ]
    stamps = [stamp() for _ in events]
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        for seq_no, (kind, trigger, state) in enumerate(events):
            await wire.event(
                kind, seq_no, trigger, transaction=transaction, token="GOOD", evse=EVSE,
                timestamp=stamps[seq_no], wh=1000 + seq_no,
                info={"chargingState": state} if state else {},
            )  # fmt: skip
    end = (await gateway.told(SessionEnded, station_id=station))[0]
    told = await states(gateway, station, 5)
    assert [(one.state, one.at) for one in told] == [
        ("connected", read(stamps[0])),
        ("charging", read(stamps[1])),
        ("suspended_evse", read(stamps[5])),
        ("suspended_ev", read(stamps[6])),
        ("idle", read(stamps[7])),
    ]
    assert {(one.session_id, one.evse_id) for one in told} == {(end.session_id, 1)}


async def test_E04_a_state_that_comes_late_is_told_and_so_is_the_one_that_followed_it(
    gateway: Gateway,
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)

        at = {seconds_ago: stamp(seconds_ago) for seconds_ago in (300, 200, 100, 0)}

        async def event(seq_no: int, state: str, seconds_ago: int) -> None:
            await wire.event(
                "Updated" if seq_no else "Started", seq_no, "ChargingStateChanged", evse=EVSE,
                transaction=transaction, token="GOOD", timestamp=at[seconds_ago],
                offline=seconds_ago > 1, info={"chargingState": state},
            )  # fmt: skip

        await event(0, "Charging", 300)
        await event(2, "Charging", 100)  # 1 is missing, so it may have changed in between
        await event(1, "SuspendedEV", 200)
        await event(3, "Charging", 0)
    # The last one is told as well: what came before it was not its neighbour.
    told = sorted(await states(gateway, station, 4), key=lambda one: one.at)
    assert [(one.state, round((one.at - told[0].at).total_seconds(), -1)) for one in told] == [
        ("charging", 0), ("suspended_ev", 100), ("charging", 200), ("charging", 300),
    ]  # fmt: skip


async def test_a_retried_event_is_told_again_for_the_first_may_be_lost(gateway: Gateway) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    at = stamp()
    async with connect_v2(gateway, station) as socket:
        wire = Wire(socket)
        for _ in range(2):
            await wire.event(
                "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE,
                timestamp=at, info={"chargingState": "SuspendedEV"},
            )  # fmt: skip
    told = await states(gateway, station, 2)
    assert {(one.session_id, one.at, one.state) for one in told} == {
        (told[0].session_id, read(at), "suspended_ev")
    }


async def test_a_station_that_tells_of_endless_connectors_fills_no_memory(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer) as gateway:
        station = await gateway.add_station()
        async with gateway.connect(station) as socket:
            wire = Wire(socket)
            for number in range(1, 200):
                await status(wire, "SuspendedEV", connectorId=number)
            for _ in range(50):
                await status(wire, "Charging", connectorId=1)
            charger = gateway.service.app.state.beside.get(station)
            assert len(charger.early_states) <= 64
            assert max(len(early) for early in charger.early_states.values()) <= 16
