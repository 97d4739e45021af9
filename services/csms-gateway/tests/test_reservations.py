"""Reservations: from the request to the session that uses it, or to its end without one."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from asked_station import Station, station
from gateway_wire import Gateway, stamp

from common.clock import now

# Longer than all tests take, of which these are not the first.
TOMORROW = (now() + timedelta(days=1)).replace(microsecond=0)
WIRE_TIME = TOMORROW.strftime("%Y-%m-%dT%H:%M:%S.000Z")
ACCEPTED = {"status": "Accepted"}
BOTH = pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])


def reserve(**changes: Any) -> dict[str, Any]:
    command = {"type": "reserve_now", "id_token": "Good", "expires_at": TOMORROW.isoformat()}
    return command | changes


async def reservations(charger: Station, **filters: Any) -> list[dict[str, Any]]:
    found = await charger.get("/v1/reservations", station_id=charger.id, **filters)
    items: list[dict[str, Any]] = found["items"]
    return items


async def state(charger: Station, number: int) -> str:
    (found,) = [
        one["state"] for one in await reservations(charger) if one["reservation_id"] == number
    ]
    return str(found)


async def reserved(charger: Station, **changes: Any) -> int:
    """The number of an active reservation."""
    (call,), done = await charger.ask(reserve(**changes), ACCEPTED)
    assert done["state"] == "accepted"
    number: int = call[1]["id" if "id" in call[1] else "reservationId"]
    assert await state(charger, number) == "active"
    return number


async def test_TC_046_a_reservation_of_1_6_is_used_by_its_number(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        command = reserve(evse_id=1, group_id_token="Family", reservation_id=4711)
        (call,), done = await charger.ask(command, ACCEPTED)
        assert call == (
            "ReserveNow",
            {
                "connectorId": 1, "expiryDate": WIRE_TIME, "idTag": "Good",
                "reservationId": 4711, "parentIdTag": "Family",
            },
        )  # fmt: skip
        assert done["state"] == "accepted"
        (active,) = await reservations(charger, id_token="gOOd", state="active")
        assert (active["evse_id"], active["group_id_token"]) == (1, "Family")
        assert datetime.fromisoformat(active["expires_at"]) == TOMORROW
        await charger.start("GOOD", connectorId=1, reservationId=4711)
        (session,) = await gateway.transactions(station_id=charger.id)
        (used,) = await reservations(charger)
        assert (used["state"], used["session_id"]) == ("used", session["session_id"])
        assert await charger.get(f"/v1/reservations/{used['id']}") == used
        assert await reservations(charger, state="active") == []


async def test_TC_047_a_reservation_of_1_6_that_nobody_came_for_expires(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        number = await reserved(charger)
        await gateway.execute(
            "update reservation set expires_at = now() - interval '1 second' "
            "where station_id = :station",
            station=charger.id,
        )
        path = "/v1/reservations"
        await charger.eventually(
            path, lambda found: found["items"], station_id=charger.id, state="expired"
        )
        # A start by its number, kept offline meanwhile, still counts.
        await charger.start("GOOD", reservationId=number)
        assert await state(charger, number) == "used"


@BOTH
@pytest.mark.parametrize("status", ["Faulted", "Occupied", "Unavailable", "Rejected"])
async def test_TC_048_1_TC_048_2_TC_048_3_TC_048_4_TC_H_22_a_refused_reservation_says_why(
    gateway: Gateway, protocol: str, status: str
) -> None:
    async with station(gateway, protocol) as charger:
        _, done = await charger.ask(reserve(evse_id=1), {"status": status})
        assert done["state"] == "rejected"
        (found,) = await reservations(charger)
        assert (found["state"], found["answer"]) == ("rejected", status)


@BOTH
async def test_a_reservation_answered_with_an_error_is_rejected(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        _, done = await charger.ask(reserve(), "NotSupported")
        assert done["state"] == "failed"
        (found,) = await reservations(charger)
        assert (found["state"], found["answer"]) == ("rejected", "NotSupported")


async def test_TC_049_any_connector_of_1_6_is_number_0_and_types_are_not_known(
    gateway: Gateway,
) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        (call,), _ = await charger.ask(reserve(), ACCEPTED)
        assert call[1]["connectorId"] == 0
        (found,) = await reservations(charger)
        assert found["evse_id"] is None
        assert "by number" in await charger.refused(reserve(connector_type="cType2"))
        assert "20 characters" in await charger.refused(reserve(id_token="x" * 21))


@BOTH
async def test_TC_051_and_H_17_a_cancelled_reservation_is_over(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        number = await reserved(charger, evse_id=1)
        cancel = {"type": "cancel_reservation", "reservation_id": number}
        (call,), done = await charger.ask(cancel, ACCEPTED)
        assert call == ("CancelReservation", {"reservationId": number})
        assert (done["state"], await state(charger, number)) == ("accepted", "cancelled")


@BOTH
async def test_TC_052_a_refused_cancellation_ends_nothing(gateway: Gateway, protocol: str) -> None:
    async with station(gateway, protocol) as charger:
        number = await reserved(charger, evse_id=1)
        cancel = {"type": "cancel_reservation", "reservation_id": number}
        _, done = await charger.ask(cancel, {"status": "Rejected"})
        assert (done["state"], await state(charger, number)) == ("rejected", "active")


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_H_01_a_reserved_evse_is_used_by_the_driver(
    gateway: Gateway, protocol: str
) -> None:
    async with station(gateway, protocol) as charger:
        (call,), _ = await charger.ask(reserve(evse_id=1, id_token_type="eMAID"), ACCEPTED)
        number = call[1]["id"]
        assert call[1] == {
            "id": number,
            "expiryDateTime": WIRE_TIME,
            "idToken": {"idToken": "Good", "type": "eMAID"},
            "evseId": 1,
        }
        begin = {"transaction": uuid4().hex, "evse": {"id": 2, "connectorId": 1}}
        await charger.event("Started", 0, "Authorized", token="GOOD", **begin)
        assert await state(charger, number) == "active"  # that was elsewhere
        begin = {"transaction": uuid4().hex, "evse": {"id": 1, "connectorId": 1}}
        await charger.event("Started", 0, "CablePluggedIn", **begin)
        assert await state(charger, number) == "active"
        await charger.event("Updated", 1, "Authorized", token="good", **begin)
        assert await state(charger, number) == "used"


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
async def test_a_reserved_evse_is_used_though_the_card_s_event_does_not_name_it(
    gateway: Gateway, protocol: str
) -> None:
    """Stations need name the EVSE in their first event only (2.0.1, TransactionEventRequest)."""
    async with station(gateway, protocol) as charger:
        number = await reserved(charger, evse_id=1)
        transaction = uuid4().hex
        evse = {"id": 1, "connectorId": 1}
        await charger.event("Started", 0, "CablePluggedIn", transaction=transaction, evse=evse)
        await charger.event("Updated", 1, "Authorized", transaction=transaction, token="GOOD")
        assert await state(charger, number) == "used"


async def test_H01_FR_15_the_station_names_the_reservation_that_is_used(gateway: Gateway) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        first, second = await reserved(charger, evse_id=1), await reserved(charger)
        await charger.event(
            "Started", 0, "Authorized", token="GOOD", transaction=uuid4().hex,
            evse={"id": 1, "connectorId": 1}, reservationId=second,
        )  # fmt: skip
        assert (await state(charger, first), await state(charger, second)) == ("active", "used")


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_H_07_the_station_tells_that_nobody_came(gateway: Gateway, protocol: str) -> None:
    async with station(gateway, protocol) as charger:
        number = await reserved(charger, evse_id=1)
        told = {"reservationId": number, "reservationUpdateStatus": "Expired"}
        assert await charger.send("ReservationStatusUpdate", told) == {}
        assert await state(charger, number) == "expired"
        assert await charger.notified("ReservationStatusUpdate") == [told]
        other = {"reservationId": 2**40, "reservationUpdateStatus": "Removed"}
        assert await charger.send("ReservationStatusUpdate", other) == {}


async def test_TC_H_15_a_connector_type_is_reserved(gateway: Gateway) -> None:
    async with station(gateway, "ocpp2.0.1") as charger:
        (call,), _ = await charger.ask(reserve(connector_type="cType2"), ACCEPTED)
        assert call[1]["connectorType"] == "cType2"
        assert "evseId" not in call[1]
        _, done = await charger.ask(reserve(connector_type="cPlug"))
        assert "cCCS1" in done["result"]["description"]
        assert [one["state"] for one in await reservations(charger)] == ["rejected", "active"]


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_TC_H_19_anybody_of_the_group_may_use_it(gateway: Gateway, protocol: str) -> None:
    async with station(gateway, protocol) as charger:
        number = await reserved(charger, evse_id=1, id_token="Else", group_id_token="Family")
        gateway.identity.groups["GOOD"] = "FAMILY"
        try:
            if protocol == "ocpp1.6":
                await charger.start("GOOD")
            else:
                await charger.event(
                    "Started", 0, "Authorized", token="GOOD", transaction=uuid4().hex,
                    evse={"id": 1, "connectorId": 1},
                )  # fmt: skip
        finally:
            gateway.identity.groups.clear()
        assert await state(charger, number) == "used"


@pytest.mark.parametrize("told", ["Removed", "NoTransaction"])
async def test_TC_H_20_a_fault_removes_a_reservation(gateway: Gateway, told: str) -> None:
    async with station(gateway, "ocpp2.1") as charger:
        number = await reserved(charger, evse_id=1)
        update = {"reservationId": number, "reservationUpdateStatus": told}
        assert await charger.send("ReservationStatusUpdate", update) == {}
        (found,) = await reservations(charger)
        assert (found["state"], found["answer"]) == ("removed", told)


async def test_a_raw_reservation_is_followed_like_a_typed_one(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        payload = {
            "connectorId": 2, "expiryDate": WIRE_TIME, "idTag": "GOOD", "reservationId": 5,
        }  # fmt: skip
        raw = {"ocpp": {"action": "ReserveNow", "payload": payload}}
        await charger.ask(raw, ACCEPTED)
        assert await state(charger, 5) == "active"
        # The station refuses a change of it, so the first stands (2.0.1, H01.FR.02).
        await charger.ask(
            {"ocpp": {"action": "ReserveNow", "payload": payload | {"connectorId": 1}}},
            {"status": "Occupied"},
        )
        (found,) = await reservations(charger)
        assert (found["state"], found["evse_id"]) == ("active", 2)
        cancel = {"ocpp": {"action": "CancelReservation", "payload": {"reservationId": 5}}}
        await charger.ask(cancel, ACCEPTED)
        assert await state(charger, 5) == "cancelled"


async def test_a_session_from_before_the_reservation_does_not_use_it(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        number = await reserved(charger, evse_id=1)
        await gateway.held(charger.id, reachable_for_s=-3600)
        await charger.start("GOOD", timestamp=stamp(1800))
        assert await state(charger, number) == "active"
        assert datetime.now(UTC) < TOMORROW


async def test_an_operator_sees_his_own_reservations_only(gateway: Gateway) -> None:
    async with station(gateway, "ocpp1.6") as charger:
        await reserved(charger)
        (found,) = await reservations(charger)
    async with gateway.service.as_(uuid4(), "commands:read") as api:
        path = f"/v1/reservations/{found['id']}"
        assert (await api.get(path)).status_code == 404
        listed = await api.get("/v1/reservations", params={"station_id": charger.id})
        assert listed.json()["items"] == []
