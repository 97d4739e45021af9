"""The message log: found, followed, exported, bounded, without secrets."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from gateway_wire import OPERATOR, Gateway, Wire, running_gateway
from sqlalchemy.dialects import postgresql
from stack import Issuer, Servers, eventually

from common import paging
from csms_gateway import message_log
from csms_gateway.messages import Sought

BOOT = {"chargePointVendor": "Acme", "chargePointModel": "One"}
SECRET = "correct-horse-battery"


async def found(gateway: Gateway, station: str, **params: Any) -> list[dict[str, Any]]:
    async with gateway.service.as_(OPERATOR, "messages:read") as api:
        answer = await api.get(f"/v1/stations/{station}/messages", params=params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


async def logged(gateway: Gateway, station: str, count: int) -> list[dict[str, Any]]:
    async def enough() -> Any:
        items = await found(gateway, station, limit=500)
        return items if len(items) >= count else None

    items: list[dict[str, Any]] = await eventually(enough)
    assert len(items) == count
    return items


async def ask(gateway: Gateway, station: str, body: dict[str, Any]) -> None:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        answer = await api.post(f"/v1/stations/{station}/commands", json=body)
        assert answer.status_code == 202, answer.text


async def test_messages_are_found_by_each_of_their_members(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        await wire.send("BootNotification", BOOT | {"firmwareVersion": "1_0%x"}, "boot-1")
        await wire.send("Heartbeat", {}, "beat-1")
        await ask(gateway, station, {"type": "reset"})
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        await socket.send(json.dumps([3, call[1], {"status": "Rejected"}]))
        await logged(gateway, station, 6)
    pair = await found(gateway, station, message_id="boot-1")
    assert [(one["direction"], one["kind"]) for one in pair] == [("out", "result"), ("in", "call")]
    # An answer is filed under its call's action, whoever called.
    reset = await found(gateway, station, action="Reset")
    assert [(one["direction"], one["kind"]) for one in reset] == [("in", "result"), ("out", "call")]
    assert {one["message_id"] for one in reset} == {call[1]}
    assert len(await found(gateway, station, direction="in")) == 3
    assert len(await found(gateway, station, kind="call", direction="in")) == 2
    # The text is text: no wildcards, no case.
    assert [one["message_id"] for one in await found(gateway, station, search="acme")] == ["boot-1"]
    assert len(await found(gateway, station, search="1_0%X")) == 1
    assert await found(gateway, station, search="1%0") == []
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    assert await found(gateway, station, **{"from": later, "to": "2100-01-01T00:00:00Z"} | {
        "to": (datetime.now(UTC) + timedelta(minutes=9)).isoformat()
    }) == []  # fmt: skip


async def test_pages_follow_each_other_without_a_gap(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        for _ in range(5):
            await Wire(socket).send("Heartbeat", {})
    whole = [one["id"] for one in await logged(gateway, station, 10)]
    pages: list[int] = []
    cursor = None
    async with gateway.service.as_(OPERATOR, "messages:read") as api:
        while True:
            params = {"limit": 3} | ({"cursor": cursor} if cursor else {})
            page = (await api.get(f"/v1/stations/{station}/messages", params=params)).json()
            pages += [one["id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        bounds = ("0001-01-01T00:00:00+14:00 1", "9999-12-31T23:59:59-14:00 1")
        for wrong in ("x", "MjAyNg", "bm90IGEgY3Vyc29y", *map(paging.encode, bounds)):
            answer = await api.get(f"/v1/stations/{station}/messages", params={"cursor": wrong})
            assert answer.status_code == 422
    assert pages == whole


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-20T00:00:00Z", "search": "x"},
        {"search": "a\0b"},
        {"from": "2026-01-01"},
        {"to": "0001-01-01T00:00:00Z"},
        {"from": "0001-01-01T04:00:00+14:00", "to": "0001-01-01T05:00:00+14:00"},
        {"from": "9999-12-31T23:00:00-14:00", "to": "9999-12-31T23:59:00-14:00"},
    ],
)
async def test_a_range_without_end_is_refused(gateway: Gateway, params: dict[str, str]) -> None:
    async with gateway.service.as_(OPERATOR, "messages:read") as api:
        answer = await api.get("/v1/stations/S/messages", params=params)
        assert answer.status_code == 422, answer.text


async def test_a_question_reads_the_days_it_asks_for_by_an_index(gateway: Gateway) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    url = str(gateway.service.app.state.parts.settings.database_url)
    owner = await asyncpg.connect(url, server_settings={"search_path": "csms_gateway"})
    station = f"S-{uuid4().hex[:8]}"
    await owner.execute(
        "insert into message"
        " (received_at, operator_id, station_id, direction, kind, action, message_id, frame)"
        " select $1::timestamptz + make_interval(secs => n), $2,"
        " case when n % 200 = 0 then $3 else 'OTHER-' || n % 50 end,"
        " 'in', 'call', 'Heartbeat', n::text, repeat('x', 200)"
        " from generate_series(1, 20000) as n",
        day - timedelta(days=1), OPERATOR, station,
    )  # fmt: skip
    await owner.execute("analyze message")
    sought = Sought(station_id=station, since=day - timedelta(days=1), until=day, search="needle")
    query = sought.query().compile(
        dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
        compile_kwargs={"literal_binds": True},
    )
    plan = "\n".join(row[0] for row in await owner.fetch(f"explain (analyze) {query}"))
    await owner.close()
    yesterday = f"message_p{day - timedelta(days=1):%Y%m%d}"
    assert yesterday in plan
    assert f"message_p{day:%Y%m%d}" not in plan, plan
    assert "Seq Scan" not in plan, plan
    assert len(await found(gateway, station, **{
        "from": (day - timedelta(days=1)).isoformat(), "to": day.isoformat(), "search": "xxx",
        "limit": 500,
    })) == 100  # fmt: skip


async def test_secrets_are_masked_in_both_directions_typed_and_raw(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        change = {"key": "AuthorizationKey", "value": SECRET}
        await ask(gateway, station, {"ocpp": {"action": "ChangeConfiguration", "payload": change}})
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        assert call[3] == change  # the charger gets it, of course
        await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        asked = {"action": "GetConfiguration", "payload": {}}
        await ask(gateway, station, {"ocpp": asked})
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        known = {"key": "AuthorizationKey", "readonly": False, "value": SECRET}
        await socket.send(json.dumps([3, call[1], {"configurationKey": [known]}]))
        # And once more, when nobody waits for it any longer.
        await socket.send(json.dumps([3, call[1], {"configurationKey": [known]}]))
        await socket.send(f'[2,"x","ChangeConfiguration",{{"password":"{SECRET}"')
        rows = await logged(gateway, station, 6)
    assert SECRET not in json.dumps(rows)
    # Who may read commands is not told either.
    async with gateway.service.as_(OPERATOR, "commands:read") as api:
        commands = (await api.get(f"/v1/stations/{station}/commands")).json()["items"]
    assert SECRET not in json.dumps(commands)
    assert commands[1]["parameters"]["payload"] == change | {"value": "***"}
    assert sum("***" in row["frame"] for row in rows) == 4
    assert [row["action"] for row in rows[2:]] == ["GetConfiguration"] * 2 + [
        "ChangeConfiguration"
    ] * 2


async def test_no_notification_refusal_or_record_shows_a_secret(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with (
        gateway.connect(station) as socket,
        gateway.service.as_(OPERATOR, "commands:write", "messages:read") as api,
    ):
        wire = Wire(socket)
        data = json.dumps({"wifi": {"ssid": "depot", "password": SECRET}})
        await wire.send("DataTransfer", {"vendorId": "V", "data": data})
        assert SECRET not in str(await wire.send("DataTransfer", {"vendorId": [SECRET]}))
        shown = (await api.get(f"/v1/stations/{station}/notifications")).json()["items"]
        assert [json.loads(one["payload"]["data"]) for one in shown] == [
            {"wifi": {"ssid": "depot", "password": "***"}}
        ]
        commands = f"/v1/stations/{station}/commands"
        for value in (SECRET * 50, [SECRET]):
            payload = {"key": "AuthorizationKey", "value": value}
            ocpp = {"action": "ChangeConfiguration", "payload": payload}
            refused = await api.post(commands, json={"ocpp": ocpp})
            assert refused.status_code == 422 and SECRET not in refused.text
        asking = asyncio.ensure_future(
            api.post(
                commands,
                json={"type": "get_variables", "variables": []},
                params={"wait_s": 10},
            )
        )
        call = json.loads(await asyncio.wait_for(socket.recv(), 5))
        key = {"key": "AuthorizationKey", "readonly": False, "value": [SECRET]}
        await socket.send(json.dumps([3, call[1], {"configurationKey": [key]}]))
        failed = await asking
        assert failed.json()["state"] == "failed" and SECRET not in failed.text


async def test_the_log_can_be_followed_and_taken_up_again(gateway: Gateway) -> None:
    station = await gateway.add_station()
    path = f"/v1/stations/{station}/messages/stream"
    seen: list[tuple[int, dict[str, Any]]] = []
    following = asyncio.Event()

    async def follow(
        count: int, operator: UUID = OPERATOR, params: Any = None, last: int | None = None
    ) -> None:
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        async with (
            gateway.service.as_(operator, "messages:read") as api,
            api.stream("GET", path, headers=headers, params=params) as stream,
        ):
            number = 0
            async for line in stream.aiter_lines():
                following.set()
                if line.startswith("id: "):
                    number = int(line.removeprefix("id: "))
                if line.startswith("data: "):
                    seen.append((number, json.loads(line.removeprefix("data: "))))
                if len(seen) == count:
                    return

    async with gateway.connect(station) as socket:
        await Wire(socket).send("Heartbeat", {}, "before")
        await logged(gateway, station, 2)
        task = asyncio.ensure_future(follow(4))
        await following.wait()
        await asyncio.sleep(0.5)
        await Wire(socket).send("Heartbeat", {}, "one")
        await Wire(socket).send("BootNotification", BOOT, "two")
        await asyncio.wait_for(task, 10)
    assert [one["message_id"] for _, one in seen] == ["one", "one", "two", "two"]
    first = seen[0][0]
    seen.clear()
    await asyncio.wait_for(follow(3, last=first), 10)
    assert [one["message_id"] for _, one in seen] == ["one", "two", "two"]
    seen.clear()
    await asyncio.wait_for(follow(1, last=0, params={"action": "BootNotification"}), 10)
    assert seen[0][1]["message_id"] == "two"
    # R9: another operator hears nothing of it, from the very first message on.
    seen.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follow(1, uuid4(), last=0), 2.5)
    assert not seen


async def test_the_log_is_exported_whole(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        for number in range(260):
            await wire.send("Heartbeat", {}, f"beat-{number}")
        await socket.send("=1+1")
    url = f"/v1/stations/{station}/messages/export"
    async with gateway.service.as_(OPERATOR, "messages:read") as api:

        async def whole() -> Any:
            answer = await api.get(url)
            lines = [json.loads(line) for line in answer.text.splitlines()]
            return (answer, lines) if len(lines) == 521 else None

        answer, lines = await eventually(whole)
        assert answer.headers["content-type"].startswith("application/x-ndjson")
        ids = [line["id"] for line in lines]
        assert len(set(ids)) == 521
        assert lines[0]["message_id"] == "beat-0"
        assert lines[-1]["frame"] == "=1+1"
        calls = await api.get(url, params={"kind": "call"}, headers={"Accept": "text/csv"})
        rows = list(csv.DictReader(io.StringIO(calls.text)))
        assert [row["message_id"] for row in rows] == [f"beat-{n}" for n in range(260)]
        assert json.loads(rows[0]["frame"]) == [2, "beat-0", "Heartbeat", {}]
        bad = await api.get(url, params={"kind": "bad"}, headers={"Accept": "text/csv"})
        assert "'=1+1" in bad.text
        assert (await api.get(url, headers={"Accept": "image/png"})).status_code == 406
    async with gateway.service.as_(uuid4(), "messages:read") as api:
        assert (await api.get(url)).text == ""
        assert (await api.get(url, headers={"Accept": "text/csv"})).text.count("\n") == 1
    async with gateway.service.as_(OPERATOR, "status:read") as api:
        assert (await api.get(url)).status_code == 403


async def test_a_flood_fills_its_station_s_day_and_nobody_else_s(
    servers: Servers, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(UTC)
    monkeypatch.setattr(message_log, "now", lambda: at)  # no day ends meanwhile
    async with running_gateway(servers, issuer, message_log_rows_max=20) as gateway:
        flooding, quiet = await gateway.add_station(), await gateway.add_station()
        async with gateway.connect(flooding) as socket, gateway.connect(quiet) as other:
            wire = Wire(socket)
            for _ in range(40):
                assert "currentTime" in await wire.send("Heartbeat", {})
            # The facts are stored all the same.
            transaction_id = (await wire.start())["transactionId"]
            await Wire(other).send("Heartbeat", {})
        await logged(gateway, quiet, 2)
        rows = await logged(gateway, flooding, 21)
        assert (rows[0]["kind"], "full" in rows[0]["frame"]) == ("full", True)
        (stored,) = await gateway.transactions(station_id=flooding)
        assert stored["id"] == transaction_id
        metrics = (await gateway.service.http.get("/metrics")).text
        assert 'csms_gateway_log_dropped_total{why="station\'s day full"}' in metrics


async def test_old_days_are_dropped_whole(gateway: Gateway) -> None:
    url = str(gateway.service.app.state.parts.settings.database_url)
    owner = await asyncpg.connect(url, server_settings={"search_path": "csms_gateway"})
    old = datetime.now(UTC).date() - timedelta(days=31)
    kept = old + timedelta(days=1)
    for day in (old, kept):
        await owner.execute(
            f"create table message_p{day:%Y%m%d} partition of message"
            f" for values from ('{day}') to ('{day + timedelta(days=1)}')"
        )
    await owner.execute("set role csms_csms_gateway")
    await asyncio.gather(owner.execute("select keep_message_partitions(30)"))
    names = {
        row[0]
        for row in await owner.fetch(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'message'::regclass"
        )
    }
    await owner.close()
    assert f"message_p{old:%Y%m%d}" not in names
    assert f"message_p{kept:%Y%m%d}" in names
