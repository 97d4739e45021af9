"""OCPP 2.x: who may start and who may end a session (blocks C and E)."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from gateway_commands import staffed
from gateway_wire import EVSE, V21, Gateway, Wire, accepted, connect_v2, kinds, stamp

from common.events import SessionEnded, SessionStarted
from csms_gateway import authorizing

VERSIONS = pytest.mark.parametrize("version", ["ocpp2.0.1", V21])


def token(id_token: str) -> dict[str, Any]:
    return {"idToken": {"idToken": id_token, "type": "ISO14443"}}


@VERSIONS
@pytest.mark.parametrize(
    ("id_token", "status"), [("GOOD", "Accepted"), ("BAD", "Blocked"), ("STRANGER", "Invalid")]
)
async def test_TC_C_02_authorize_and_event_say_the_same_of_a_token(
    gateway: Gateway, version: str, id_token: str, status: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        answer = await wire.send("Authorize", token(id_token))
        assert answer["idTokenInfo"] == {"status": status}
        await wire.event("Started", 0, "EVDetected", transaction=transaction, evse=EVSE)
        answer = await wire.event(
            "Updated", 1, "Authorized", transaction=transaction, token=id_token, evse=EVSE,
            info={"chargingState": "EVConnected"},
        )  # fmt: skip
        assert answer["idTokenInfo"] == {"status": status}
    (started,) = await gateway.told(SessionStarted, station_id=station)
    assert started.token_status == status


@pytest.mark.parametrize(
    ("id_token", "info"),
    [
        ("BAD", {"status": "Blocked"}),
        ("PAST", {"status": "Expired", "cacheExpiryDateTime": "2026-01-01T00:00:00.000Z"}),
    ],
)
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_06_and_07_C01_FR_07_a_token_that_may_not_charge_is_told_why(
    gateway: Gateway, version: str, id_token: str, info: dict[str, str]
) -> None:
    gateway.identity.decisions["PAST"] = "Expired"
    gateway.identity.more["PAST"] = {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}
    station = await gateway.add_station()
    async with connect_v2(gateway, station, version) as socket:
        answer = await Wire(socket).send("Authorize", token(id_token))
        assert answer == {"idTokenInfo": info}


@pytest.mark.parametrize(
    ("id_token", "status", "incidents"),
    [("GOOD", "Accepted", []), ("STRANGER", "Invalid", ["token_refused"])],
)
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_08_and_20_C12_FR_03_what_a_station_remembers_of_a_token_is_checked(
    gateway: Gateway, version: str, id_token: str, status: str, incidents: list[str]
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await wire.event("Started", 0, "EVDetected", transaction=transaction, evse=EVSE)
        # No Authorize before: the station took it from its cache.
        answer = await wire.event(
            "Updated", 1, "Authorized", transaction=transaction, token=id_token, evse=EVSE
        )
        assert answer["idTokenInfo"] == {"status": status}
    (started,) = await gateway.told(SessionStarted, station_id=station)
    assert (started.id_token, started.token_status, kinds(started)) == (
        id_token, status, incidents,
    )  # fmt: skip


@pytest.mark.parametrize(("status", "state"), [("Accepted", "accepted"), ("Rejected", "rejected")])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_37_and_38_C11_the_cache_of_tokens_is_cleared_if_the_station_can(
    gateway: Gateway, version: str, status: str, state: str
) -> None:
    async with staffed(gateway, version) as staff:
        done, calls = await staff.send({"type": "clear_cache"}, {"status": status})
    assert calls == [("ClearCache", {})]
    assert (done["state"], done["result"]) == (state, {"status": status})


@pytest.mark.parametrize("listed", ["Accepted", "Invalid"])
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_40_and_43_C09_FR_02_FR_03_a_local_list_has_groups_and_is_not_the_last_word(
    gateway: Gateway, version: str, listed: str
) -> None:
    gateway.identity.decisions["PARTNER"] = "Accepted"
    gateway.identity.groups |= {"GOOD": "FAMILY", "PARTNER": "FAMILY"}
    family = {"groupIdToken": {"idToken": "FAMILY", "type": "Central"}}
    entries = [
        {"id_token": one, "group_id_token": "FAMILY", "status": status}
        for one, status in (("GOOD", "Accepted"), ("PARTNER", listed))
    ]
    session = {"transaction": str(uuid4())}
    try:
        async with staffed(gateway, version) as staff:
            _, ((_, sent),) = await staff.send({"type": "send_local_list", "entries": entries})
            assert [one["idTokenInfo"] for one in sent["localAuthorizationList"]] == [
                family | {"status": "Accepted"}, family | {"status": listed},
            ]  # fmt: skip
            answer = await staff.wire.event(
                "Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=0, **session
            )
            assert answer["idTokenInfo"] == family | {"status": "Accepted"}
            if listed != "Accepted":  # then the station asks, and we know better
                answer = await staff.wire.send("Authorize", token("PARTNER"))
                assert answer["idTokenInfo"] == family | {"status": "Accepted"}
            answer = await staff.wire.event(
                "Updated", 1, "StopAuthorized", token="PARTNER",
                info={"chargingState": "EVConnected"}, **session,
            )  # fmt: skip
            assert answer["idTokenInfo"] == family | {"status": "Accepted"}
            await staff.wire.event(
                "Ended", 2, "EVCommunicationLost", wh=800, info={"stoppedReason": "Local"},
                **session,
            )  # fmt: skip
    finally:
        gateway.identity.groups.clear()
    (over,) = await gateway.told(SessionEnded, station_id=staff.station_id)
    assert (over.id_token, over.energy_wh, kinds(over)) == ("GOOD", 800, [])


@VERSIONS
async def test_TC_C_39_a_card_of_the_same_group_ends_the_session_of_the_other(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    gateway.identity.decisions["PARTNER"] = "Accepted"
    gateway.identity.groups |= {"GOOD": "FAMILY", "PARTNER": "FAMILY"}
    group = {"status": "Accepted", "groupIdToken": {"idToken": "FAMILY", "type": "Central"}}
    try:
        async with connect_v2(gateway, station, version) as socket:
            wire = Wire(socket)
            answer = await wire.event(
                "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=0
            )
            assert answer["idTokenInfo"] == group
            assert (await wire.send("Authorize", token("PARTNER")))["idTokenInfo"] == group
            answer = await wire.event(
                "Updated", 1, "StopAuthorized", transaction=transaction, token="PARTNER",
                info={"chargingState": "EVConnected"},
            )  # fmt: skip
            assert answer["idTokenInfo"] == group
            stopped = {"stoppedReason": "EVDisconnected"}
            await wire.event(
                "Ended", 2, "EVCommunicationLost", transaction=transaction, wh=700, info=stopped
            )
    finally:
        gateway.identity.groups.clear()
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.id_token, over.energy_wh, kinds(over)) == ("GOOD", 700, [])


@VERSIONS
async def test_TC_C_47_a_master_pass_ends_sessions_and_is_the_driver_of_none(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    gateway.identity.decisions["MASTER"] = "Accepted"
    gateway.identity.groups["MASTER"] = "MASTERPASS"
    group = {"status": "Accepted", "groupIdToken": {"idToken": "MASTERPASS", "type": "Central"}}
    try:
        async with connect_v2(gateway, station, version) as socket:
            wire = Wire(socket)
            transactions = {1: str(uuid4()), 2: str(uuid4())}
            for evse_id, transaction in transactions.items():
                await wire.event(
                    "Started", 0, "Authorized", transaction=transaction, token="GOOD",
                    evse={"id": evse_id, "connectorId": 1}, wh=0,
                )  # fmt: skip
            assert (await wire.send("Authorize", token("MASTER")))["idTokenInfo"] == group
            for transaction in transactions.values():
                answer = await wire.event(
                    "Ended", 1, "StopAuthorized", transaction=transaction, token="MASTER", wh=100,
                    info={"stoppedReason": "MasterPass"},
                )  # fmt: skip
                assert answer["idTokenInfo"] == group
    finally:
        gateway.identity.groups.clear()
    ended = await gateway.told(SessionEnded, 2, station_id=station)
    assert {(one.id_token, one.stop_reason) for one in ended} == {("GOOD", "MasterPass")}


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_49_C16_FR_02_without_a_display_each_driver_ends_by_a_master_pass(
    gateway: Gateway, version: str
) -> None:
    station = await gateway.add_station()
    gateway.identity.decisions |= {"MASTER": "Accepted", "PARTNER": "Accepted"}
    gateway.identity.groups["MASTER"] = "MASTERPASS"
    drivers = {1: "GOOD", 2: "PARTNER"}
    try:
        async with connect_v2(gateway, station, version) as socket:
            wire = Wire(socket)
            for evse_id, driver in drivers.items():
                await wire.event(
                    "Started", 0, "Authorized", transaction=f"t-{evse_id}", token=driver,
                    evse={"id": evse_id, "connectorId": 1}, wh=0,
                )  # fmt: skip
            answer = await wire.send("Authorize", token("MASTER"))
            assert answer["idTokenInfo"]["groupIdToken"]["idToken"] == "MASTERPASS"
            for evse_id, driver in drivers.items():
                answer = await wire.event(
                    "Ended", 1, "StopAuthorized", transaction=f"t-{evse_id}", token=driver,
                    wh=evse_id * 100, info={"stoppedReason": "MasterPass"},
                )  # fmt: skip
                # The token is the driver's, and so is what is said of it: no group of the pass.
                assert answer["idTokenInfo"] == {"status": "Accepted"}
    finally:
        gateway.identity.groups.clear()
    ended = await gateway.told(SessionEnded, 2, station_id=station)
    assert {(one.id_token, one.energy_wh, one.stop_reason) for one in ended} == {
        ("GOOD", 100, "MasterPass"), ("PARTNER", 200, "MasterPass"),
    }  # fmt: skip
    assert all(kinds(one) == [] for one in ended)


@VERSIONS
async def test_C02_a_station_that_asks_nobody_has_a_session_without_a_card(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        nobody = {"idToken": "", "type": "NoAuthorization"}
        answer = await Wire(socket).event(
            "Started", 0, "CablePluggedIn", transaction=transaction, idToken=nobody, evse=EVSE
        )
        assert answer["idTokenInfo"] == {"status": "Accepted"}
    (started,) = await gateway.told(SessionStarted, station_id=station)
    assert (started.id_token, started.card_id, kinds(started)) == ("", None, [])


@VERSIONS
async def test_TC_E_16_a_card_that_was_good_offline_and_is_not_is_told_so_and_ends(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        answer = await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="STRANGER", evse=EVSE, wh=0,
            offline=True, timestamp=stamp(1200),
        )  # fmt: skip
        assert answer["idTokenInfo"]["status"] == "Invalid"
        await wire.event(
            "Updated", 1, "Deauthorized", transaction=transaction,
            info={"chargingState": "SuspendedEVSE"},
        )  # fmt: skip
        await wire.event(
            "Ended", 2, "Deauthorized", transaction=transaction, wh=500,
            info={"stoppedReason": "DeAuthorized"},
        )  # fmt: skip
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.token_status, over.energy_wh, over.stop_reason, kinds(over)) == (
        "Invalid", 500, "DeAuthorized", ["token_refused"],
    )  # fmt: skip


async def test_E01_a_session_that_identity_could_not_decide_runs_on(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authorizing, "TIMEOUT_S", 1.0)
    station, transaction = await gateway.add_station(), str(uuid4())
    gateway.identity.silent = True
    try:
        async with connect_v2(gateway, station) as socket:
            answer = await Wire(socket).event(
                "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=0
            )
    finally:
        gateway.identity.silent = False
    assert answer == {}, "no status: the station keeps its own decision"
    (started,) = await gateway.told(SessionStarted, station_id=station)
    assert (started.token_status, kinds(started)) == ("Accepted", ["authorization_unavailable"])


@VERSIONS
async def test_TC_E_29_to_34_a_station_can_be_asked_what_waits_in_its_queue(
    gateway: Gateway, version: str
) -> None:
    station, transaction = await gateway.add_station(), str(uuid4())
    async with connect_v2(gateway, station, version) as socket:
        wire = Wire(socket)
        await wire.event(
            "Started", 0, "Authorized", transaction=transaction, token="GOOD", evse=EVSE, wh=0
        )
        await wire.event("Ended", 3, "EVDeparted", transaction=transaction, wh=900)
        asked = json.loads(await asyncio.wait_for(socket.recv(), 10))  # by the gateway itself
        await socket.send(json.dumps([3, asked[1], {"messagesInQueue": True}]))
        body = {"type": "get_transaction_status"}
        assert await accepted(gateway, socket, station, body) == {}
        sent = await accepted(gateway, socket, station, body | {"transaction_id": transaction})
        assert sent == {"transactionId": transaction}
        assert not gateway.of(SessionEnded, station_id=station)
        for seq_no in (1, 2):
            await wire.event(
                "Updated", seq_no, "MeterValuePeriodic", transaction=transaction, offline=True,
                wh=seq_no * 300,
            )  # fmt: skip
    (over,) = await gateway.told(SessionEnded, station_id=station)
    assert (over.energy_wh, kinds(over)) == (900, [])
