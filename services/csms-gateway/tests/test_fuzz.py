"""Whatever a charger sends is answered, and the next charger is unharmed.

`make fuzz` runs the same with more examples.
"""

import asyncio
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import pytest
from gateway_wire import OPERATOR, Gateway, Wire
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from csms_gateway import frames
from csms_gateway.versions import VERSIONS

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4"))
ACTIONS = [(name, action) for name, one in VERSIONS.items() for action in sorted(one.actions)]

# JSON has neither NaN nor Infinity: with one it is no frame, whose answer has no id to wait for.
numbers = st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def valid(  # noqa: PLR0911 - one a type
    schema: dict[str, Any], root: dict[str, Any]
) -> st.SearchStrategy[Any]:
    """What a schema of OCPP allows; they use a small part of JSON Schema."""
    if "$ref" in schema:
        return valid(root["definitions"][schema["$ref"].rpartition("/")[2]], root)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {})
            required = set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {name: valid(members[name], root) for name in required},
                optional={
                    name: valid(member, root)
                    for name, member in members.items()
                    if name not in required and name != "customData"
                },
            )
        case "array":
            least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
            items = valid(schema["items"], root)
            return st.lists(items, min_size=least, max_size=max(least, most))
        case "string" if schema.get("format") == "date-time":
            return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.text()
        case "string":
            return st.text(max_size=schema.get("maxLength", 50))
        case "integer":
            return st.integers()
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers()
        case "boolean":
            return st.booleans()
    return anything


def schema_file(version: str, name: str) -> Any:
    folder = resources.files("ocpp") / VERSIONS[version].schemas / "schemas"
    names = (f"{name}Request", name)
    return next(file for one in names if (file := folder / f"{one}.json").is_file())


@cache
def payloads(version: str, action: str) -> st.SearchStrategy[Any]:
    """What the schema allows, and the same with one member spoilt or gone."""
    schema = json.loads(schema_file(version, action).read_text("utf-8-sig"))
    good = valid(schema, schema)

    @st.composite
    def spoilt(draw: st.DrawFn) -> Any:
        payload = place = draw(good)
        for _ in range(draw(st.integers(0, 4))):
            inner = place[draw(st.sampled_from(sorted(place)))] if place else None
            inner = inner[0] if isinstance(inner, list) and inner else inner
            if not isinstance(inner, dict):
                break
            place = inner
        if place:
            name = draw(st.sampled_from(sorted(place)))
            if draw(st.booleans()):
                del place[name]
            else:
                place[name] = draw(anything)
        return payload

    return st.one_of(good, spoilt())


@pytest.mark.parametrize(("version", "action"), ACTIONS)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_any_payload_is_answered_and_nothing_breaks(
    gateway: Gateway, version: str, action: str, data: Any
) -> None:
    payload = data.draw(payloads(version, action))
    station = await _station(gateway)
    async with gateway.connect(station, subprotocols=[version], max_size=None) as socket:
        answer = await Wire(socket).send(action, payload)
        assert isinstance(answer, dict) or answer[0] != "InternalError", answer
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


_stations: dict[int, str] = {}


async def _station(gateway: Gateway) -> str:
    """One for all: making a station takes longer than fuzzing it."""
    if id(gateway) not in _stations:
        _stations[id(gateway)] = await gateway.add_station()
    return _stations[id(gateway)]


@given(text=st.one_of(st.text(), st.lists(anything).map(json.dumps)))
def test_any_text_is_a_frame_or_none(text: str) -> None:
    with suppress(frames.BadFrame):
        assert frames.parse(text).message_id


@settings(max_examples=EXAMPLES * 5, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.text() | st.lists(anything).map(json.dumps), max_size=15))
async def test_any_text_leaves_the_charger_its_socket(gateway: Gateway, texts: list[str]) -> None:
    station = await _station(gateway)
    async with gateway.connect(station) as socket:
        for text in texts:
            await socket.send(text)
        async with asyncio.timeout(10):
            assert "currentTime" in await Wire(socket).send("Heartbeat", {}, "the-last")


RESPONSES = {
    name: sorted(
        file.name.removesuffix("Response.json")
        for file in (resources.files("ocpp") / one.schemas / "schemas").iterdir()
        if file.name.endswith("Response.json")
    )
    for name, one in VERSIONS.items()
}
FINAL = {"accepted", "rejected", "failed"}


def least(schema: dict[str, Any], root: dict[str, Any]) -> Any:  # noqa: PLR0911 - one a type
    """The least that a schema of OCPP asks for."""
    if "$ref" in schema:
        return least(root["definitions"][schema["$ref"].rpartition("/")[2]], root)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            wanted = schema.get("required", ())
            return {name: least(schema["properties"][name], root) for name in wanted}
        case "array":
            return [least(schema["items"], root)] * schema.get("minItems", 1)
        case "string":
            date = schema.get("format") == "date-time"
            return "2030-01-01T00:00:00Z" if date else "http://x"[: schema.get("maxLength", 8)]
        case "boolean":
            return True
    return 1


@cache
def request(version: str, action: str) -> Any:
    schema = json.loads(schema_file(version, action).read_text("utf-8-sig"))
    return least(schema, schema)


@cache
def answers(version: str, action: str) -> st.SearchStrategy[Any]:
    """Frames without their message id: a result by the schema or spoilt, an error, or neither."""
    results = payloads(version, f"{action}Response").map(lambda payload: [3, payload])
    errors = st.tuples(st.just(4), st.text(max_size=40), anything, anything).map(list)
    return st.one_of(results, results, results, errors, st.tuples(st.just(3), anything).map(list))


@pytest.mark.parametrize("version", VERSIONS)
@settings(
    max_examples=EXAMPLES * 8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
async def test_whatever_a_charger_answers_a_command_ends(
    gateway: Gateway, version: str, data: Any
) -> None:
    action = data.draw(st.sampled_from(RESPONSES[version]))
    answer = data.draw(answers(version, action))
    station = await _station(gateway)
    async with gateway.connect(station, subprotocols=[version], max_size=None) as socket:
        wire = Wire(socket)
        assert "currentTime" in await wire.send("Heartbeat", {})
        asked = asyncio.ensure_future(_command(gateway, station, action, request(version, action)))
        call = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert call[2] == action
        text = json.dumps([answer[0], call[1], *answer[1:]])
        await socket.send(text)
        try:
            frames.parse(text, VERSIONS[version].schemas)
        except frames.BadFrame:
            # No answer at all: the command waits for one until its time is over.
            await socket.send(json.dumps([4, call[1], "InternalError", "", {}]))
        done = (await asked).json()
        assert done["state"] in FINAL, done
        assert done["result"] != {"description": "an error of ours; see the log"}, done
        assert "currentTime" in await wire.send("Heartbeat", {})


async def _command(gateway: Gateway, station: str, action: str, payload: Any) -> Any:
    body = {"ocpp": {"action": action, "payload": payload}}
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        path = f"/v1/stations/{station}/commands"
        return await api.post(path, json=body, params={"wait_s": 10})
