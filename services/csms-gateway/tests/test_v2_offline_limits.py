"""OCPP 2.x, K06 and K07: what limits a station that is cut off, and what we know of it after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asked_station import Station
from gateway_commands import V21, V201
from gateway_wire import EVSE, Gateway, kinds, stamp

from common.events import SessionEnded

VERSIONS = pytest.mark.parametrize("version", [V201, V21])
ACCEPTED = {"status": "Accepted"}
TX = {"transaction": "tx-1"}
OFFLINE = {"offline": True, **TX}


@asynccontextmanager
async def online(gateway: Gateway, station_id: str, version: str) -> AsyncIterator[Station]:
    async with gateway.connect(station_id, subprotocols=[version]) as socket:
        yield Station(gateway, station_id, socket)


async def limited(charger: Station, purpose: str) -> int:
    """To 6 A; the profile's number."""
    schedule = {"unit": "A", "periods": [{"start_s": 0, "limit": 6}]}
    wanted = {"purpose": purpose, "kind": "relative", "schedules": [schedule]}
    command = {"type": "set_charging_profile", "evse_id": 1, "profile": wanted}
    ((_, payload),), done = await charger.ask(command, ACCEPTED)
    assert done["state"] == "accepted"
    number: int = payload["chargingProfile"]["id"]
    return number


async def known(charger: Station) -> list[tuple[int, str]]:
    found = await charger.get(f"/v1/stations/{charger.id}/charging-profiles")
    return [(one["profile_id"], one["purpose"]) for one in found["items"]]


async def begins(charger: Station, **more: Any) -> None:
    answer = await charger.event("Started", 0, "Authorized", token="GOOD", evse=EVSE, wh=0, **more)
    assert answer == {"idTokenInfo": {"status": "Accepted"}}


@VERSIONS
@pytest.mark.parametrize("has_profile", [True, False])
async def test_K06_FR_01_and_FR_02_an_outage_changes_nothing_of_a_sessions_limits(
    gateway: Gateway, version: str, *, has_profile: bool
) -> None:
    station_id = await gateway.add_station()
    async with online(gateway, station_id, version) as charger:
        await begins(charger, **TX)
        there = [(await limited(charger, "tx"), "tx")] if has_profile else []
    async with online(gateway, station_id, version) as charger:
        assert await known(charger) == there
        await charger.event("Updated", 1, "MeterValuePeriodic", wh=400, **OFFLINE)
        await charger.quiet()  # the station has kept what it had, so nothing is sent again
        assert await known(charger) == there
    async with online(gateway, station_id, version) as charger:
        await charger.event("Ended", 2, "EVDeparted", wh=900, **OFFLINE)
        assert await known(charger) == []
        await charger.quiet()
    (over,) = await gateway.told(SessionEnded, station_id=station_id)
    assert (over.energy_wh, kinds(over)) == (900, [])


@VERSIONS
async def test_K07_FR_01_a_session_begun_while_cut_off_goes_by_the_default_which_outlives_it(
    gateway: Gateway, version: str
) -> None:
    station_id = await gateway.add_station()
    async with online(gateway, station_id, version) as charger:
        there = [(await limited(charger, "tx_default"), "tx_default")]
    async with online(gateway, station_id, version) as charger:
        await begins(charger, timestamp=stamp(600), **OFFLINE)
        await charger.event(
            "Updated", 1, "ChargingStateChanged", timestamp=stamp(590),
            info={"chargingState": "Charging"}, **OFFLINE,
        )  # fmt: skip
        await charger.quiet()
        assert await known(charger) == there
        # Back online it may get limits of its own, and loses them with its end.
        own = (await limited(charger, "tx"), "tx")
        assert sorted(await known(charger)) == sorted([*there, own])
        await charger.event("Ended", 2, "EVDeparted", wh=900, **TX)
        assert await known(charger) == there
