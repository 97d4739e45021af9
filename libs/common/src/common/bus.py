"""NATS: events by JetStream, and the two request/reply exceptions."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
from nats.js.errors import BadRequestError
from pydantic import BaseModel

from common import inbox
from common.database import Connections
from common.events import EVENTS, PASSING

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
BATCH_MAX = 100
FETCH_TIMEOUT_S = 5.0
RETRY_DELAY_S = 1.0
ACK_WAIT_S = 30.0
ACK_PENDING_MAX = 2000
KEEP_DAYS = 90
METER_KEEP_DAYS = 7
DAY_S = 86_400
GIB = 2**30
PENDING_BYTES_MAX = 16 * 2**20  # what a client buffers while NATS is away

METER = "METER"  # many and soon stored elsewhere: kept a week in a stream of their own
EVENTS_STREAM = "EVENTS"


def stream_of(subject: str) -> str:
    return METER if subject.startswith("csms.meter.") else EVENTS_STREAM


def _streams() -> list[StreamConfig]:
    kept = EVENTS.keys() - PASSING
    nouns = sorted({".".join(subject.split(".")[:2]) for subject in kept} - {"csms.meter"})
    return [
        StreamConfig(
            name=EVENTS_STREAM,
            subjects=[f"{noun}.*.*" for noun in nouns],
            max_age=KEEP_DAYS * DAY_S,
            max_bytes=4 * GIB,
        ),
        StreamConfig(
            name=METER,
            subjects=["csms.meter.*.*"],
            max_age=METER_KEEP_DAYS * DAY_S,
            max_bytes=4 * GIB,
        ),
    ]


async def connect(url: str, service: str) -> tuple[Client, JetStreamContext]:
    """Connect within CONNECT_TIMEOUT_S or fail; once connected, reconnect for ever."""
    client = await asyncio.wait_for(
        nats.connect(
            url,
            name=service,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            pending_size=PENDING_BYTES_MAX,
            error_cb=_log_error,
        ),
        CONNECT_TIMEOUT_S,
    )
    stream = client.jetstream()
    for config in _streams():
        await _ensure(stream, config)
    return client, stream


async def _ensure(stream: JetStreamContext, config: StreamConfig) -> None:
    """Make the stream, or bring the one of an older release up to date."""
    try:
        await stream.add_stream(config)
    except BadRequestError:
        known = (await stream.stream_info(str(config.name))).config.subjects or []
        # Never fewer subjects: during an upgrade both releases publish.
        both = sorted({*known, *(config.subjects or [])})
        await stream.update_stream(config.evolve(subjects=both))


async def _log_error(error: Exception) -> None:
    log.warning("nats: %s: %s", type(error).__name__, error)


async def consume(
    service: str,
    connections: Connections,
    stream: JetStreamContext,
    handlers: inbox.Handlers,
    name: str,
) -> None:
    """One durable pull consumer a service and stream, shared by its replicas."""
    mine = {
        event: handler for event, handler in handlers.items() if stream_of(event.subject) == name
    }
    if not mine:
        await asyncio.Event().wait()
    config = ConsumerConfig(
        durable_name=service,
        filter_subjects=[event.subject for event in mine],
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=-1,  # the inbox counts failures of the handler; an outage is none
        max_ack_pending=ACK_PENDING_MAX,
    )
    await stream.add_consumer(name, config)
    puller = await stream.pull_subscribe_bind(service, name)
    try:
        while True:
            try:
                batch = await puller.fetch(batch=BATCH_MAX, timeout=FETCH_TIMEOUT_S)
            except TimeoutError:  # of NATS, or of asyncio, as nats-py has it
                continue
            await _deliver(batch, connections, mine)
    finally:
        with contextlib.suppress(Exception):
            await puller.unsubscribe()


async def _deliver(batch: list[Msg], connections: Connections, handlers: inbox.Handlers) -> None:
    try:
        received = [(message.subject, message.data) for message in batch]
        settled = await inbox.handle(connections, handlers, received)
    except Exception:
        await asyncio.gather(*(message.nak(delay=RETRY_DELAY_S) for message in batch))
        raise
    for message, done in zip(batch, settled, strict=True):
        await (message.ack() if done else message.nak(delay=RETRY_DELAY_S))


Responder = Callable[[bytes], Awaitable[BaseModel]]


async def respond(client: Client, service: str, subject: str, answer: Responder) -> None:
    """Answer requests on a subject, shared among the service's replicas."""

    async def on_request(message: Msg) -> None:
        # No answer on failure: the asker has a timeout and a rule for it.
        try:
            reply = await answer(message.data)
        except Exception:
            log.exception("answering %s failed", subject)
            return
        await message.respond(reply.model_dump_json().encode())

    slots = asyncio.Semaphore(64)  # bounded: more would only wait for database connections

    async def in_slot(message: Msg) -> None:
        async with slots:
            await on_request(message)

    async with asyncio.TaskGroup() as group:

        async def start(message: Msg) -> None:
            group.create_task(in_slot(message))

        subscription = await client.subscribe(subject, queue=service, cb=start)
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()


async def ask(client: Client, subject: str, question: BaseModel, timeout_s: float) -> bytes:
    """One request. Raises nats TimeoutError or NoRespondersError."""
    reply = await client.request(subject, question.model_dump_json().encode(), timeout=timeout_s)
    return reply.data


consume_events = partial(consume, name=EVENTS_STREAM)
consume_meter = partial(consume, name=METER)
