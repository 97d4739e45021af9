"""One charger's WebSocket: kept open, one own call at a time, the other side's answered at once."""

import asyncio
import logging
import random
import ssl
import time
import uuid
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from fleet.dialect import Dialect, Payload
from fleet.faults import Faults

log = logging.getLogger(__name__)

CALL, CALLRESULT, CALLERROR = 2, 3, 4
PING_S = 30  # mobile networks drop idle mappings after minutes, some after one
CLOSE_S = 2  # a charger that goes does not wait for a polite goodbye
TRIES_A_NETWORK = 3  # what NetworkProfileConnectionAttempts says
MAX_FRAME = 1 << 20  # bytes; long OCMF values and local lists fit


class CallFailed(Exception):
    """The charger's own call brought no answer it can use."""


class Refused(CallFailed):
    """The other side sent a CALLERROR, or an answer that its schema forbids."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class TimedOut(CallFailed):
    """No answer within the call timeout."""


class LinkLost(CallFailed):
    """There is no connection, or it closed before the answer came."""


class CallError(Exception):
    """Answers a call of the other side with a CALLERROR."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.description = description


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next attempt: doubling, with half of it left to chance.

    The same `seed` has the same chance again. Dice are thrown away, for a set takes 2.5 KiB.
    """

    min_s: float
    max_s: float
    seed: str

    def delay_s(self, failures: int) -> float:
        longest_s = min(self.max_s, self.min_s * float(2 ** min(failures, 20)))
        dice = random.Random(f"{self.seed}/{failures}")  # noqa: S311 - jitter, not a secret
        return dice.uniform(longest_s / 2, longest_s)


@dataclass
class Address:
    """Where a charger connects, and as whom. `url` is the part before the station id.

    What is changed counts from the next connection on. `tls` makes what a connection needs.
    `others` are the slots and addresses of further network profiles, tried when this one fails.
    """

    url: str
    station_id: str
    password: str | None
    tls: Callable[[], ssl.SSLContext]
    slot: int = 0
    others: list[tuple[int, str]] = field(default_factory=list)

    def turn(self) -> None:
        """Go on to the next network profile."""
        self.others.append((self.slot, self.url))
        self.slot, self.url = self.others.pop(0)

    @property
    def full_url(self) -> str:
        return f"{self.url.rstrip('/')}/{quote(self.station_id, safe='')}"

    def connect(self, subprotocol: str) -> connect:
        headers = {}
        if self.password is not None:
            secret = b64encode(f"{self.station_id}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        tls = self.tls() if self.url.startswith("wss:") else None
        options: dict[str, Any] = {} if tls is None else {"ssl": tls}
        return connect(
            self.full_url,
            subprotocols=[Subprotocol(subprotocol)],
            compression=None,  # it costs the server 50 KiB a socket
            additional_headers=headers,
            proxy=None,
            max_size=MAX_FRAME,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=CLOSE_S,
            **options,
        )


class Link:
    """Connects for ever, until cancelled or told to stay away.

    `answer` is given action and payload of each incoming call and returns the answer or raises
    CallError; it must not wait. `on_call` is told action, seconds and outcome ("ok" or the error's
    name) of each own call. `on_failure` gets a line for each new reason for being offline.
    """

    def __init__(
        self,
        address: Address,
        *,
        dialect: Dialect,
        faults: Faults,
        answer: Callable[[str, Payload], Payload],
        on_call: Callable[[str, float, str], None],
        on_failure: Callable[[str], None],
        call_timeout_s: float,
        backoff: Backoff,
    ) -> None:
        self.address = address
        self._dialect = dialect
        self._faults = faults
        self.failure: str | None = None
        self.violations = 0
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()
        self.closed.set()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._sought = asyncio.Event()
        self._answer = answer
        self._on_call = on_call
        self._on_failure = on_failure
        self._call_timeout_s = call_timeout_s
        self._backoff = backoff
        self._failures = 0
        self._socket: ClientConnection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._pending: tuple[str, asyncio.Future[list[Any]]] | None = None

    @property
    def wanted(self) -> bool:
        """Whether the charger is meant to be online."""
        return self._wanted.is_set()

    def seek(self) -> None:
        """Want to be online, and try at once."""
        self._failures = 0
        self._wanted.set()
        self._sought.set()

    async def leave(self, *, abruptly: bool = False) -> None:
        """Close and stay away until `seek`."""
        self._wanted.clear()
        await self.drop(abruptly=abruptly)

    async def drop(self, *, abruptly: bool = False) -> None:
        """Close; the link comes back by itself if it is wanted.

        Abruptly is without a close frame.
        """
        if self._socket is None:
            return
        if abruptly:
            self._socket.transport.abort()
        await self._socket.close()
        await self.closed.wait()

    async def run(self) -> NoReturn:
        while True:
            await self._wanted.wait()
            try:
                async with self.address.connect(self._dialect.subprotocol) as socket:
                    try:
                        if self.wanted:
                            await self._use(socket)
                    finally:
                        # Or the library takes the end of the program for an internal error.
                        await socket.close()
            except InvalidStatus as error:
                status = error.response.status_code
                self._fail(f"the server refuses the connection: HTTP {status}")
            except (OSError, WebSocketException, TimeoutError) as error:
                self._fail(f"no connection: {error or type(error).__name__}")
            if self.wanted:
                delay_s = self._backoff.delay_s(self._failures)
                self._failures += 1
                if self.address.others and self._failures % TRIES_A_NETWORK == 0:
                    self.address.turn()
                log.debug("%s: %s, next in %.1f s", self.address.station_id, self.failure, delay_s)
                self._sought.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._sought.wait()

    async def call(self, action: str, payload: Payload) -> Payload:
        """Send a call and return its answer. Raises CallFailed."""
        async with self._one_at_a_time:
            began = time.monotonic()
            outcome = "ok"
            try:
                return await self._exchange(action, payload)
            except CallFailed as error:
                outcome = error.code if isinstance(error, Refused) else type(error).__name__
                raise
            finally:
                self._on_call(action, time.monotonic() - began, outcome)

    async def send_garbage(self) -> None:
        if self._socket:
            with suppress(ConnectionClosed):
                await self._socket.send('[2,"this is not JSON')

    async def _exchange(self, action: str, payload: Payload) -> Payload:
        socket = self._socket
        if socket is None:
            raise LinkLost("not connected")
        message_id = str(uuid.uuid4())
        answered: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._pending = (message_id, answered)
        try:
            async with asyncio.timeout(self._call_timeout_s):
                await _send(socket, [CALL, message_id, action, payload])
                frame = await answered
        except TimeoutError:
            raise TimedOut(f"{action}: no answer in {self._call_timeout_s:g} s") from None
        except ConnectionClosed as error:
            raise LinkLost(f"{action}: {error}") from None
        finally:
            self._pending = None
        if not frame:
            raise LinkLost(f"{action}: {self.failure or 'stopped'}")
        self._failures = 0
        if frame[0] == CALLERROR:
            raise Refused(str(frame[2]), str(frame[3]) if len(frame) > 3 else "")
        return self._checked(f"{action}Response", frame[2])

    def _checked(self, message: str, payload: Any) -> Payload:
        wrong = self._dialect.violation(message, payload)
        if wrong is None and isinstance(payload, dict):
            return payload
        self.violations += 1
        log.warning("%s: the server's %s: %s", self.address.station_id, message, wrong)
        raise Refused("FormationViolation", wrong or "the answer is no object")

    async def _use(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.failure = None
        self.closed.clear()
        self.opened.set()
        try:
            while True:
                if self._faults.slow_reader_s:
                    await asyncio.sleep(self._faults.slow_reader_s)
                await self._receive(socket, await socket.recv())
        except ConnectionClosed as error:
            log.debug("%s: %s", self.address.station_id, error)
        finally:
            self._socket = None
            self.opened.clear()
            self.closed.set()
            if self._pending and not self._pending[1].done():
                self._pending[1].set_result([])
        reason = f"{socket.close_code} {socket.close_reason or ''}".rstrip()
        self._fail(f"the connection closed: {reason}")

    def _fail(self, reason: str) -> None:
        if reason != self.failure:
            self._on_failure(reason)
        self.failure = reason

    async def _receive(self, socket: ClientConnection, text: str | bytes) -> None:
        try:
            frame = orjson.loads(text)
            kind, message_id = frame[0], str(frame[1])
        except (ValueError, LookupError, TypeError):
            log.warning("%s: not a frame: %.100r", self.address.station_id, text)
            self.violations += 1
            return
        if kind == CALL and len(frame) == 4:
            await _send(socket, self._reply(message_id, str(frame[2]), frame[3]))
        elif kind in {CALLRESULT, CALLERROR} and len(frame) >= 3:
            if self._pending and self._pending[0] == message_id:
                if not self._pending[1].done():
                    self._pending[1].set_result(frame)
            else:
                log.info("%s: an answer nobody waits for", self.address.station_id)
        else:
            log.warning("%s: unknown frame: %.100r", self.address.station_id, text)
            self.violations += 1

    def _malformed(self) -> str:
        """The code for what its schema forbids: OCPP-J 1.6, 4.2.3; 2.0.1 Part 4, 4.3."""
        return "FormationViolation" if self._dialect.version == "1.6" else "FormatViolation"

    def _reply(self, message_id: str, action: str, payload: Any) -> list[Any]:
        wrong = self._dialect.violation(action, payload)
        try:
            if wrong is not None or not isinstance(payload, dict):
                self.violations += 1
                raise CallError(self._malformed(), wrong or "the payload is no object")
            return [CALLRESULT, message_id, self._answer(action, payload)]
        except CallError as error:
            return [CALLERROR, message_id, error.code, error.description[:255], {}]


async def _send(socket: ClientConnection, frame: list[Any]) -> None:
    await socket.send(orjson.dumps(frame), text=True)
