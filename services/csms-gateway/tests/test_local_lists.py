"""Local authorization lists: what is wanted reaches the station, in as few messages as it takes."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from asked_station import SCOPES, Called, Station, station
from gateway_wire import OPERATOR, Gateway
from hypothesis import given
from hypothesis import strategies as st
from stack import eventually

from csms_gateway.local_list_difference import Limits, Part, applied, difference, key, plan, same
from csms_gateway.local_list_sending import ITEMS_MAX

ACCEPTED = {"status": "Accepted"}
EXPIRES = {"expires_at": "2030-01-01T00:00:00Z"}
BOTH = pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])


def entry(token: str, status: str = "Accepted", **changes: Any) -> dict[str, Any]:
    return {"id_token": token, "status": status} | changes


async def put(
    charger: Station, version: int | str, *entries: dict[str, Any], expect: int = 200
) -> dict[str, Any]:
    headers = {"If-Match": version if isinstance(version, str) else f'"{version}"'}
    async with charger.gateway.service.as_(OPERATOR, *SCOPES) as api:
        path = f"/v1/local-lists/{charger.id}"
        done = await api.put(path, json={"entries": entries}, headers=headers)
    assert done.status_code == expect, done.text
    found: dict[str, Any] = done.json()
    return found


async def known(charger: Station, state: str) -> dict[str, Any]:
    found: dict[str, Any] = await charger.eventually(
        f"/v1/local-lists/{charger.id}", lambda found: found["state"] == state
    )
    return found


def tokens(call: Called) -> list[str]:
    entries = call[1].get("localAuthorizationList", [])
    return [one.get("idTag") or one["idToken"]["idToken"] for one in entries]


def number(call: Called) -> int:
    found: int = call[1]["versionNumber" if "versionNumber" in call[1] else "listVersion"]
    return found


@BOTH
async def test_TC_D_01_and_043_4_a_wanted_list_is_sent_in_full(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        before = await charger.get(f"/v1/local-lists/{charger.id}")
        assert (before["state"], before["entries"], before["version"]) == ("unmanaged", None, 0)
        group = entry("GOOD", group_id_token="Family", **EXPIRES)
        sending = await put(charger, 0, group, entry("BAD", "Blocked", id_token_type="eMAID"))
        assert (sending["state"], sending["version"]) == ("sending", 1)
        call = await charger.called(ACCEPTED)
        if protocol == "ocpp1.6":
            info: dict[str, Any] = {
                "status": "Accepted", "expiryDate": "2030-01-01T00:00:00.000Z",
                "parentIdTag": "Family",
            }  # fmt: skip
            assert call[1] == {
                "listVersion": 1,
                "updateType": "Full",
                "localAuthorizationList": [
                    {"idTag": "GOOD", "idTagInfo": info},
                    {"idTag": "BAD", "idTagInfo": {"status": "Blocked"}},
                ],
            }
        else:
            info = {
                "status": "Accepted", "cacheExpiryDateTime": "2030-01-01T00:00:00.000Z",
                "groupIdToken": {"idToken": "Family", "type": "Central"},
            }  # fmt: skip
            assert call[1] == {
                "versionNumber": 1,
                "updateType": "Full",
                "localAuthorizationList": [
                    {"idToken": {"idToken": "GOOD", "type": "ISO14443"}, "idTokenInfo": info},
                    {
                        "idToken": {"idToken": "BAD", "type": "eMAID"},
                        "idTokenInfo": {"status": "Blocked"},
                    },
                ],
            }
        done = await known(charger, "in_sync")
        assert (done["installed_version"], done["installed_count"]) == (1, 2)
        listed = await charger.get("/v1/local-lists", limit=500)
        assert [one["state"] for one in listed["items"] if one["station_id"] == charger.id] == [
            "in_sync"
        ]


@BOTH
async def test_TC_D_02_and_043_5_a_change_is_sent_as_the_difference(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        many = [entry(f"T{n}") for n in range(6)]
        await put(charger, 0, *many)
        first = await charger.called(ACCEPTED)
        await known(charger, "in_sync")
        await put(charger, 1, *many[1:], entry("NEW"))
        second = await charger.called(ACCEPTED)
        assert (second[1]["updateType"], tokens(second)) == ("Differential", ["NEW", "T0"])
        assert number(second) == number(first) + 1
        assert set(second[1]["localAuthorizationList"][1]) <= {"idTag", "idToken"}  # D01.FR.17
        assert (await known(charger, "in_sync"))["installed_count"] == 6
        # The same again: nothing to send.
        await put(charger, 2, *many[1:], entry("new", id_token_type="ISO14443"))
        changed = await charger.called(ACCEPTED)
        assert tokens(changed) == ["new"]
        await known(charger, "in_sync")
        await put(charger, 3, *many[1:], entry("new"))
        await known(charger, "in_sync")
        await charger.quiet()


@BOTH
async def test_TC_D_04_an_empty_list_empties_the_stations(gateway: Gateway, protocol: str) -> None:
    async with station(gateway, protocol) as charger:
        await put(charger, 0)
        call = await charger.called(ACCEPTED)
        assert (call[1]["updateType"], tokens(call)) == ("Full", [])
        assert (await known(charger, "in_sync"))["installed_count"] == 0


@BOTH
async def test_D01_FR_11_a_long_list_goes_in_parts_and_stops_at_a_refused_one(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        many = [entry(f"T{n}") for n in range(2 * ITEMS_MAX + 1)]
        await put(charger, 0, *many)
        calls = [await charger.called(ACCEPTED), await charger.called({"status": "Failed"})]
        # D01.FR.03: the difference was refused, so all of it again.
        calls += [await charger.called(ACCEPTED) for _ in range(3)]
        kinds = [call[1]["updateType"] for call in calls]
        assert kinds == ["Full", "Differential", "Full", "Differential", "Differential"]
        assert [len(tokens(call)) for call in calls] == [20, 20, 20, 20, 1]
        # The third part of the first try was never sent, but its number is gone.
        assert [number(call) for call in calls] == [1, 2, 4, 5, 6]
        assert (await known(charger, "in_sync"))["installed_count"] == len(many)


@BOTH
async def test_a_list_that_is_too_long_for_the_station_is_not_sent_for_ever(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        await put(charger, 0, *(entry(f"T{n}") for n in range(ITEMS_MAX + 1)))
        full = {"status": "Failed"}
        for _ in range(2):  # the list, and once more all of it
            answers = [await charger.called(ACCEPTED), await charger.called(full)]
            assert [call[1]["updateType"] for call in answers] == ["Full", "Differential"]
        await charger.quiet()
        assert (await known(charger, "failed"))["installed_count"] is None


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_TC_D_03_a_version_mismatch_is_followed_by_the_full_list(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        await put(charger, 0, entry("A"), entry("B"))
        await charger.called(ACCEPTED)
        await known(charger, "in_sync")
        await put(charger, 1, entry("A"), entry("B"), entry("C"))
        refused = await charger.called({"status": "VersionMismatch"})
        again = await charger.called(ACCEPTED)
        assert [refused[1]["updateType"], again[1]["updateType"]] == ["Differential", "Full"]
        assert number(again) == number(refused) + 1
        assert tokens(again) == ["A", "B", "C"]
        await known(charger, "in_sync")


@pytest.mark.parametrize("status", ["Failed", "NotSupported", "VersionMismatch"])
async def test_TC_043_1_and_043_3_a_refused_full_list_is_not_sent_for_ever(
    gateway: Gateway, status: str
) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        await put(charger, 0, entry("A"))
        await charger.called({"status": status})
        wanted = "version_mismatch" if status == "VersionMismatch" else "failed"
        found = await known(charger, wanted)
        assert (found["installed_version"], found["installed_count"]) == (None, None)
        await charger.quiet()


async def test_a_list_that_was_answered_with_an_error_has_failed(gateway: Gateway) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        await put(charger, 0, entry("A"))
        await charger.called("NotImplemented")
        await known(charger, "failed")


@BOTH
@pytest.mark.parametrize("told", [0, 7])
async def test_TC_D_08_D_09_and_042_2_the_stations_own_number_is_kept(
    gateway: Gateway, protocol: str, told: int
) -> None:
    async with station(gateway, protocol) as charger:
        await put(charger, 0, entry("A"))
        await charger.called(ACCEPTED)
        await known(charger, "in_sync")
        name = "listVersion" if protocol == "ocpp1.6" else "versionNumber"
        (call,), done = await charger.ask({"type": "get_local_list_version"}, {name: told})
        assert call == ("GetLocalListVersion", {})
        assert (done["state"], done["result"]) == ("accepted", {name: told})
        found = await known(charger, "version_mismatch" if told else "differs")
        assert (found["installed_version"], found["installed_count"]) == (
            told, None if told else 0,
        )  # fmt: skip
        # What it has is not known, so everything is sent, by a number above it.
        (call,), _ = await charger.ask({"type": "send_local_list"}, ACCEPTED)
        assert (call[1]["updateType"], number(call)) == (
            "Full" if told else "Differential", max(told, 1) + 1,
        )  # fmt: skip
        await known(charger, "in_sync")


async def test_TC_042_1_a_station_that_can_hold_no_list_says_minus_one(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        await charger.ask({"type": "get_local_list_version"}, {"listVersion": -1})
        found = await charger.get(f"/v1/local-lists/{charger.id}")
        assert (found["state"], found["installed_version"]) == ("unmanaged", -1)


async def test_what_was_sent_raw_is_known_and_taken_back_by_what_is_wanted(
    gateway: Gateway,
) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        stranger = {"idTag": "X", "idTagInfo": {"status": "Accepted"}}
        payload = {
            "listVersion": 50, "updateType": "Full", "localAuthorizationList": [stranger],
        }  # fmt: skip
        await charger.ask({"ocpp": {"action": "SendLocalList", "payload": payload}}, ACCEPTED)
        found = await charger.get(f"/v1/local-lists/{charger.id}")
        assert (found["state"], found["installed_version"], found["installed_count"]) == (
            "unmanaged", 50, 1,
        )  # fmt: skip
        await put(charger, 0, entry("A"), entry("B"))
        call = await charger.called(ACCEPTED)
        assert (number(call), call[1]["updateType"], tokens(call)) == (51, "Full", ["A", "B"])
        await known(charger, "in_sync")
        payload["listVersion"] = 52
        await charger.ask({"ocpp": {"action": "SendLocalList", "payload": payload}}, ACCEPTED)
        await known(charger, "differs")


async def test_a_lost_answer_makes_the_next_one_a_full_list(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        await put(charger, 0, entry("A"), entry("B"))
        await charger.called(ACCEPTED)
        await known(charger, "in_sync")
        await put(charger, 1, entry("A"), entry("B"), entry("C"))
        await asyncio.wait_for(charger.socket.recv(), 5)  # and never answered
        await charger.socket.close()
        await known(charger, "failed")
        async with gateway.connect(charger.id) as socket:
            again = Station(gateway, charger.id, socket)
            # C may be there or not; without it nothing else would take it off.
            await put(again, 2, entry("A"), entry("B"))
            call = await again.called(ACCEPTED)
            assert (call[1]["updateType"], number(call)) == ("Full", 3)
            await known(again, "in_sync")


async def test_a_list_waits_for_a_station_that_is_away_and_only_the_newest_is_sent(
    gateway: Gateway,
) -> None:
    station_id = await gateway.add_station()
    async with gateway.service.as_(OPERATOR, *SCOPES) as api:
        path = f"/v1/local-lists/{station_id}"
        for version, token in enumerate(["A", "B"]):
            headers = {"If-Match": f'"{version}"'}
            await api.put(path, json={"entries": [entry(token)]}, headers=headers)
    async with gateway.connect(station_id) as socket:
        charger = Station(gateway, station_id, socket)
        assert tokens(await charger.called(ACCEPTED)) == ["B"]
        await known(charger, "in_sync")
        await charger.quiet()


async def test_lists_of_a_command_are_sent_as_they_are(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        command = {
            "type": "send_local_list", "update": "differential", "version": 9,
            "entries": [entry("A"), {"id_token": "B", "status": None}],
        }  # fmt: skip
        (call,), done = await charger.ask(command, ACCEPTED)
        assert call[1] == {
            "listVersion": 9,
            "updateType": "Differential",
            "localAuthorizationList": [
                {"idTag": "A", "idTagInfo": {"status": "Accepted"}},
                {"idTag": "B"},
            ],
        }
        assert done["state"] == "accepted"
        twice = command | {"entries": [entry("A"), entry("a")]}
        assert "twice" in await charger.refused(twice)
        assert "no local list is kept" in await charger.refused({"type": "send_local_list"})


async def test_a_wanted_list_has_each_token_once_and_is_changed_knowingly(
    gateway: Gateway,
) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        twice = await put(charger, 0, entry("A"), entry("a"), expect=422)
        assert twice["type"].endswith("token-twice")
        await put(charger, 0, {"id_token": "A", "status": None}, expect=422)
        await put(charger, 5, entry("A"), expect=412)
        await put(charger, "*", entry("A"), entry("a", id_token_type="eMAID"))
        async with gateway.service.as_(uuid4(), *SCOPES) as api:
            path = f"/v1/local-lists/{charger.id}"
            assert (await api.get(path)).status_code == 404
            theirs = await api.put(path, json={"entries": []}, headers={"If-Match": "*"})
            assert theirs.status_code == 404
            assert (await api.get("/v1/local-lists")).json()["items"] == []
        async with gateway.service.as_(OPERATOR, *SCOPES) as api:
            assert (await api.put(path, json={"entries": []})).status_code == 428


async def test_another_version_of_ocpp_gets_the_whole_list_anew(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        await put(charger, 0, entry("A"), entry("B"))
        await charger.called(ACCEPTED)
        await known(charger, "in_sync")
    async with gateway.connect(charger.id, subprotocols=["ocpp2.0.1"]) as socket:
        updated = Station(gateway, charger.id, socket)

        async def here() -> Any:
            return await gateway.service.app.state.beside.gateway.pool.fetchval(
                "select protocol = 'ocpp2.0.1' from connection where station_id = $1", charger.id
            )

        await eventually(here)
        await put(updated, 1, entry("A"), entry("B"), entry("C"))
        call = await updated.called(ACCEPTED)
        assert (call[1]["updateType"], tokens(call)) == ("Full", ["A", "B", "C"])
        await known(updated, "in_sync")


# --- the way from one list to another -----------------------------------------------------------

TAGS = st.sampled_from(["a", "A", "b", "c", "d", "E", "f"])
INFO = st.sampled_from([{"status": "Accepted"}, {"status": "Blocked"}])
LIST = st.lists(
    st.builds(lambda tag, info: {"idTag": tag, "idTagInfo": info}, TAGS, INFO),
    max_size=8, unique_by=key,
)  # fmt: skip


class NaiveStation:
    """A station as 1.6, 5.15 and 2.0.1, D01 tell it to behave, with a dictionary and no wits."""

    def __init__(self, entries: list[dict[str, Any]], version: int) -> None:
        self.tags = {one["idTag"].upper(): one for one in entries}
        self.version = version

    def send(self, part: Part) -> str:
        if part.full:
            self.tags = {}
        elif part.version <= self.version:
            return "VersionMismatch"
        for one in part.entries:
            tag = one["idTag"].upper()
            if "idTagInfo" in one:
                self.tags[tag] = one
            elif tag in self.tags:
                del self.tags[tag]
        self.version = part.version
        return "Accepted"


@given(LIST, LIST, st.integers(1, 9), st.integers(0, 99), st.booleans(), st.booleans())
def test_the_parts_of_a_plan_make_the_wanted_list(
    installed: list[dict[str, Any]],
    wanted: list[dict[str, Any]],
    items_max: int,
    version: int,
    unknown: bool,
    full: bool,
) -> None:
    there = NaiveStation(installed, version)
    parts = plan(None if unknown else installed, wanted, version, Limits(items_max), full=full)
    assert [there.send(part) for part in parts] == ["Accepted"] * len(parts)
    assert there.tags == {one["idTag"].upper(): one for one in wanted}
    assert all(len(part.entries) <= items_max for part in parts)
    assert [part.version for part in parts] == list(range(version + 1, version + 1 + len(parts)))
    assert not any(part.full for part in parts[1:])
    if unknown or full:
        assert parts[0].full
    sent = sum(len(part.entries) for part in parts)
    assert sent <= max(len(wanted), 0) or not parts[0].full
    after = installed
    for part in parts:
        after = applied(after, part.entries, full=part.full)
    assert same(after, wanted)


@given(LIST, LIST)
def test_a_difference_holds_nothing_that_could_be_left_out(
    installed: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> None:
    changes = difference(installed, wanted)
    for left_out in range(len(changes)):
        there = NaiveStation(installed, 0)
        there.send(Part(False, 1, changes[:left_out] + changes[left_out + 1 :]))
        assert there.tags != {one["idTag"].upper(): one for one in wanted}


async def tell_limit(charger: Station, name: str, value: int) -> None:
    """The station tells what it takes in a message."""
    wanted = {"variable": name}
    answer: dict[str, Any] = {
        "configurationKey": [{"key": name, "readonly": True, "value": str(value)}]
    }
    if charger.socket.subprotocol != "ocpp1.6":
        wanted["component"] = "LocalAuthListCtrlr"
        answer = {
            "getVariableResult": [
                {
                    "attributeStatus": "Accepted",
                    "attributeValue": str(value),
                    "component": {"name": wanted["component"]},
                    "variable": {"name": name},
                }
            ]
        }
    await charger.ask({"type": "get_variables", "variables": [wanted]}, answer)


def items_max(protocol: str) -> str:
    return "SendLocalListMaxLength" if protocol == "ocpp1.6" else "ItemsPerMessage"


@BOTH
async def test_D01_FR_11_the_stations_own_limit_is_kept(gateway: Gateway, protocol: str) -> None:
    async with station(gateway, protocol) as charger:
        await tell_limit(charger, items_max(protocol), 2)
        await put(charger, 0, entry("A"), entry("B"), entry("C"))
        assert [len(tokens(await charger.called(ACCEPTED))) for _ in range(2)] == [2, 1]


@BOTH
async def test_D01_FR_11_the_list_of_a_command_keeps_the_stations_limit_too(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        await tell_limit(charger, items_max(protocol), 2)
        entries = [entry(f"T{n}") for n in range(5)]
        command = {"type": "send_local_list", "version": 9, "entries": entries}
        calls, done = await charger.ask(command, ACCEPTED, ACCEPTED, ACCEPTED)
        assert [call[1]["updateType"] for call in calls] == ["Full", *["Differential"] * 2]
        assert [number(call) for call in calls] == [7, 8, 9]
        assert [len(tokens(call)) for call in calls] == [2, 2, 1]
        assert done["state"] == "accepted"
        # D01.FR.18: no part may have the number 0.
        why = await charger.refused(command | {"version": 2})
        assert "3 messages" in why


async def test_D01_FR_11_no_message_has_more_bytes_than_the_station_takes(
    gateway: Gateway,
) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        await tell_limit(charger, "ItemsPerMessage", 100)
        await tell_limit(charger, "BytesPerMessage", 400)
        await put(charger, 0, *(entry(f"T{n}") for n in range(9)))
        sizes: list[tuple[int, int]] = []
        while sum(size for size, _ in sizes) < 9:
            call = await charger.called(ACCEPTED)
            frame = [2, str(uuid4()), *call]
            sizes.append((len(tokens(call)), len(json.dumps(frame, separators=(",", ":")))))
        assert all(length <= 400 for _, length in sizes), sizes
        await known(charger, "in_sync")
