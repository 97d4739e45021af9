"""OCPP 2.0.1, block O: what a station shows."""

from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import V201, Staffed, staffed
from gateway_wire import EVSE, Gateway

MESSAGE: dict[str, Any] = {
    "priority": "NormalCycle",
    "state": "Idle",
    "message": {"format": "UTF8", "content": "Grüß Gott"},
}


async def test_TC_O_01_a_message_is_set_under_a_new_id_or_the_given_one(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        command = {"type": "set_display_message", "message": MESSAGE}
        _, ((action, first),) = await staff.send(command)
        _, ((_, second),) = await staff.send(command)
        assert action == "SetDisplayMessage"
        numbers = [payload["message"].pop("id") for payload in (first, second)]
        assert numbers[0] < numbers[1]
        assert first == second == {"message": MESSAGE}
        # TC_O_06, TC_O_28: of one transaction, until a time
        of_one = MESSAGE | {"id": 7, "transactionId": "t-1", "endDateTime": "2030-01-01T00:00:00Z"}
        done, calls = await staff.send(
            {"type": "set_display_message", "message": of_one}, {"status": "UnknownTransaction"}
        )
        assert calls == [("SetDisplayMessage", {"message": of_one})]
        assert done["state"] == "rejected"  # TC_O_10


async def test_TC_O_02_TC_O_07_messages_are_asked_for_and_told(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        _, ((action, payload),) = await staff.send({"type": "get_display_messages"})
        number = payload["requestId"]
        assert (action, payload) == ("GetDisplayMessages", {"requestId": number})
        told = {"requestId": number, "messageInfo": [MESSAGE | {"id": 1}], "tbc": False}
        assert await staff.wire.send("NotifyDisplayMessages", told) == {}
        (kept,) = await staff.notifications(request_id=number)
        assert (kept["action"], kept["payload"]) == ("NotifyDisplayMessages", told)
        filters = {"id": [1, 2], "priority": "AlwaysFront", "state": "Charging"}
        _, ((_, payload),) = await staff.send({"type": "get_display_messages", **filters})
        assert payload.pop("requestId") != number
        assert payload == filters


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_O_04_TC_O_05_O05_a_message_is_taken_off(gateway: Gateway, version: str) -> None:
    async with staffed(gateway, version) as staff:
        for status, state in (("Accepted", "accepted"), ("Unknown", "rejected")):
            command = {"type": "clear_display_message", "id": 7}
            done, calls = await staff.send(command, {"status": status})
            assert calls == [("ClearDisplayMessage", {"id": 7})]
            assert done["state"] == state


async def test_TC_O_13_a_message_without_what_it_must_have_is_not_sent(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
        broken = MESSAGE | {"startDateTime": "tomorrow"}
        done = await staff.command({"type": "set_display_message", "message": broken})
        assert done["state"] == "failed"
        assert "currentTime" in await staff.wire.send("Heartbeat", {})


async def begun(staff: Staffed) -> str:
    """The OCPP id of a session that charges."""
    transaction = uuid4().hex
    await staff.wire.event(
        "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=0
    )
    return transaction


UNTIL = {"endDateTime": "2030-01-01T00:00:00Z"}


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    "members",
    [
        pytest.param(UNTIL, id="TC_O_14"),
        pytest.param({"state": "Charging"}, id="TC_O_25"),
    ],
)
async def test_TC_O_14_TC_O_25_O01_when_a_message_is_shown_is_said(
    gateway: Gateway, version: str, members: dict[str, Any]
) -> None:
    async with staffed(gateway, version) as staff:
        message = MESSAGE | members
        done, ((_, sent),) = await staff.send({"type": "set_display_message", "message": message})
        assert sent["message"].pop("id") > 0
        assert sent == {"message": message}
        assert done["state"] == "accepted"


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    ("members", "status", "state"),
    [
        pytest.param({}, "Accepted", "accepted", id="TC_O_06"),
        pytest.param({}, "UnknownTransaction", "rejected", id="TC_O_10"),
        pytest.param(
            {"startDateTime": "2030-01-01T00:00:00Z"}, "Accepted", "accepted", id="TC_O_27"
        ),
        pytest.param(UNTIL, "Accepted", "accepted", id="TC_O_28"),
    ],
)
async def test_TC_O_06_TC_O_10_TC_O_27_TC_O_28_O02_a_message_is_for_the_session_that_runs(
    gateway: Gateway, version: str, members: dict[str, Any], status: str, state: str
) -> None:
    async with staffed(gateway, version) as staff:
        await begun(staff)
        (running,) = await gateway.transactions(station_id=staff.station_id, state="open")
        message = {"priority": "NormalCycle", "message": MESSAGE["message"], **members}
        message |= {"transactionId": running["ocpp_id"]}
        done, ((_, sent),) = await staff.send(
            {"type": "set_display_message", "message": message}, {"status": status}
        )
        assert sent["message"].pop("id") > 0
        assert sent == {"message": message}  # no state, and no other time
        assert (done["state"], done["result"]) == (state, {"status": status})


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    "status",
    ["NotSupportedPriority", "NotSupportedState", "NotSupportedMessageFormat", "Rejected"],
)
async def test_TC_O_17_TC_O_18_TC_O_19_TC_O_26_O01_a_refused_message_says_why(
    gateway: Gateway, version: str, status: str
) -> None:
    async with staffed(gateway, version) as staff:
        answer = {"status": status, "statusInfo": {"reasonCode": "InvalidValue"}}
        done, _ = await staff.send({"type": "set_display_message", "message": MESSAGE}, answer)
        assert (done["state"], done["result"]) == ("rejected", answer)


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_O_12_O06_a_message_is_replaced_under_its_id(
    gateway: Gateway, version: str
) -> None:
    async with staffed(gateway, version) as staff:
        _, ((_, first),) = await staff.send({"type": "set_display_message", "message": MESSAGE})
        number = first["message"]["id"]
        other = {"format": "ASCII", "content": "Closed"}
        replaced = {"id": number, "priority": "AlwaysFront", "message": other}
        _, calls = await staff.send({"type": "set_display_message", "message": replaced})
        assert calls == [("SetDisplayMessage", {"message": replaced})]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    "criteria", [{}, {"id": [4711]}], ids=["TC_O_03_none_at_all", "TC_O_11_none_of_this_id"]
)
async def test_TC_O_03_TC_O_11_O03_O04_no_message_is_an_answer_and_nothing_is_told(
    gateway: Gateway, version: str, criteria: dict[str, Any]
) -> None:
    async with staffed(gateway, version) as staff:
        done, ((_, sent),) = await staff.send(
            {"type": "get_display_messages", **criteria}, {"status": "Unknown"}
        )
        number = sent.pop("requestId")
        assert sent == criteria
        assert (done["state"], done["result"]) == ("rejected", {"status": "Unknown"})
        assert await staff.notifications(request_id=number) == []


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
@pytest.mark.parametrize(
    "criteria", [{"priority": "NormalCycle"}, {"state": "Idle"}], ids=["TC_O_08", "TC_O_09"]
)
async def test_TC_O_08_TC_O_09_O04_chosen_messages_come_in_parts_of_one_request(
    gateway: Gateway, version: str, criteria: dict[str, Any]
) -> None:
    async with staffed(gateway, version) as staff:
        _, ((_, sent),) = await staff.send({"type": "get_display_messages", **criteria})
        number = sent.pop("requestId")
        assert sent == criteria
        parts = [
            {"requestId": number, "messageInfo": [MESSAGE | {"id": n}], "tbc": n < 2}
            for n in (1, 2)
        ]
        for part in parts:
            assert await staff.wire.send("NotifyDisplayMessages", part) == {}
        other = {"requestId": number + 1000, "messageInfo": [MESSAGE | {"id": 3}]}
        assert await staff.wire.send("NotifyDisplayMessages", other) == {}
        kept = await staff.notifications(request_id=number)
        assert [one["payload"] for one in reversed(kept)] == parts
