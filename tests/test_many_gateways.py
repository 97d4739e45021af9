"""Several gateway replicas on one database: commands find stations, nothing dies with a replica."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from gateway_replicas import OPERATOR, PASSWORD, Replica, Replicas, closed_row, two_gateways
from gateway_wire import Wire
from stack import WAIT_S, Issuer, Servers, eventually
from websockets.asyncio.client import ClientConnection

from common import bus
from common.commanding import SUBJECT, TIMEOUT_S, CommandAnswer, CommandQuestion
from common.events import ConnectionsReported, SessionEnded, SessionStarted
from fleet import Charger

SOON_S = 1.0  # as a rule; the sweep, which a lost notice waits for, comes every five


@pytest.fixture(scope="module")
async def replicas(servers: Servers, issuer: Issuer) -> AsyncIterator[Replicas]:
    async with two_gateways(servers, issuer) as replicas:
        yield replicas


async def next_call(socket: ClientConnection, timeout_s: float = WAIT_S) -> list[Any]:
    found: list[Any] = json.loads(await asyncio.wait_for(socket.recv(), timeout_s))
    return found


async def answer(socket: ClientConnection, call: list[Any]) -> None:
    await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))


async def test_a_command_asked_for_at_any_replica_reaches_the_station_at_once(
    replicas: Replicas,
) -> None:
    (station,) = await replicas.add_stations(1)
    sent_after, answered_after = [], []
    for held_by in replicas.running:
        async with replicas.connect(held_by, station) as socket:
            assert "currentTime" in await Wire(socket).send("Heartbeat", {})
            for asked_at in replicas.running:
                began = time.monotonic()
                asked = asyncio.ensure_future(replicas.command(asked_at, station, wait_s=20))
                call = await next_call(socket)
                assert call[2] == "Reset"
                sent_after.append(time.monotonic() - began)
                await answer(socket, call)
                assert (await asked)["state"] == "accepted"
                answered_after.append(time.monotonic() - began)
    # Half of them: a busy machine may stop any process for a moment.
    assert statistics.median(sent_after) < SOON_S, sent_after
    assert statistics.median(answered_after) < SOON_S + 1, answered_after


async def test_other_services_ask_for_commands_over_nats(replicas: Replicas) -> None:
    (station,) = await replicas.add_stations(1)
    client, _ = await bus.connect(replicas.nats_server.url, "test")
    question = CommandQuestion(
        operator_id=OPERATOR, station_id=station, command={"type": "reset"},
        idempotency_key=f"{station}-reset", requested_by="billing: the balance is used up",
    )  # fmt: skip

    async def ask(**changes: Any) -> CommandAnswer:
        changed = question.model_copy(update=changes)
        return CommandAnswer.model_validate_json(await bus.ask(client, SUBJECT, changed, TIMEOUT_S))

    try:
        async with replicas.connect(replicas.running[1], station) as socket:
            assert "currentTime" in await Wire(socket).send("Heartbeat", {})
            stored = await ask()
            assert stored.state == "queued" and stored.refused is None
            await answer(socket, await next_call(socket))

            async def accepted() -> bool:
                return (await ask()).state == "accepted"

            await eventually(accepted)
            assert (await ask()).command_id == stored.command_id
            by = "select requested_by from command where id = $1"
            assert await replicas.value(by, stored.command_id) == question.requested_by
            # The same wall and the same refusals as by REST.
            other = await ask(operator_id=UUID(int=1), idempotency_key="other")
            assert other.refused and other.refused.status == 404
            wrong = await ask(command={"type": "explode"}, idempotency_key="wrong")
            assert wrong.refused and wrong.refused.status == 422
            reused = await ask(command={"type": "reset", "when": "immediate"})
            assert reused.refused and "idempotency-key-reused" in reused.refused.type
    finally:
        await client.close()


async def test_a_station_that_moves_is_taken_over(replicas: Replicas) -> None:
    here, there = replicas.running[:2]
    (station,) = await replicas.add_stations(1)
    async with replicas.connect(here, station) as old:
        assert "currentTime" in await Wire(old).send("Heartbeat", {})
        async with replicas.connect(there, station) as new:
            await asyncio.wait_for(old.wait_closed(), WAIT_S)
            assert old.close_code == 1008
            assert "currentTime" in await Wire(new).send("Heartbeat", {})
            row = "select generation from connection where station_id = $1 and closed_at is null"
            assert await replicas.value(row, station) == 2
            asked = asyncio.ensure_future(replicas.command(here, station, wait_s=10))
            await answer(new, await next_call(new))
            assert (await asked)["state"] == "accepted"


async def test_a_lost_notice_of_a_takeover_is_made_good_by_the_sweep(replicas: Replicas) -> None:
    (station,) = await replicas.add_stations(1)
    async with replicas.connect(replicas.running[0], station) as old:
        assert "currentTime" in await Wire(old).send("Heartbeat", {})
        # What a newer socket elsewhere writes, without the notice that follows.
        await replicas.value(
            "update connection set generation = generation + 1 where station_id = $1", station
        )
        await asyncio.wait_for(old.wait_closed(), WAIT_S)
        assert old.close_code == 1008


async def test_a_living_replica_that_was_taken_for_dead_takes_its_stations_back(
    replicas: Replicas,
) -> None:
    (station,) = await replicas.add_stations(1)
    async with replicas.connect(replicas.running[0], station) as socket:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
        await replicas.value(
            "update connection set closed_at = now() where station_id = $1", station
        )
        row = "select generation from connection where station_id = $1 and closed_at is null"

        async def reopened() -> Any:
            return await replicas.value(row, station)

        assert await eventually(reopened) == 2
        asked = asyncio.ensure_future(replicas.command(replicas.running[1], station, wait_s=10))
        await answer(socket, await next_call(socket))
        assert (await asked)["state"] == "accepted"


def fleet_charger(replicas: Replicas, station: str) -> Charger:
    """Seven minutes of charging in as many seconds; it lives two hours ago, so its times count."""
    base, born = datetime.now(UTC) - timedelta(hours=2), time.monotonic()
    return Charger(
        f"ws://127.0.0.1:{replicas.balancer_port}/ocpp",
        station,
        PASSWORD,
        time_scale=60,
        now=lambda: base + timedelta(seconds=(time.monotonic() - born) * 60),
        sample_interval_s=30,
        delay_s=0.2,
        call_timeout_s=5,
        reconnect_min_s=0.1,
        reconnect_max_s=0.5,
    )


async def silent_station(replicas: Replicas, replica: Replica) -> tuple[str, ClientConnection]:
    (station,) = await replicas.add_stations(1)
    socket = await replicas.connect(replica, station)
    assert "currentTime" in await Wire(socket).send("Heartbeat", {})
    return station, socket


async def test_kill_9_of_a_replica_loses_doubles_and_jams_nothing(replicas: Replicas) -> None:
    victim, heir = replicas.running[0], replicas.running[1]
    stations = await replicas.add_stations(6)
    # One with a command it never answers, that never returns; its last socket dies with the victim.
    gone, socket = await silent_station(replicas, victim)
    in_flight = await replicas.command(victim, gone, deadline_s=86_400)
    await next_call(socket)
    assert await replicas.state(in_flight) == "sent"

    chargers = [fleet_charger(replicas, station) for station in stations]
    for one in chargers:
        await one.__aenter__()
    try:
        for one in chargers:
            await one.wait_ready(60)
        charging = [
            asyncio.ensure_future(one.charge(1, "GOOD", energy_wh=1200)) for one in chargers
        ]
        held = "select count(*) from transaction where station_id = any($1)"

        async def all_charge() -> bool:
            return bool(await replicas.value(held, stations) == len(stations))

        await eventually(all_charge)
        victim.kill()
        began = time.monotonic()
        results = await asyncio.wait_for(asyncio.gather(*charging), 60)
        for one in chargers:
            await one.drain(30)
            assert one.violations == 0
    finally:
        for one in chargers:
            await one.__aexit__(None, None, None)
    await only_one_session_each(replicas, stations, results)

    assert await closed_row(replicas, gone, 60 - (time.monotonic() - began)) >= 0

    async def failed() -> bool:
        return await replicas.state(in_flight) == "failed"

    await eventually(failed)

    async def told() -> Any:
        return [
            report
            for event in replicas.of(ConnectionsReported)
            for report in event.reports
            if report.station_id == gone and not report.connected
        ]

    (offline,) = await eventually(told)
    assert (offline.generation, offline.operator_id) == (1, OPERATOR)
    async with replicas.as_operator(heir, "status:read") as api:
        shown = (await api.get(f"/v1/stations/{gone}/connection")).json()
    assert shown["closed_at"] is not None
    await socket.close()
    fresh = replicas.start()
    await fresh.ready()
    replicas.running.remove(victim)


async def only_one_session_each(
    replicas: Replicas, stations: list[str], results: list[Any]
) -> None:
    async def all_told() -> bool:
        return all(replicas.of(SessionEnded, station_id=station) for station in stations)

    await eventually(all_told)
    for station, result in zip(stations, results, strict=True):
        started = {event.session_id for event in replicas.of(SessionStarted, station_id=station)}
        ended = {event.id: event for event in replicas.of(SessionEnded, station_id=station)}
        assert len(started) == 1
        (end,) = ended.values()
        assert {end.session_id} == started
        assert end.energy_wh == result.energy_wh == 1200
        assert end.ended_at == result.ended_at
    rows = "select count(*) from transaction where station_id = any($1)"
    assert await replicas.value(rows, stations) == len(stations)
    stuck = "select count(*) from transaction where station_id = any($1) and ended_at is null"
    assert await replicas.value(stuck, stations) == 0


async def test_SIGTERM_drains(replicas: Replicas) -> None:
    leaving = replicas.running[-1]
    stations = await replicas.add_stations(240)
    # The two with a command are the first to be sent away.
    sockets = [await replicas.connect(leaving, one) for one in stations[:2]]
    rest = (replicas.connect(leaving, one) for one in stations[2:])
    sockets += await asyncio.gather(*rest)
    for socket in sockets:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})
    answered, silent = sockets[0], sockets[1]
    asked = [await replicas.command(leaving, station) for station in stations[:2]]
    calls = [await next_call(answered), await next_call(silent)]

    # Each end is noted as it comes, whatever else is looked at meanwhile.
    ending = asyncio.ensure_future(asyncio.gather(*(ended(socket) for socket in sockets)))
    began = time.monotonic()
    leaving.terminate()

    async def not_ready() -> bool:
        return await leaving.readiness() == 503

    await eventually(not_ready)
    with pytest.raises(ConnectionRefusedError):
        await replicas.connect(leaving, stations[2])
    # A new command waits in the database for the replica that the station goes to.
    waiting = await replicas.command(replicas.running[0], stations[0])
    await answer(answered, calls[0])
    ends = await ending
    assert {code for code, _ in ends} == {1012}
    moments = sorted(at - began for _, at in ends)
    # The first at once, the last when its command has had its time; beyond is the busy machine's.
    assert moments[0] < 5 and moments[-1] < 20
    assert await asyncio.to_thread(leaving.process.wait, 60) == 0
    assert await replicas.state(asked[0]) == "accepted"
    assert await replicas.state(asked[1]) == "failed"
    assert await replicas.state(waiting) == "queued"
    left = "select count(*) from connection where station_id = any($1) and closed_at is null"
    assert await replicas.value(left, stations) == 0
    # 20 in 0.1 s: of the 238 with nothing in work the last goes a second after the first.
    spread = "select extract(epoch from max(closed_at) - min(closed_at)) from connection"
    assert await replicas.value(f"{spread} where station_id = any($1)", stations[2:]) > 0.6
    async with replicas.connect(replicas.running[0], stations[0]) as socket:
        await answer(socket, await next_call(socket))
    replicas.running.remove(leaving)


async def ended(socket: ClientConnection) -> tuple[int | None, float]:
    await asyncio.wait_for(socket.wait_closed(), 60)
    return socket.close_code, time.monotonic()


async def test_a_thousand_stations_reconnect_at_once(replicas: Replicas) -> None:
    replica = replicas.running[0]
    stations = await replicas.add_stations(1000)
    boot = {"chargePointVendor": "Acme", "chargePointModel": "One"}

    async def comes(station: str) -> ClientConnection:
        socket = await replicas.connect(replica, station, ping_interval=None)
        booted = await asyncio.wait_for(Wire(socket).send("BootNotification", boot), 60)
        assert booted["status"] == "Accepted"
        return socket

    before = await asyncio.gather(*map(comes, stations))
    for socket in before:
        socket.transport.abort()
    # At once, while their old sockets are still being noticed.
    after = await asyncio.gather(*map(comes, stations))
    held = (
        "select count(*) from connection"
        " where station_id = any($1) and closed_at is null and generation = 2"
    )

    async def all_held() -> bool:
        return bool(await replicas.value(held, stations) == len(stations))

    await eventually(all_held)
    await asyncio.gather(*(socket.close() for socket in after))
    assert "Traceback" not in replica.words
