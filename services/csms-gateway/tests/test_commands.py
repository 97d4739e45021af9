"""Commands are records: stored, sent once, answered, or timed out."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from gateway_wire import OPERATOR, Gateway, Wire, stamp
from pydantic import TypeAdapter, ValidationError
from stack import eventually

from csms_gateway.commands.all_kinds import CommandIn


async def send(
    gateway: Gateway, station: str, command: dict[str, Any], key: str = "", **query: Any
) -> Any:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        return await api.post(
            f"/v1/stations/{station}/commands",
            json=command,
            headers={"Idempotency-Key": key or uuid4().hex},
            params=query,
        )


async def until(gateway: Gateway, created: httpx.Response, state: str) -> dict[str, Any]:
    assert created.status_code == 202, created.text
    command = created.json()

    async def there() -> Any:
        async with gateway.service.as_(OPERATOR, "commands:read") as api:
            path = f"/v1/stations/{command['station_id']}/commands/{command['id']}"
            now = (await api.get(path)).json()
        return now if now["state"] == state else None

    found: dict[str, Any] = await eventually(there)
    return found


async def test_a_remote_start_is_answered_and_names_the_session_that_came_of_it(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        created = await send(
            gateway, station, {"type": "remote_start", "id_token": "good", "evse_id": 1}
        )
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert call[2:] == ["RemoteStartTransaction", {"idTag": "good", "connectorId": 1}]
        # R5: with our command unanswered, the charger's own calls are answered at once.
        wire = Wire(socket)
        assert "currentTime" in await wire.send("Heartbeat", {})
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        done = await until(gateway, created, "accepted")
        assert done["session_id"] is None
        transaction_id = (await wire.start("GOOD"))["transactionId"]
        done = await until(gateway, created, "accepted")
        (open_one,) = await gateway.transactions(station_id=station)
        assert done["session_id"] == open_one["session_id"]

        stop = {"type": "remote_stop", "session_id": open_one["session_id"]}
        created = await send(gateway, station, stop, "stop-once")
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert call[2:] == ["RemoteStopTransaction", {"transactionId": transaction_id}]
        await socket.send(json.dumps([3, call[1], {"status": "Rejected"}]))
        assert (await until(gateway, created, "rejected"))["result"] == {"status": "Rejected"}
        assert await wire.stop(transaction_id) == {}
        assert (await send(gateway, station, stop)).status_code == 409
        assert (await send(gateway, station, stop, "stop-once")).json()["state"] == "rejected"


async def test_a_repeated_key_sends_nothing_again_and_another_use_of_it_is_refused(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        command = {"type": "remote_start", "id_token": "GOOD"}
        created = await send(gateway, station, command, f"{station}-key")
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([4, call[1], "GenericError", "no", {}]))
        failed = await until(gateway, created, "failed")
        assert failed["result"] == {"code": "GenericError", "description": "no"}
        again = await send(gateway, station, command, f"{station}-key")
        assert again.json()["id"] == created.json()["id"]
        other = await send(gateway, station, command | {"id_token": "BAD"}, f"{station}-key")
        assert other.status_code == 422
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_a_command_waits_for_a_station_that_is_away(gateway: Gateway) -> None:
    station = await gateway.add_station()
    created = await send(gateway, station, {"type": "remote_start", "id_token": "GOOD"})
    assert created.json()["state"] == "queued"
    async with gateway.connect(station) as socket:
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        await until(gateway, created, "accepted")


async def test_a_lost_answer_fails_the_command(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        created = await send(gateway, station, {"type": "remote_start", "id_token": "GOOD"})
        await asyncio.wait_for(socket.recv(), 5)
    failed = await until(gateway, created, "failed")
    assert failed["result"] == {"description": "the connection closed"}


async def test_a_command_no_station_fetched_times_out(gateway: Gateway) -> None:
    station = await gateway.add_station()
    created = await send(gateway, station, {"type": "remote_start", "id_token": "GOOD"})
    await gateway.execute(
        "update command set deadline_at = now() where station_id = :station", station=station
    )
    await until(gateway, created, "timed_out")
    async with gateway.connect(station) as socket:
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_bad_commands_are_refused_with_a_pointer(gateway: Gateway) -> None:
    station = await gateway.add_station()
    for body in (
        {},
        {"type": "explode"},
        {"type": "remote_start", "id_token": ""},
        {"type": "remote_start", "id_token": "x" * 37},
        {"type": "remote_start", "id_token": "a\u0000"},
        {"type": "remote_start", "id_token": "GOOD", "evse_id": 0},
        # Whoever sends it on in UTC would be beyond what there is of time.
        {"type": "get_log", "location": "ftp://x/y", "oldest_at": "0001-01-01T00:00:00+14:00"},
        {"type": "get_log", "location": "ftp://x/y", "latest_at": "9999-12-31T23:59:59-12:00"},
    ):
        answer = await send(gateway, station, body)
        assert answer.status_code == 422, body
        assert answer.json()["errors"][0]["pointer"].startswith("/body")
    # How some write for ever.
    ever = {"type": "get_log", "location": "ftp://x/y", "latest_at": "9999-12-31T23:59:59Z"}
    assert (await send(gateway, station, ever)).status_code == 202
    missing = await send(gateway, "NOWHERE", {"type": "remote_start", "id_token": "GOOD"})
    assert missing.status_code == 404
    assert stamp()


async def answered(wire: Wire, expected: list[Any], answer: dict[str, Any]) -> str:
    """Answer the next call; return its frame as it was."""
    frame = str(await asyncio.wait_for(wire.socket.recv(), 5))
    call = json.loads(frame)
    assert call[2:] == expected
    await wire.socket.send(json.dumps([3, call[1], answer]))
    return frame


async def test_one_ocpp_call_is_sent_exactly_as_given_and_its_answer_waited_for(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    payload = {
        "reservationId": 7,
        "idTag": "GÖOD",
        "expiryDate": "2030-01-01T00:00:00Z",
        "connectorId": 1,
    }
    body = {"ocpp": {"action": "ReserveNow", "payload": payload}}
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        asked = asyncio.ensure_future(send(gateway, station, body, wait_s=10))
        frame = await answered(wire, ["ReserveNow", payload], {"status": "Occupied"})
        assert frame.endswith(
            '"ReserveNow",{"reservationId":7,"idTag":"GÖOD",'
            '"expiryDate":"2030-01-01T00:00:00Z","connectorId":1}]'
        )
        done = await asked
        assert done.status_code == 200
        assert (done.json()["state"], done.json()["result"]) == ("rejected", {"status": "Occupied"})
        assert done.json()["calls"] == [
            {"action": "ReserveNow", "payload": payload, "answer": {"status": "Occupied"}}
        ]

        asked = asyncio.ensure_future(send(gateway, station, body, wait_s=10))
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([4, call[1], "NotImplemented", "no", {"a": 1}]))
        error = {"code": "NotImplemented", "description": "no", "details": {"a": 1}}
        assert (await asked).json()["result"] == error

        refused = await send(gateway, station, {"ocpp": {"action": "ReserveNow", "payload": {}}})
        assert (refused.status_code, refused.json()["title"][:11]) == (422, "The payload")
        refused = await send(gateway, station, {"ocpp": {"action": "GetReport", "payload": {}}})
        assert refused.json()["detail"] == "ocpp1.6 has no action GetReport"
        refused = await send(gateway, station, {"type": "get_base_report", "report_base": "X"})
        assert refused.status_code == 422
        refused = await send(
            gateway, station, {"type": "get_base_report", "report_base": "FullInventory"}
        )
        assert refused.json()["detail"] == "ocpp1.6 has no get_base_report"


async def test_a_call_that_only_2_x_has_mirrors_it(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=["ocpp2.0.1"]) as socket:
        command = {"type": "get_base_report", "report_base": "FullInventory"}
        asked = asyncio.ensure_future(send(gateway, station, command, wait_s=10))
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert call[2] == "GetBaseReport"
        assert call[3]["reportBase"] == "FullInventory"
        assert call[3]["requestId"] > 0
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert (await asked).json()["state"] == "accepted"


async def test_a_queued_command_can_be_cancelled_and_a_sent_one_cannot(gateway: Gateway) -> None:
    station = await gateway.add_station()
    created = await send(gateway, station, {"type": "reset"}, deadline_s=3600)
    path = f"/v1/stations/{station}/commands/{created.json()['id']}"
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        cancelled = await api.delete(path)
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert (await api.delete(path)).json()["state"] == "cancelled"
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        assert "currentTime" in await wire.send("Heartbeat", {})
        created = await send(gateway, station, {"type": "reset", "when": "immediate"})
        await answered(wire, ["Reset", {"type": "Hard"}], {"status": "Accepted"})
        await until(gateway, created, "accepted")
        async with gateway.service.as_(OPERATOR, "commands:write", "commands:read") as api:
            path = f"/v1/stations/{station}/commands/{created.json()['id']}"
            assert (await api.delete(path)).status_code == 409
            listed = await api.get("/v1/commands", params={"station_id": station, "type": "reset"})
            assert [one["state"] for one in listed.json()["items"]] == ["accepted", "cancelled"]


async def test_changes_of_commands_are_streamed_and_a_broken_stream_is_taken_up(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    seen: list[dict[str, Any]] = []

    async def follow(state: str, operator: UUID = OPERATOR, last: int | None = None) -> None:
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        async with (
            gateway.service.as_(operator, "commands:read") as api,
            api.stream(
                "GET", "/v1/commands/stream", params={"station_id": station}, headers=headers
            ) as stream,
        ):
            following.set()
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
                if seen and seen[-1]["state"] == state:
                    return

    following = asyncio.Event()
    task = asyncio.ensure_future(follow("rejected"))
    await following.wait()
    await asyncio.sleep(0.2)
    async with gateway.connect(station) as socket:
        await send(gateway, station, {"type": "reset"})
        await answered(Wire(socket), ["Reset", {"type": "Soft"}], {"status": "Rejected"})
        await asyncio.wait_for(task, 10)
    assert [one["change"] for one in seen] == sorted(one["change"] for one in seen)
    last = seen[-1]["change"] - 1
    seen.clear()
    await asyncio.wait_for(follow("rejected", last=last), 10)
    assert len(seen) == 1
    seen.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follow("rejected", uuid4(), 0), 1)
    assert not seen


def test_an_unknown_type_of_command_is_told_what_types_there_are() -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(CommandIn).validate_python({"type": "make_coffee"})
    (error,) = refused.value.errors()
    assert "remote_start" in error["msg"] and "_which" not in error["msg"]
