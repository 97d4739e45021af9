"""Events: sent with the commit or not at all, handled once, dead after five failures (R7)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from importlib import import_module
from typing import Any
from uuid import uuid4

import asyncpg
import nats
import pytest
from nats.js.api import StreamConfig
from nats.js.errors import NoStreamResponseError
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from stack import Issuer, Running, Servers, eventually, one_service

from common import audit, bus, inbox, outbox
from common.database import after_commit
from common.events import CardChanged, CardsImported, Event, UserChanged, UsersImported
from common.run import SERVICES


class Interrupted(Exception):
    """Thrown by a test."""


@pytest.fixture(scope="module")
async def service(servers: Servers, issuer: Issuer) -> AsyncIterator[Running]:
    # Reporting stands for any: the outbox and inbox are the same everywhere.
    async with one_service(servers, issuer, "reporting") as running:
        yield running


def event(name: str = "Ada") -> UserChanged:
    return UserChanged(operator_id=uuid4(), user_id=uuid4(), version=1, name=name, active=True)


@pytest.fixture
async def heard(service: Running) -> AsyncIterator[list[bytes]]:
    client = await nats.connect(service.nats_url)
    found: list[bytes] = []

    async def keep(message: Any) -> None:
        found.append(message.data)

    await client.subscribe(UserChanged.subject, cb=keep)
    await client.flush()
    yield found
    await client.close()


def mentions(heard: list[bytes], one: Event) -> int:
    return sum(str(one.id).encode() in body for body in heard)


async def test_an_event_is_sent_with_its_commit_and_not_by_the_poll(
    service: Running, heard: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sent() -> None:
        one = event()
        async with service.app.state.connections.begin("*") as db:
            await outbox.emit(db, one)

        async def arrived() -> bool:
            return mentions(heard, one) == 1

        await eventually(arrived)

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "POLL_S", 3600.0)
        await sent()  # from here on it waits so long for its next look
        await sent()
    await sent()  # and from here on no longer than it does


async def test_a_rolled_back_transaction_sends_nothing(
    service: Running, heard: list[bytes]
) -> None:
    sent, after = event(), event()

    async def interrupted() -> None:
        async with service.app.state.connections.begin("*") as db:
            await outbox.emit(db, sent)
            raise Interrupted

    with pytest.raises(Interrupted):
        await interrupted()
    async with service.app.state.connections.begin("*") as db:
        await outbox.emit(db, after)

    async def arrived() -> bool:
        return mentions(heard, after) == 1

    await eventually(arrived)
    assert mentions(heard, sent) == 0


async def test_what_a_dead_process_left_in_the_outbox_is_sent_by_the_poll(
    service: Running, heard: list[bytes]
) -> None:
    left = event()
    async with service.app.state.connections.begin("*") as db:
        row = {"id": left.id, "subject": left.subject, "body": left.model_dump_json()}
        insert = "insert into outbox (event_id, subject, body) values (:id, :subject, :body)"
        await db.execute(text(insert), row)

    async def arrived() -> bool:
        return mentions(heard, left) == 1

    await eventually(arrived)


class Handled:
    """A handler that counts, and fails while it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.failing = False

    async def __call__(self, db: AsyncSession, one: UserChanged) -> None:
        await db.execute(text("select 1"))
        if self.failing:
            await db.execute(text("select 1/0"))
        self.count += 1


async def test_a_repeated_event_is_handled_once(service: Running) -> None:
    handler = Handled()
    one = event()
    message = (one.subject, one.model_dump_json().encode())
    handlers: inbox.Handlers = {UserChanged: handler}
    connections = service.app.state.connections
    assert await inbox.handle(connections, handlers, [message, message]) == [True, True]
    assert await inbox.handle(connections, handlers, [message]) == [True]
    assert handler.count == 1


async def failed(service: Running) -> list[Any]:
    async with service.app.state.connections.begin("*") as db:
        return list((await db.execute(select(inbox.failed_event))).all())


