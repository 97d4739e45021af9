"""Pure: OCPP-J frames, from text to parts and back.

Source: OCPP-J 1.6, 4.2; OCPP 2.0.1 Part 4, 4.2.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

CALL: Final = 2
CALL_RESULT: Final = 3
CALL_ERROR: Final = 4
CALL_RESULT_ERROR: Final = 5  # OCPP 2.1 Part 4: our answer could not be worked with
SEND: Final = 6  # OCPP 2.1 Part 4: a call without an answer

UNKNOWN_ID: Final = "-1"  # OCPP 2.0.1 Part 4, 4.2.3: what to answer to a message without an id
MESSAGE_ID_MAX = 36


@dataclass(frozen=True, slots=True)
class Call:
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallResult:
    message_id: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallError:
    message_id: str
    code: str
    description: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Send:
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallResultError:
    message_id: str
    code: str
    description: str


Frame = Call | CallResult | CallError | Send | CallResultError


class BadFrame(Exception):
    """Not a frame. message_id is UNKNOWN_ID when none could be read."""

    def __init__(self, why: str, message_id: str = UNKNOWN_ID, *, call: bool = False) -> None:
        super().__init__(why)
        self.message_id = message_id
        # Only a CALL may be answered; an answer to a broken answer would confuse the charger.
        self.call = call


def parse(text: str) -> Frame:
    """Raises BadFrame."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFrame(f"not JSON: {error}") from None
    if not isinstance(frame, list) or not frame:
        raise BadFrame("not an array")
    kind = frame[0]
    message_id = frame[1] if len(frame) > 1 else None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MESSAGE_ID_MAX:
        raise BadFrame("no message id of 1 to 36 characters", call=kind == CALL)
    match frame:
        case [2, _, str(action), dict(payload)]:
            return Call(message_id, action, payload)
        case [3, _, dict(payload)]:
            return CallResult(message_id, payload)
        case [4, _, str(code), *rest]:
            description = rest[0] if rest and isinstance(rest[0], str) else ""
            details = rest[1] if len(rest) > 1 and isinstance(rest[1], dict) else {}
            return CallError(message_id, code, description, details)
        case [6, _, str(action), dict(payload)]:
            return Send(message_id, action, payload)
        case [5, _, str(code), *rest]:
            return CallResultError(message_id, code, str(rest[0]) if rest else "")
        case [2, *_]:
            raise BadFrame("a CALL is [2, id, action, {…}]", message_id, call=True)
    raise BadFrame("not a CALL, CALLRESULT or CALLERROR", message_id)


def call(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALL, message_id, action, payload]).decode()


def result(message_id: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALL_RESULT, message_id, payload]).decode()


def error(message_id: str, code: str, description: str) -> str:
    # 255: OCPP-J 1.6, 4.2.3, errorDescription
    return orjson.dumps([CALL_ERROR, message_id, code, description[:255], {}]).decode()
