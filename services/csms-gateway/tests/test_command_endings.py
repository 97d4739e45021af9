"""R5: each command ends, as what it was, whatever happens around it."""

import asyncio
import json
from contextlib import suppress
from typing import Any
from uuid import uuid4

from gateway_commands import V16, staffed
from gateway_wire import OPERATOR, Gateway, Wire, running_gateway
from stack import Issuer, Servers, allow_connections, eventually

from csms_gateway import replicas
from csms_gateway.commands import records
from csms_gateway.tables import Command

CLEAR = {"type": "clear_cache"}


async def ask(gateway: Gateway, station: str, command: dict[str, Any], **params: Any) -> str:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        answer = await api.post(f"/v1/stations/{station}/commands", json=command, params=params)
    assert answer.status_code == 202, answer.text
    number: str = answer.json()["id"]
    return number


async def ended(gateway: Gateway, station: str, number: str, tries_s: float = 10) -> dict[str, Any]:
    async def over() -> dict[str, Any] | None:
        async with gateway.service.as_(OPERATOR, "commands:read") as api:
            found: dict[str, Any] = (
                await api.get(f"/v1/stations/{station}/commands/{number}")
            ).json()
        return found if found["state"] not in {"queued", "sent"} else None

    found: dict[str, Any] = await eventually(over, tries_s)
    return found


async def sweep(gateway: Gateway) -> None:
    """What the replica does every few seconds, now."""
    held = gateway.service.app.state.beside
    with suppress(TimeoutError):
        await asyncio.wait_for(records.sweep(held.gateway, held), 0.5)


async def test_the_deadline_is_for_a_station_that_is_away_not_for_its_answer(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V16) as staff:
        number = await ask(gateway, staff.station_id, CLEAR)
        call = json.loads(await asyncio.wait_for(staff.wire.socket.recv(), 5))
        await gateway.execute(
            "update command set deadline_at = now() - interval '1 second' where id = :id", id=number
        )
        await sweep(gateway)
        await staff.wire.socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert (await ended(gateway, staff.station_id, number))["state"] == "accepted"


async def test_R5_an_answer_that_cannot_be_stored_at_once_is_stored_later(
    servers: Servers, issuer: Issuer
) -> None:
    async with running_gateway(servers, issuer) as gateway:
        station = await gateway.add_station()
        url = str(gateway.service.app.state.parts.settings.database_url)
        async with gateway.connect(station) as socket:
            number = await ask(gateway, station, CLEAR)
            call = json.loads(await asyncio.wait_for(socket.recv(), 5))
            await allow_connections(servers, url, allowed=False)
            await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
            assert "currentTime" in await Wire(socket).send("Heartbeat", {})
            await asyncio.sleep(0.5)
            await allow_connections(servers, url, allowed=True)
            over = await ended(gateway, station, number, 20)
            assert (over["state"], over["result"]) == ("accepted", {"status": "Accepted"})
            # And the next one is sent as ever.
            next_one = await ask(gateway, station, CLEAR)
            call = json.loads(await asyncio.wait_for(socket.recv(), 10))
            await socket.send(json.dumps([3, call[1], {"status": "Rejected"}]))
            assert (await ended(gateway, station, next_one))["state"] == "rejected"


async def test_a_command_that_a_dead_replica_left_keeps_no_password(gateway: Gateway) -> None:
    station = await gateway.add_station()
    number = await ask(
        gateway, station, {"type": "get_log", "log": "diagnostics", "location": "ftp://u:pw9@h/x"}
    )
    await gateway.execute(
        "update command set state = 'sent', sent_at = now(), replica = :dead where id = :id",
        dead=uuid4(), id=number,
    )  # fmt: skip
    await replicas.bury(gateway.service.app.state.beside.gateway)

    async def over() -> Any:  # or it is the replica's own beat that buries it, at this very moment
        (found,) = await gateway.rows(Command, station)
        return found if found.state == "failed" else None

    row = await eventually(over)
    assert row.parameters["location"] == "ftp://u:***@h/x"


async def test_R8_commands_to_a_station_that_is_slow_wait_in_the_database_alone(
    gateway: Gateway,
) -> None:
    async with staffed(gateway, V16) as staff:
        deliveries = gateway.service.app.state.beside.gateway.deliveries
        before = len(deliveries)
        numbers = [await ask(gateway, staff.station_id, CLEAR) for _ in range(20)]
        call = json.loads(await asyncio.wait_for(staff.wire.socket.recv(), 5))
        await asyncio.sleep(0.2)
        assert len(deliveries) - before <= 2
        await staff.wire.socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        for _ in numbers[1:]:
            await staff.asked()
        for number in numbers:
            assert (await ended(gateway, staff.station_id, number))["state"] == "accepted"
