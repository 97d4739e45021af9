"""One charger on its socket, whatever version it speaks."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from prometheus_client import Counter, Histogram

from common.clock import now
from common.logs import station_id as logged_station
from csms_gateway import frames, schemas
from csms_gateway.admitted import Admitted
from csms_gateway.awaited_answers import STRANGE, Awaited, CallFailed, NoAnswer
from csms_gateway.sockets import Closed, Socket
from csms_gateway.standing import Standing
from csms_gateway.transaction_fold import Known

if TYPE_CHECKING:
    from csms_gateway.charging_states import Early, Newest
    from csms_gateway.gateway import Gateway

log = logging.getLogger(__name__)

MESSAGES = Counter(
    "csms_gateway_messages_total", "Calls from chargers", ["version", "action", "outcome"]
)
SECONDS = Histogram(
    "csms_gateway_answer_seconds", "From a charger's call to our answer", ["action"]
)
DEVIATIONS = Counter(
    "csms_gateway_deviations_total", "Harmless breaches of the schema", ["action", "deviation"]
)

# Looking a label up costs more than counting; there are only as many as actions and outcomes.
_messages = cache(MESSAGES.labels)
_seconds = cache(SECONDS.labels)

CLOSED = Counter("csms_gateway_closed_total", "Sockets that ended, by close code", ["code"])
DROPPED = Counter("csms_gateway_cut_off_total", "Sockets cut off without a handshake", ["why"])

# A charger that sends nothing but garbage would fill the log; real ones recover by reconnecting.
BAD_FRAMES_MAX: Final = 20
POLICY_VIOLATION: Final = 1008
UNSUPPORTED_DATA: Final = 1003
ABNORMAL: Final = 1006
CLOSE_CODES: Final = range(1000, 1016)
# After so many messages in a row the others get their turn: 32 heartbeats are 3 ms.
TURN: Final = 32
FINISH_S: Final = 5.0  # for the message in work and the command under way, when the gateway stops

Handler = Callable[["Charger", dict[str, Any]], Awaitable[dict[str, Any]]]
# A version-neutral command (commands.kinds.Kind) in the words of a version of OCPP.
Translation = Callable[["Charger", Any], Awaitable[list["Call"]]]
# What follows from a charger's answer to a call of ours: its payload, the answer.
Answered = Callable[["Charger", dict[str, Any], dict[str, Any]], Awaitable[None]]
# What follows when a charger answered a call of ours with CALLERROR, or it could not be sent as it
# was: its payload, the error's code.
Refused = Callable[["Charger", dict[str, Any], str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Call:
    """A call to a charger."""

    action: str
    payload: dict[str, Any]
    # Not made unless the charger took the one before: a part that builds on it.
    needs_previous: bool = False


def sends(action: str, payload: Callable[[Any], dict[str, Any]]) -> Translation:
    """The translation of a command that is one call and needs nothing but itself."""

    async def translated(_: "Charger", command: Any) -> list[Call]:
        return [Call(action, payload(command))]

    return translated


@dataclass(frozen=True)
class Version:
    """What differs between the versions of OCPP: names of errors and who answers which action."""

    name: str  # the subprotocol: ocpp1.6
    schemas: str  # the ocpp package's folder of its schemas: v16
    actions: Mapping[str, Handler]
    commands: Mapping[str, Translation]  # by the command's type
    answered: Mapping[str, Answered]  # by our call's action
    # R3: stores what tells of a session but cannot be worked with, before it is refused.
    keep: Callable[["Charger", str, dict[str, Any]], Awaitable[None]]
    giving_password: Callable[[str], Call]  # the station's new password by a call to it
    refused: Mapping[str, Refused] = field(default_factory=dict)  # by our call's action

    def lacks(self, command: Any) -> str | None:
        """What it does not have of a version-neutral command, in words; None: it can be asked."""
        if command.type not in self.commands:
            return f"{self.name} has no {command.type}"
        why: str | None = command.missing_in(self.schemas)
        return why


class Unsupported(Exception):
    """The charger's version of OCPP has no such command, or not with these parameters."""


