"""OCPP 2.x, block C: how a driver may be authorised, besides a card held to the reader."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from asked_station import Station, station
from gateway_commands import V21, V201, staffed
from gateway_wire import EVSE, Gateway, kinds, stamp

from common.events import SessionEnded, SessionStarted

VERSIONS = pytest.mark.parametrize("version", [V201, V21])
REFERENCE = "PSP-REF-9"


def token(id_token: str, kind: str) -> dict[str, str]:
    return {"idToken": id_token, "type": kind}


async def plugged_in(charger: Station) -> str:
    transaction = uuid4().hex
    answer = await charger.event(
        "Started", 0, "CablePluggedIn", transaction=transaction, evse=EVSE, wh=1000,
        info={"chargingState": "EVConnected"},
    )  # fmt: skip
    assert answer == {}
    return transaction


@pytest.mark.parametrize(("version", "kind"), [(V201, "Central"), (V21, "DirectPayment")])
async def test_C03_FR_02_who_pays_at_a_terminal_charges_by_a_number_that_no_station_asks_about(
    gateway: Gateway, version: str, kind: str
) -> None:
    async with station(gateway, version) as charger:
        transaction = await plugged_in(charger)
        start = {
            "type": "remote_start", "id_token": REFERENCE, "id_token_type": "DirectPayment",
            "evse_id": 1,
        }  # fmt: skip
        ((action, payload),), done = await charger.ask(
            start, {"status": "Accepted", "transactionId": transaction}
        )
        payment = token(REFERENCE, kind)
        assert (action, payload["idToken"], payload["evseId"]) == (
            "RequestStartTransaction", payment, 1,
        )  # fmt: skip
        # C03.FR.01: there is no Authorize between. One that asks all the same hears the same.
        for answer in (
            await charger.event(
                "Updated", 1, "RemoteStart", transaction=transaction, idToken=payment,
                info={"remoteStartId": payload["remoteStartId"], "chargingState": "Charging"},
            ),
            await charger.send("Authorize", {"idToken": payment}),
        ):  # fmt: skip
            assert answer == {"idTokenInfo": {"status": "Accepted"}}
        # No other number, and no card that is not good, charges so.
        for id_token, status in (("PSP-REF-8", "Invalid"), ("BAD", "Blocked")):
            answer = await charger.send("Authorize", {"idToken": token(id_token, kind)})
            assert answer["idTokenInfo"]["status"] == status
        await charger.event(
            "Ended", 2, "StopAuthorized", transaction=transaction, idToken=payment, wh=1700
        )
        command = await charger.get(f"/v1/stations/{charger.id}/commands/{done['id']}")
    (over,) = await gateway.told(SessionEnded, station_id=charger.id)
    assert command["session_id"] == str(over.session_id)
    assert (over.id_token, over.token_status, over.card_id) == (REFERENCE, "Accepted", None)
    assert (over.energy_wh, kinds(over)) == (700, [])
    async with station(gateway, version) as elsewhere:
        answer = await elsewhere.send("Authorize", {"idToken": token(REFERENCE, kind)})
        assert answer["idTokenInfo"]["status"] == "Invalid"


@VERSIONS
@pytest.mark.parametrize("named_in", [1, 2])
async def test_C05_FR_03_FR_05_a_driver_without_a_card_charges_by_the_token_of_an_app(
    gateway: Gateway, version: str, named_in: int
) -> None:
    gateway.identity.decisions["APP-7F3A"] = "Accepted"
    async with station(gateway, version) as charger:
        start = {"type": "remote_start", "id_token": "APP-7F3A"}
        transaction = await plugged_in(charger)
        ((_, payload),), done = await charger.ask(start, {"status": "Accepted"})
        assert payload["idToken"] == token("APP-7F3A", "Central")
        number = {"remoteStartId": payload["remoteStartId"]}
        # The token comes with the first event after the call, the number with any.
        for seq_no in (1, 2):
            info = number if seq_no == named_in else {}
            first = {"idToken": token("APP-7F3A", "Central")} if seq_no == 1 else {}
            answer = await charger.event(
                "Updated", seq_no, "RemoteStart" if seq_no == 1 else "ChargingStateChanged",
                transaction=transaction, info=info | {"chargingState": "Charging"}, **first,
            )  # fmt: skip
            assert answer == ({"idTokenInfo": {"status": "Accepted"}} if seq_no == 1 else {})
        command = await charger.eventually(
            f"/v1/stations/{charger.id}/commands/{done['id']}", lambda one: one["session_id"]
        )
    (started,) = await gateway.told(SessionStarted, station_id=charger.id)
    assert command["session_id"] == str(started.session_id)
    assert (started.id_token, started.card_id) == ("APP-7F3A", gateway.identity.card_id)
    assert kinds(started) == []


@VERSIONS
async def test_C05_a_token_of_an_app_that_may_not_charge_is_refused_by_the_answer_to_its_event(
    gateway: Gateway, version: str
) -> None:
    async with station(gateway, version) as charger:
        transaction = await plugged_in(charger)
        start = {"type": "remote_start", "id_token": "BAD"}
        ((_, payload),), _ = await charger.ask(start, {"status": "Accepted"})
        answer = await charger.event(
            "Updated", 1, "RemoteStart", transaction=transaction, idToken=token("BAD", "Central"),
            info={"remoteStartId": payload["remoteStartId"]},
        )  # fmt: skip
        assert answer == {"idTokenInfo": {"status": "Blocked"}}
    (started,) = await gateway.told(SessionStarted, station_id=charger.id)
    assert (started.token_status, kinds(started)) == ("Blocked", ["token_refused"])


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        *((version, kind) for version in (V201, V21)
          for kind in ("ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress")),
        (V21, "EVCCID"),
    ],
)  # fmt: skip
async def test_C08_FR_01_a_car_on_the_cable_is_authorised_by_what_is_not_in_the_car(
    gateway: Gateway, version: str, kind: str
) -> None:
    """External means: whatever the driver shows, though the car speaks ISO 15118."""
    gateway.identity.decisions["1234"] = "Accepted"
    async with station(gateway, version) as charger:
        transaction = await plugged_in(charger)
        answer = await charger.send("Authorize", {"idToken": token("STRANGER", kind)})
        assert answer == {"idTokenInfo": {"status": "Invalid"}}
        # Without a contract's certificate nothing is said of one.
        answer = await charger.send("Authorize", {"idToken": token("1234", kind)})
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        answer = await charger.event(
            "Updated", 1, "Authorized", transaction=transaction, idToken=token("1234", kind)
        )
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        wants = {"evseId": 1, "chargingNeeds": {"requestedEnergyTransfer": "DC"}}
        answer = await charger.send("NotifyEVChargingNeeds", wants)
        assert answer["statusInfo"]["reasonCode"] == "NoProfile"  # known, and nothing to offer
    (started,) = await gateway.told(SessionStarted, station_id=charger.id)
    assert (started.id_token, started.token_status) == ("1234", "Accepted")


@VERSIONS
async def test_C10_FR_08_and_FR_13_what_a_station_remembers_ends_with_the_card(
    gateway: Gateway, version: str
) -> None:
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    gateway.identity.decisions["VISITOR"] = "Accepted"
    gateway.identity.more["VISITOR"] = {"expires_at": until}
    ends = {"cacheExpiryDateTime": until.strftime("%Y-%m-%dT%H:%M:%S.000Z")}
    async with station(gateway, version) as charger:
        # A card without an end is remembered as long as the station is set to (AuthCacheLifeTime).
        for id_token, end in (("VISITOR", ends), ("GOOD", {})):
            told = {"idTokenInfo": {"status": "Accepted"} | end}
            card = token(id_token, "ISO14443")
            assert await charger.send("Authorize", {"idToken": card}) == told
            answer = await charger.event(
                "Started", 0, "Authorized", transaction=uuid4().hex, idToken=card, evse=EVSE
            )
            assert answer == told


@VERSIONS
async def test_C13_FR_02_C14_FR_02_and_03_a_listed_card_charges_whether_we_are_there_or_not(
    gateway: Gateway, version: str
) -> None:
    gateway.identity.decisions["NEW"] = "Accepted"
    entries = [
        {"id_token": "GOOD", "status": "Accepted"},
        {"id_token": "BAD", "status": "Accepted"},  # blocked since
        {"id_token": "NEW", "status": "Invalid"},  # good since
    ]
    async with staffed(gateway, version) as staff:
        _, ((_, sent),) = await staff.send({"type": "send_local_list", "entries": entries})
        listed = {
            one["idToken"]["idToken"]: one["idTokenInfo"]["status"]
            for one in sent["localAuthorizationList"]
        }
        assert listed == {"GOOD": "Accepted", "BAD": "Accepted", "NEW": "Invalid"}
        # Without asking us: by the list, online and offline.
        for offline in (False, True):
            for id_token, status in (("GOOD", "Accepted"), ("BAD", "Blocked")):
                answer = await staff.wire.event(
                    "Started", 0, "Authorized", transaction=f"{id_token}-{offline}", evse=EVSE,
                    token=id_token, offline=offline, timestamp=stamp(900 if offline else 0),
                )  # fmt: skip
                assert answer["idTokenInfo"]["status"] == status
        # What the list does not accept is asked about, and we know better.
        answer = await staff.wire.send("Authorize", {"idToken": token("NEW", "ISO14443")})
        assert answer["idTokenInfo"]["status"] == "Accepted"
    started = await gateway.told(SessionStarted, 4, station_id=staff.station_id)
    assert sorted((one.id_token, one.token_status) for one in started) == [
        ("BAD", "Blocked"), ("BAD", "Blocked"), ("GOOD", "Accepted"), ("GOOD", "Accepted"),
    ]  # fmt: skip


@VERSIONS
@pytest.mark.parametrize("stops", [True, False])
async def test_C15_FR_02_FR_03_and_04_who_was_let_in_while_we_were_away_is_judged_afterwards(
    gateway: Gateway, version: str, *, stops: bool
) -> None:
    said: dict[str, Any] = {"transaction": uuid4().hex}
    async with station(gateway, version) as charger:
        answer = await charger.event(
            "Started", 0, "Authorized", token="STRANGER", evse=EVSE, wh=1000, offline=True,
            timestamp=stamp(1800), **said,
        )  # fmt: skip
        assert answer == {"idTokenInfo": {"status": "Invalid"}}
        # By StopTxOnInvalidId and TxStopPoint it ends now, or delivers no more until unplugged.
        seq_no = 1
        if not stops:
            await charger.event(
                "Updated", 1, "Deauthorized", wh=1400, info={"chargingState": "EVConnected"},
                **said,
            )  # fmt: skip
            (known,) = await gateway.transactions(station_id=charger.id)
            assert (known["state"], known["charging_state"]) == ("open", "EVConnected")
            seq_no = 2
        trigger, reason = (
            ("Deauthorized", "DeAuthorized") if stops else ("EVCommunicationLost", "EVDisconnected")
        )
        answer = await charger.event(
            "Ended", seq_no, trigger, wh=1400, info={"stoppedReason": reason}, **said
        )
        assert answer == {}
    (over,) = await gateway.told(SessionEnded, station_id=charger.id)
    assert (over.id_token, over.token_status, over.energy_wh, over.stop_reason) == (
        "STRANGER", "Invalid", 400, reason,
    )  # fmt: skip
    assert kinds(over) == ["token_refused"]
