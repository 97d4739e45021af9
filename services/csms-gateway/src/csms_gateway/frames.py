"""Pure: OCPP-J frames, from text to parts and back.

Source: OCPP-J 1.6, 4.2; OCPP 2.0.1 Part 4, 4.2.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

CALL: Final = 2
CALL_RESULT: Final = 3
CALL_ERROR: Final = 4
CALL_RESULT_ERROR: Final = 5  # OCPP 2.1 Part 4: our answer could not be worked with
SEND: Final = 6  # OCPP 2.1 Part 4: a call without an answer

# What each version knows, by its folder of schemas: OCPP-J 1.6, 4.1.3; 2.0.1 and 2.1 Part 4, 4.1.3.
TYPES: Final = {
    "v16": {CALL, CALL_RESULT, CALL_ERROR},
    "v201": {CALL, CALL_RESULT, CALL_ERROR},
    "v21": {CALL, CALL_RESULT, CALL_ERROR, CALL_RESULT_ERROR, SEND},
}
UNKNOWN_ID: Final = "-1"  # OCPP 2.0.1 Part 4, 4.2.3: what to answer to a message without an id
MESSAGE_ID_MAX = 36
# Whose last part is a payload, so that null is as good as an empty object: OCPP-J 1.6, 4.2.1 and
# 4.2.2; 2.0.1 and 2.1 Part 4, the same.
PARTS: Final = {CALL: 4, CALL_RESULT: 3, SEND: 4}
# 1.0 is how some languages write every number. To the schemas of 2.x it is an integer, to those of
# 1.6 it is none, and to the database it is none either: it is read as what was meant.
WHOLE: Final = re.compile(r"\.0+[\s,\]}]")
WHOLE_MAX: Final = 2**53  # beyond it a float is not exact
NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
DEPTH_MAX: Final = 32  # of no payload in OCPP; whoever nests deeper wants to break us


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


Fault = Literal["framework", "payload", "type"]

# OCPP-J 1.6, 4.2.3, as printed and as chargers have it (its errata rename it to FormatViolation);
# 2.0.1 and 2.1 Part 4, 4.3 and 4.4.
CODES: Final[dict[Fault, str]] = {
    "framework": "RpcFrameworkError",
    "payload": "FormatViolation",
    "type": "MessageTypeNotSupported",
}
CODE_16: Final = "FormationViolation"


class BadFrame(Exception):
    """Not a frame. message_id is UNKNOWN_ID when none could be read.

    fault: framework, it is no call at all; payload, its payload is no object; type, no message
    type of this version.
    """

    def __init__(
        self,
        why: str,
        message_id: str = UNKNOWN_ID,
        *,
        fault: Fault = "framework",
        kind: Any = None,
    ) -> None:
        super().__init__(why)
        self.message_id = message_id
        self.fault = fault
        self.kind = kind  # the message type number, if it can be read

    def code(self, version: str) -> str | None:
        """What to answer; None: nothing. An answer to a broken answer would confuse the charger."""
        answers = (CALL_RESULT, CALL_ERROR, CALL_RESULT_ERROR, SEND)
        if version == "v16":
            # 4.1.3: a message of an unknown type is ignored; and what is no frame at all has no id.
            return CODE_16 if self.kind == CALL else None
        if self.fault != "type" and self.kind in answers:
            return None
        return CODES[self.fault]


def clean(text: str) -> str:
    """NUL is legal JSON, but PostgreSQL stores none.

    A backslash that is escaped itself begins no NUL: in JSON within a text, which a meter may have
    signed, stands what it said.
    """
    return NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _read(text: str, version: str) -> tuple[list[Any], str]:
    """An array that begins with a type of the version and an id; the id. Raises BadFrame."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFrame(f"not JSON: {error}") from None
    if not isinstance(frame, list) or not frame:
        raise BadFrame("not an array")
    # True == 1 and 2.0 == 2, but neither is a message type.
    kind = frame[0] if type(frame[0]) is int else None
    message_id = frame[1] if len(frame) > 1 else None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MESSAGE_ID_MAX:
        raise BadFrame("no message id of 1 to 36 characters", kind=kind)
    if kind not in TYPES[version]:
        raise BadFrame("no message type of this version", message_id, fault="type", kind=kind)
    if frame[-1] is None and len(frame) == PARTS.get(kind):
        frame[-1] = {}
    if ".0" in text and WHOLE.search(text):
        frame[2:] = _whole(frame[2:])
    return frame, message_id


def _whole(value: Any, depth: int = 0) -> Any:
    """The same with whole numbers as integers."""
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < WHOLE_MAX else value
    if depth < DEPTH_MAX:
        if kind is list:
            return [_whole(one, depth + 1) for one in value]
        if kind is dict:
            return {name: _whole(one, depth + 1) for name, one in value.items()}
    return value


def parse(text: str, version: str = "v21") -> Frame:
    """Raises BadFrame. version: the folder of its schemas."""
    frame, message_id = _read(text, version)
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
        case [2, _, str(), _]:
            raise BadFrame("a payload is an object", message_id, fault="payload", kind=CALL)
    raise BadFrame("not a message of its type", message_id, kind=frame[0])


def call(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALL, message_id, action, payload]).decode()


def result(message_id: str, payload: dict[str, Any]) -> str:
    return orjson.dumps([CALL_RESULT, message_id, payload]).decode()


def error(message_id: str, code: str, description: str) -> str:
    # 255: OCPP-J 1.6, 4.2.3, errorDescription
    return orjson.dumps([CALL_ERROR, message_id, code, description[:255], {}]).decode()