class Charger:
    def __init__(
        self,
        gateway: "Gateway",
        socket: Socket,
        version: Version,
        station: Admitted,
        generation: int,
        connected_at: datetime,
    ) -> None:
        self.gateway = gateway
        self.version = version
        self.station = station
        self.station_id = station.station_id
        self.operator_id = station.operator_id
        self.generation = generation
        # Since when the charger could tell us everything at once; see clocks.settle.
        self.reachable_since = connected_at
        # Sessions seen on this socket by transaction id, so that meter values need no query.
        self.sessions: dict[str, UUID] = {}
        # OCPP 1.6: what a stop needs of a start on this socket; forgotten, it is read again.
        self.started: dict[int, dict[str, Any]] = {}
        # OCPP 2.x: what is known of the running ones; forgotten, it is read again.
        self.transactions: dict[str, Known] = {}
        self.open_by_evse: dict[int, UUID | None] = {}
        # See charging_states.py: by session (2.x), and by connector without a session (1.6).
        self.charging_states: dict[UUID, Newest] = {}
        self.early_states: dict[int, deque[Early]] = {}
        self.refused: set[str] = set()  # actions of ours that it has said it does not know
        # OCPP 1.6: connectors whose car asks for no power, and who was told which price last.
        self.idle: set[int] = set()
        self.price_told: tuple[str, str] | None = None
        self.standing = Standing(station.boot_answer)
        # A command's, until what its answer brings is stored: the charger may build on it before.
        self.under_way: Call | None = None
        self.commands = asyncio.Lock()
        self.delivery_waits = False  # a delivery of commands waits for that lock
        self.socket = socket
        self._calls = asyncio.Lock()
        self._awaited = Awaited()
        self._bad_frames = 0
        self._leaving = False
        self._idle = asyncio.Event()  # no message of the charger is in work
        self._idle.set()
        self._sending_since: float | None = None

    async def serve(self) -> None:
        """Answer the charger's calls, one after the other, until its socket closes."""
        logged_station.set(self.station_id)
        count = 0
        try:
            while True:
                text = await self.socket.receive()
                self._idle.clear()
                await self._receive(text)
                self._idle.set()
                if self._leaving:
                    break
                count += 1
                if count % TURN == 0:
                    await asyncio.sleep(0)
        except Closed:
            pass
        finally:
            self._idle.set()
            CLOSED.labels(self._close_code()).inc()
            self._awaited.lose_all()

    def _close_code(self) -> str:
        """Ours if we closed; 1006: nobody did, the network is gone."""
        code = self.socket.close_code or ABNORMAL
        return str(int(code)) if code in CLOSE_CODES else "other"

    async def close(self, code: int, reason: str) -> None:
        # What is still in the queue is not taken: unanswered, it comes again.
        self._leaving = True
        await self.socket.close(code, reason)

    async def answered(self) -> None:
        """Return once the charger's own call that is in work is answered."""
        await self._idle.wait()

    async def finish(self, code: int, reason: str) -> None:
        """Close, once what is in work is answered, ours and the charger's; or after FINISH_S."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                async with self.commands:
                    await self._idle.wait()
        await self.close(code, reason)

    def takes_nothing(self) -> bool:
        """Whether it has not taken what we send for too long; pings wait behind that."""
        since = self._sending_since
        limit_s = self.gateway.settings.ocpp_write_timeout_s
        return since is not None and time.monotonic() - since > limit_s

    def abort(self, why: str) -> None:
        """Cut the socket off; a closing handshake would have to wait for a charger that is deaf."""
        DROPPED.labels(why).inc()
        log.warning("%s is cut off: %s", self.station_id, why)
        self.socket.abort()

    async def call(self, action: str, payload: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Call the charger; one call at a time, as OCPP-J 4.1.1 asks.

        Only our side's lock is held: the charger's own calls are answered meanwhile. Raises
        CallFailed, NoAnswer or schemas.Violation (we would have sent something invalid).
        """
        if why := self.standing.forbids(action):
            raise CallFailed("SecurityError", why, {})
        schemas.check_outgoing(self.version.schemas, action, payload)
        async with self._calls:
            message_id, future = self._awaited.add(action)
            # Before it is sent: what it triggers may come before we have seen its answer.
            self.standing.asked(action, payload, time.monotonic())
            try:
                await self._send(
                    "call", action, message_id, frames.call(message_id, action, payload)
                )
                answer = await asyncio.wait_for(future, timeout_s)
            except TimeoutError:
                raise NoAnswer(f"no answer within {timeout_s:.0f} s", timed_out=True) from None
            except Closed:
                raise NoAnswer("the connection closed") from None
            finally:
                self._awaited.remove(message_id)
        try:
            for deviation in schemas.check_answer(self.version.schemas, action, answer):
                DEVIATIONS.labels(f"{action}Response", deviation).inc()
        except schemas.Violation as violation:
            why = f"the charger's answer breaks the schema: {violation}"
            raise CallFailed(violation.code, why, {"answer": answer}) from None
        return answer

    async def _send(self, kind: Any, action: str | None, message_id: str, frame: str) -> None:
        if self._sending_since is None:
            self._sending_since = time.monotonic()
        try:
            await self.socket.send(frame)
        finally:
            self._sending_since = None
        self.gateway.log.add(
            self.operator_id, self.station_id, "out", kind, action, message_id, frame
        )

    async def _receive(self, text: str | bytes) -> None:
        if isinstance(text, bytes):
            STRANGE.labels("binary").inc()
            await self.close(UNSUPPORTED_DATA, "OCPP-J is text")
            return
        try:
            # The log keeps the frame as it was.
            frame = frames.parse(frames.clean(text), self.version.schemas)
        except frames.BadFrame as bad:
            await self._on_bad_frame(bad, text)
            return
        match frame:
            case frames.Call():
                self._note("call", frame.action, frame.message_id, text)
                await self._answer(frame)
            case frames.CallResult():
                action = self._awaited.action_of(frame.message_id)
                self._note("result", action, frame.message_id, text)
                self._awaited.settle(frame.message_id, frame.payload)
            case frames.CallError():
                action = self._awaited.action_of(frame.message_id)
                self._note("error", action, frame.message_id, text)
                failed = CallFailed(frame.code, frame.description, frame.details)
                self._awaited.settle(frame.message_id, failed)
            case frames.Send():
                self._note("send", frame.action, frame.message_id, text)
                await self._take(frame)
            case frames.CallResultError():
                STRANGE.labels("result refused").inc()
                self._note("error", None, frame.message_id, text)
                log.warning("%s refused an answer: %s", self.station_id, frame.code)

    def _note(self, kind: Any, action: str | None, message_id: str | None, text: str) -> None:
        self.gateway.log.add(
            self.operator_id, self.station_id, "in", kind, action, message_id, text
        )

    async def _on_bad_frame(self, bad: frames.BadFrame, text: str) -> None:
        STRANGE.labels(f"bad {bad.fault}").inc()
        log.warning("%s sent what is no frame: %s", self.station_id, bad)
        self._note("bad", None, None, text)
        self._bad_frames += 1
        if self._bad_frames > BAD_FRAMES_MAX:
            await self.close(POLICY_VIOLATION, "too many frames that are none")
        elif code := bad.code(self.version.schemas):
            error = frames.error(bad.message_id, code, str(bad))
            await self._send("error", None, bad.message_id, error)

    async def _answer(self, call: frames.Call) -> None:
        started = time.perf_counter()
        outcome, frame = await self._handled(call)
        await self._send(
            "result" if outcome == "ok" else "error", call.action, call.message_id, frame
        )
        known = call.action if call.action in self.version.actions else "other"
        _messages(self.version.name, known, outcome).inc()
        _seconds(known).observe(time.perf_counter() - started)

    async def _take(self, send: frames.Send) -> None:
        """Handle what wants no answer."""
        outcome, _ = await self._handled(frames.Call(send.message_id, send.action, send.payload))
        known = send.action if send.action in self.version.actions else "other"
        _messages(self.version.name, known, outcome).inc()

    async def _refused(self, call: frames.Call, violation: schemas.Violation) -> tuple[str, str]:
        code = violation.code
        try:
            await self.version.keep(self, call.action, call.payload)
        except Exception:
            log.exception("%s of %s could not be kept", call.action, self.station_id)
            code = "InternalError"
        return code, frames.error(call.message_id, code, str(violation))

    async def _handled(self, call: frames.Call) -> tuple[str, str]:
        """The outcome (ok or an OCPP error code) and the frame to answer with."""
        if not self.standing.may_say(call.action, time.monotonic()):
            why = f"the station is {self.standing.registration}: only BootNotification is answered"
            return await self._refused(call, schemas.Violation("SecurityError", why))
        version = self.version.schemas
        handler = self.version.actions.get(call.action)
        if handler is None:
            code = "NotSupported" if schemas.known(version, call.action) else "NotImplemented"
            return code, frames.error(call.message_id, code, f"{call.action} is not answered here")
        try:
            for deviation in schemas.check_incoming(version, call.action, call.payload):
                DEVIATIONS.labels(call.action, deviation).inc()
            answer = await handler(self, call.payload)
            if schemas.responds(version, call.action):
                schemas.check_outgoing(version, f"{call.action}Response", answer)
        except schemas.Violation as violation:
            return await self._refused(call, violation)
        except Exception:
            # The charger will come back with what is old by then: no sign of a slow clock.
            self.reachable_since = now()
            # R1: what could not be stored is not accepted; the charger will send it again.
            log.exception("%s of %s failed", call.action, self.station_id)
            error = frames.error(call.message_id, "InternalError", "not stored; send it again")
            return "InternalError", error
        return "ok", frames.result(call.message_id, answer)
