"""What many chargers say goes out in batches, each report acknowledged before its charger is.

An acknowledgement is a round trip, and a write to disk where NATS syncs always, so whatever arrives
while one is on its way shares the next. While NATS is away the batch goes to the outbox in
PostgreSQL instead: no charger has to wait for NATS to come back (R1).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import asyncpg
import nats.errors
import orjson
from nats.aio.client import Client
from nats.js import JetStreamContext
from prometheus_client import Counter
from pydantic import BaseModel

from common import ids
from common.clock import now
from common.database import Connections
from common.events import (
    BootsReported,
    ChargingStatesReported,
    ConnectionsReported,
    Event,
    MeterValuesReported,
    StatusesReported,
)

log = logging.getLogger(__name__)

BATCH_ITEMS_MAX = 500
SAMPLES_MAX = 200  # a report; a message may hold thousands, and must still fit into an event
BATCH_BYTES_MAX = 600_000  # NATS refuses messages over 1 MiB unless told otherwise
LINGER_S = 0.002  # nothing to a charger; what arrives meanwhile joins the batch
WAITING_MAX = 20_000  # more would only run into the chargers' own timeouts
ACK_TIMEOUT_S = 2.0

Reported = BootsReported | ConnectionsReported | StatusesReported | ChargingStatesReported
OTHERS: Final = (BootsReported, ConnectionsReported, StatusesReported, ChargingStatesReported)

UNREADABLE = Counter("csms_gateway_unreadable_values_total", "Sampled values that are no number")
BATCHES = Counter("csms_gateway_batches_total", "Batches of reports sent", ["subject", "way"])


class Overloaded(Exception):
    """Too many reports wait; the charger will try again."""


class Publisher:
    """The gateway's way out for events that no database row goes with."""

    def __init__(
        self,
        client: Client,
        stream: JetStreamContext,
        pool: "asyncpg.Pool[asyncpg.Record]",
        connections: Connections,
    ) -> None:
        self._client = client
        self._stream = stream
        self._pool = pool
        self._connections = connections
        self._meter = _Waiting()
        self._others: dict[type[Reported], _Waiting] = {kind: _Waiting() for kind in OTHERS}

    async def meter(self, report: dict[str, Any]) -> None:
        """Return when the report is durable. report: a MeterReport as JSON-ready members."""
        samples = report["samples"]
        if len(samples) <= SAMPLES_MAX:
            await self._meter.add(orjson.dumps(report))
            return
        parts = [samples[n : n + SAMPLES_MAX] for n in range(0, len(samples), SAMPLES_MAX)]
        adding = (self._meter.add(orjson.dumps(report | {"samples": part})) for part in parts)
        await asyncio.gather(*adding)

    async def report(self, kind: type[Reported], report: BaseModel) -> None:
        """Return when the report is durable; kind: the event whose reports it joins."""
        await self._others[kind].add(report.model_dump_json().encode())

    async def event(self, event: Event) -> None:
        """Return when the event is durable."""
        await self._send(event.subject, str(event.id), event.model_dump_json().encode())

    def loops(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What must run for ever, by name."""
        found = {"meter batches": partial(self._run, self._meter, MeterValuesReported.subject)}
        for kind, waiting in self._others.items():
            found[f"{kind.__name__} batches"] = partial(self._run, waiting, kind.subject)
        return dict(found)

    async def _run(self, waiting: "_Waiting", subject: str) -> None:
        while True:
            reports, futures = await waiting.take()
            try:
                event_id = str(ids.uuid7())
                body = orjson.dumps(
                    {
                        "id": event_id,
                        "occurred_at": now(),
                        "operator_id": None,
                        "reports": [orjson.Fragment(report) for report in reports],
                    }
                )
                await self._send(subject, event_id, body)
            except Exception as error:  # noqa: BLE001 - each waiting charger is told
                _settle(futures, error)
            except BaseException:
                _settle(futures, asyncio.CancelledError())
                raise
            else:
                _settle(futures, None)

    async def _send(self, subject: str, event_id: str, body: bytes) -> None:
        if self._client.is_connected:
            try:
                headers = {"Nats-Msg-Id": event_id}
                await self._stream.publish(subject, body, timeout=ACK_TIMEOUT_S, headers=headers)
            except (nats.errors.Error, TimeoutError, OSError) as error:
                log.warning("NATS did not acknowledge (%s); using the outbox", error)
            else:
                BATCHES.labels(subject, "nats").inc()
                return
        # The same id: if NATS got it after all, the inbox of each consumer drops the second.
        await self._pool.execute(
            "insert into outbox (event_id, subject, body) values ($1, $2, $3)",
            event_id,
            subject,
            body.decode(),
        )
        self._connections.emitted.set()
        BATCHES.labels(subject, "outbox").inc()


def _settle(futures: list["asyncio.Future[None]"], error: BaseException | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            future.cancel()
        else:
            future.set_exception(error)


class _Waiting:
    """Reports that came in while a batch was on its way."""

    def __init__(self) -> None:
        self._items: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._some = asyncio.Event()

    async def add(self, report: bytes) -> None:
        if len(self._items) >= WAITING_MAX:
            raise Overloaded("too many reports are waiting")
        future = asyncio.get_running_loop().create_future()
        self._items.append((report, future))
        self._some.set()
        await future

    async def take(self) -> tuple[list[bytes], list["asyncio.Future[None]"]]:
        await self._some.wait()
        await asyncio.sleep(LINGER_S)
        reports: list[bytes] = []
        futures = []
        size = 0
        while self._items and len(reports) < BATCH_ITEMS_MAX:
            if reports and size + len(self._items[0][0]) > BATCH_BYTES_MAX:
                break
            report, future = self._items.popleft()
            reports.append(report)
            futures.append(future)
            size += len(report)
        if not self._items:
            self._some.clear()
        return reports, futures