async def test_five_failures_make_a_dead_letter_that_can_be_replayed(service: Running) -> None:
    handler = Handled()
    handler.failing = True
    poison, good = event("poison"), event("good")
    poisoned = (poison.subject, poison.model_dump_json().encode())
    handlers: inbox.Handlers = {UserChanged: handler}
    connections = service.app.state.connections
    for attempt in range(1, inbox.ATTEMPTS_MAX + 1):
        settled = await inbox.handle(connections, handlers, [poisoned])
        assert settled == [attempt == inbox.ATTEMPTS_MAX]
    (dead,) = await failed(service)
    assert (dead.event_id, dead.attempts) == (poison.id, inbox.ATTEMPTS_MAX)
    assert "division by zero" in dead.error
    assert await inbox.handle(connections, handlers, [poisoned]) == [True]  # dead is settled
    assert await inbox.replay(connections, handlers) == (0, 1)
    handler.failing = False
    assert await inbox.handle(
        connections, handlers, [(good.subject, good.model_dump_json().encode())]
    ) == [True]
    assert await inbox.replay(connections, handlers) == (1, 0)
    assert handler.count == 2
    assert await failed(service) == []


async def test_one_bad_event_costs_its_batch_nothing(service: Running) -> None:
    fine = Handled()
    messages = [
        (UserChanged.subject, b"not json"),
        (UserChanged.subject, event("fine").model_dump_json().encode()),
    ]
    settled = await inbox.handle(service.app.state.connections, {UserChanged: fine}, messages)
    assert settled == [True, True]
    assert fine.count == 1
    (dead,) = await failed(service)
    assert dead.dead_at is not None
    async with service.app.state.connections.begin("*") as db:
        await db.execute(inbox.failed_event.delete())


async def test_an_event_that_fails_in_a_batch_undoes_itself_alone(service: Running) -> None:
    poison = event("poison")
    ran: list[str] = []
    committed: list[str] = []

    async def handler(db: AsyncSession, one: UserChanged) -> None:
        await outbox.emit(db, event(f"because of {one.name}"))
        after_commit(db, partial(committed.append, one.name))
        ran.append(one.name)
        if one.id == poison.id:
            await db.execute(text("select 1/0"))

    batch = [event("before"), poison, event("after")]
    messages = [(one.subject, one.model_dump_json().encode()) for one in batch]
    connections = service.app.state.connections
    handlers: inbox.Handlers = {UserChanged: handler}
    assert await inbox.handle(connections, handlers, messages) == [True, False, True]
    # Together until one failed, then each alone.
    assert ran == ["before", "poison", "before", "poison", "after"]
    assert committed == ["before", "after"]
    (left,) = await failed(service)
    assert (left.event_id, left.attempts, left.dead_at) == (poison.id, 1, None)
    async with connections.begin("*") as db:
        await db.execute(inbox.failed_event.delete())


async def test_two_relays_send_each_event_once(service: Running, heard: list[bytes]) -> None:
    events = [event() for _ in range(20)]
    async with service.app.state.connections.begin("*") as db:
        await outbox.emit(db, *events)
    parts = service.app.state.parts
    await asyncio.gather(*(outbox.relay_once(parts.connections, parts.stream) for _ in range(4)))

    async def empty() -> bool:
        async with parts.connections.begin("*") as db:
            return bool(await db.scalar(select(func.count()).select_from(outbox.outbox)) == 0)

    await eventually(empty)

    async def all_heard() -> bool:
        return sum(mentions(heard, one) for one in events) >= len(events)

    await eventually(all_heard)
    assert [mentions(heard, one) for one in events] == [1] * len(events)


