"""OCPP 2.0.1, block O: what a station shows."""

from typing import Any

from gateway_commands import V201, staffed
from gateway_wire import Gateway

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


async def test_TC_O_04_TC_O_05_a_message_is_taken_off(gateway: Gateway) -> None:
    async with staffed(gateway, V201) as staff:
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
