"""Who may charge and who may stop it, as OCPP 1.6 (and 2.x where it says the same) is told."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway_wire import Gateway, Identity, Wire, stamp

from common.events import SessionEnded, SessionStarted
from csms_gateway.authorizing import REMEMBER_S

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
EXPIRED = {"status": "Expired", "expiryDate": YESTERDAY.isoformat()[:19] + ".000Z"}


@pytest.fixture
def identity(gateway: Gateway) -> Iterator[Identity]:
    """Knows some more cards for one test; each test has its own, for answers are remembered."""
    yield gateway.identity
    gateway.identity.decisions = Identity().decisions
    gateway.identity.more = {}


def knows(identity: Identity, token: str, status: Any, **more: Any) -> None:
    identity.decisions[token] = status
    identity.more[token] = more


async def test_TC_023_1_TC_023_2_TC_023_3_a_refused_card_is_told_why(
    gateway: Gateway, identity: Identity
) -> None:
    knows(identity, "PAST", "Expired", expires_at=YESTERDAY)
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        for tag, info in (
            ("NOBODY", {"status": "Invalid"}),
            ("past", EXPIRED),
            ("BAD", {"status": "Blocked"}),
        ):
            assert await wire.send("Authorize", {"idTag": tag}) == {"idTagInfo": info}
            # Its start is stored under an id of its own all the same (R3), and told the same.
            started = await wire.start(tag)
            assert (started["transactionId"] > 0, started["idTagInfo"]) == (True, info)
            assert await wire.stop(started["transactionId"], reason="DeAuthorized") == {}
    assert len(await gateway.told(SessionEnded, 3, station_id=station)) == 3


async def test_the_group_of_a_card_is_told_at_authorize_start_and_stop(
    gateway: Gateway, identity: Identity
) -> None:
    knows(identity, "ONE", "Accepted", parent_id_token="FLEET-7")
    knows(identity, "TWO", "Accepted", parent_id_token="FLEET-7")
    knows(identity, "LONG", "Accepted", parent_id_token="x" * 21)
    info = {"status": "Accepted", "parentIdTag": "FLEET-7"}
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        assert await wire.send("Authorize", {"idTag": "one"}) == {"idTagInfo": info}
        started = await wire.start("ONE")
        assert started["idTagInfo"] == info
        # The other card of the group ends it; who began it is still who charged.
        stopped = await wire.stop(started["transactionId"], idTag="TWO", reason="Local")
        assert stopped == {"idTagInfo": info}
        # 1.6 cannot carry a longer one, and half of it could be another group's name.
        answer = await wire.send("Authorize", {"idTag": "LONG"})
        assert answer == {"idTagInfo": {"status": "Accepted"}}
    (ended,) = await gateway.told(SessionEnded, station_id=station)
    assert (ended.id_token, ended.energy_wh, ended.incidents) == ("ONE", 500, ())


@pytest.mark.parametrize(
    ("status", "more", "info"),
    [
        ("Expired", {"expires_at": YESTERDAY}, EXPIRED),
        ("Blocked", {}, {"status": "Blocked"}),
        ("Invalid", {}, {"status": "Invalid"}),
    ],
)
async def test_a_card_refused_since_it_began_blocks_neither_readings_nor_the_stop(
    gateway: Gateway, identity: Identity, status: Any, more: dict[str, Any], info: dict[str, Any]
) -> None:
    token = f"LATER-{status}".upper()
    knows(identity, token, "Accepted")
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        transaction_id = (await wire.start(token))["transactionId"]
        knows(identity, token, status, **more)
        await asyncio.sleep(REMEMBER_S)
        assert await wire.meter(transactionId=transaction_id) == {}
        assert await wire.stop(transaction_id, idTag=token) == {"idTagInfo": info}
    (ended,) = await gateway.told(SessionEnded, station_id=station)
    assert (ended.token_status, ended.energy_wh, ended.incidents) == ("Accepted", 500, ())


async def test_a_card_that_charges_may_charge_elsewhere_too(gateway: Gateway) -> None:
    for _ in range(2):
        station = await gateway.add_station()
        async with gateway.connect(station) as socket:
            started = await Wire(socket).start("GOOD")
            assert started["idTagInfo"] == {"status": "Accepted"}
        (told,) = await gateway.told(SessionStarted, station_id=station)
        assert told.incidents == ()


async def test_C16_FR_03_a_master_pass_begins_no_session_in_1_6(
    gateway: Gateway, identity: Identity
) -> None:
    knows(identity, "MASTER16", "Accepted", parent_id_token="MASTERS", master_pass=True)
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        wire = Wire(socket)
        started = await wire.start("MASTER16")
        assert started["idTagInfo"] == {"status": "Blocked", "parentIdTag": "MASTERS"}
        stopped = await wire.stop(started["transactionId"], idTag="MASTER16")
        assert stopped == {"idTagInfo": {"status": "Accepted", "parentIdTag": "MASTERS"}}
    (told,) = await gateway.told(SessionStarted, station_id=station)
    assert [incident.kind for incident in told.incidents] == ["token_refused"]


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_39_TC_C_48_C16_FR_03_a_master_pass_ends_a_session_in_2_x_and_begins_none(
    gateway: Gateway, identity: Identity, version: str
) -> None:
    master, driver = f"MASTER-{version}".upper(), f"DRIVER-{version}".upper()
    knows(identity, master, "Accepted", parent_id_token="MASTERS", master_pass=True)
    knows(identity, driver, "Accepted", parent_id_token="FLEET-7")
    group = {"groupIdToken": {"idToken": "MASTERS", "type": "Central"}}
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[version]) as socket:
        wire = Wire(socket)
        asked = {"idToken": {"idToken": master, "type": "ISO14443"}}
        answer = await wire.send("Authorize", asked)
        assert answer["idTokenInfo"] == {"status": "Accepted"} | group
        evse = {"id": 1, "connectorId": 1}
        begun = {"transaction": "tx-1", "wh": 100, "evse": evse}
        answer = await wire.event("Started", 0, "Authorized", token=driver, **begun)
        fleet = {"idToken": "FLEET-7", "type": "Central"}
        assert answer["idTokenInfo"] == {"status": "Accepted", "groupIdToken": fleet}
        answer = await wire.event(
            "Ended", 1, "StopAuthorized", token=master, transaction="tx-1", wh=600,
            info={"stoppedReason": "MasterPass"}, timestamp=stamp(),
        )  # fmt: skip
        assert answer["idTokenInfo"] == {"status": "Accepted"} | group
        (ended,) = await gateway.told(SessionEnded, station_id=station)
        assert (ended.id_token, ended.energy_wh, ended.stop_reason) == (driver, 500, "MasterPass")
        begun["transaction"] = "tx-2"
        answer = await wire.event("Started", 0, "Authorized", token=master, **begun)
        assert answer["idTokenInfo"] == {"status": "Blocked"} | group
        # Plugged in first: the card comes with a later event.
        begun["transaction"] = "tx-3"
        assert "idTokenInfo" not in await wire.event("Started", 0, "CablePluggedIn", **begun)
        answer = await wire.event("Updated", 1, "Authorized", token=master, transaction="tx-3")
        assert answer["idTokenInfo"] == {"status": "Blocked"} | group