async def test_an_event_that_nats_does_not_take_waits_at_its_place(
    service: Running, heard: list[bytes]
) -> None:
    waiting, fine = event(), event()
    at = "update outbox set subject = :subject where event_id = :id"
    async with service.app.state.connections.begin("*") as db:
        await outbox.emit(db, waiting, fine)
        row = await db.scalar(
            text("select seq from outbox where event_id = :id"), {"id": waiting.id}
        )
        await db.execute(text(at), {"subject": "nobody.keeps.this", "id": waiting.id})

    async def arrived() -> bool:
        return mentions(heard, fine) == 1

    await eventually(arrived)
    parts = service.app.state.parts

    async def tried_again() -> bool:
        with contextlib.suppress(NoStreamResponseError):
            return await outbox.relay_once(parts.connections, parts.stream) == 1
        return True

    await eventually(tried_again)
    async with parts.connections.begin("*") as db:
        (left,) = (await db.execute(select(outbox.outbox))).all()
        assert (left.seq, left.event_id, left.dead_at) == (row, waiting.id, None)
        assert left.body == waiting.model_dump_json()

    async def at_last() -> bool:
        # The relay may be trying right now: what it puts back is another row.
        async with parts.connections.begin("*") as db:
            await db.execute(text(at), {"subject": waiting.subject, "id": waiting.id})
        return mentions(heard, waiting) == 1

    await eventually(at_last)


async def test_an_event_too_large_for_nats_holds_up_nobody(
    service: Running, heard: list[bytes]
) -> None:
    huge, fine = event("x" * 5_000_000), event()
    async with service.app.state.connections.begin("*") as db:
        await outbox.emit(db, huge, fine)

    async def arrived() -> bool:
        return mentions(heard, fine) == 1

    await eventually(arrived)

    async def only_the_huge_one_is_left() -> bool:
        # The relay commits a moment after NATS has delivered.
        async with service.app.state.connections.begin("*") as db:
            left = (await db.execute(select(outbox.outbox))).all()
        return [(row.event_id, row.dead_at is not None) for row in left] == [(huge.id, True)]

    await eventually(only_the_huge_one_is_left)
    async with service.app.state.connections.begin("*") as db:
        await db.execute(outbox.outbox.delete())


@pytest.mark.parametrize("table", ["outbox", "change_note"])
async def test_no_more_is_taken_than_a_batch_though_the_plan_was_made_for_an_empty_table(
    service: Running, table: str
) -> None:
    take = {"outbox": outbox.TAKE, "change_note": audit.TAKE}[table]
    fill = {
        "outbox": "(event_id, subject, body) select gen_random_uuid(), 'x', 'x'",
        "change_note": "(table_name, row_key, action, actor, at) "
        "select 'x', '{}', 'x', '{}', now()",
    }[table]
    url = str(service.app.state.parts.settings.database_url).replace("+asyncpg", "")
    db = await asyncpg.connect(url, server_settings={"search_path": "reporting"})
    transaction = db.transaction()
    await transaction.start()  # never committed, so the relay sees none of it
    await db.execute(f"delete from {table}")
    await db.execute(f"analyze {table}")
    statement = await db.prepare(str(take).replace(":most", "$1"))
    for _ in range(20):  # until PostgreSQL keeps a plan for every number
        assert await statement.fetch(200) == []
    await db.execute(f"insert into {table} {fill} from generate_series(1, 1000)")
    assert [len(await statement.fetch(200)) for _ in range(6)] == [200] * 5 + [0]
    await transaction.rollback()
    await db.close()


@pytest.mark.parametrize("name", SERVICES)
def test_who_hears_of_one_person_or_card_hears_of_many_as_well(name: str) -> None:
    handlers = import_module(f"{name.replace('-', '_')}.consumers").HANDLERS
    for one, many in ((UserChanged, UsersImported), (CardChanged, CardsImported)):
        assert (one in handlers) == (many in handlers), (name, many)


async def test_a_stream_of_an_older_release_is_brought_up_to_date(servers: Servers) -> None:
    client = await nats.connect(servers.nats.url)
    old = StreamConfig(name=bus.EVENTS_STREAM, subjects=["csms.user.*.*"], max_bytes=2**20)
    await client.jetstream().add_stream(old)
    await client.close()
    client, stream = await bus.connect(servers.nats.url, "test")
    assert (await stream.publish(UserChanged.subject, b"{}")).stream == bus.EVENTS_STREAM
    assert (await stream.publish("csms.record.closed.v1", b"{}")).stream == bus.EVENTS_STREAM
    await client.close()
