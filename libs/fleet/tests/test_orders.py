"""Local lists, reservations and charging profiles of OCPP 1.6, and the rules beneath them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import ocpp.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.v16 import call  # type: ignore[import-untyped, unused-ignore]

from fleet import Charger, Vehicle
from fleet.authority import MOST_CACHED, Authority, IdToken, Verdict
from fleet.dialect import Electrics
from fleet.limits import Limits, Profile

from .fake_csms import FakeCsms

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def profile(
    purpose: str = "TxDefaultProfile", number: int = 1, level: int = 0, **more: Any
) -> dict[str, Any]:
    """As the server of OCPP 1.6 sends it; `limits` are watts by the second they begin at."""
    limits = more.pop("limits", {0: 3000})
    unit = more.pop("unit", "W")
    schedule = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": start_s, "limit": limit} for start_s, limit in limits.items()
        ],
    } | more.pop("schedule", {})
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": more.pop("kind", "Relative"),
        "chargingSchedule": schedule,
    } | more


def watts(limits: Limits, at: datetime = AT, session_at: datetime = AT) -> int:
    return limits.ceiling(1, at, session_at, None).power_w


async def test_the_local_list_and_the_cache_decide_while_offline(
    csms: FakeCsms, charger: Charger
) -> None:
    csms.authorized["BLOCKED"] = "Blocked"
    async with charger:
        await charger.wait_ready()
        listed = call.SendLocalList(
            list_version=3,
            update_type="Full",
            local_authorization_list=[
                {"id_tag": "LISTED", "id_tag_info": {"status": "Accepted"}},
                {"id_tag": "GONE", "id_tag_info": {"status": "Expired"}},
            ],
        )
        assert (await csms.command(listed)).status == "Accepted"
        assert (await csms.command(call.GetLocalListVersion())).list_version == 3
        assert await charger.tap(1, "BLOCKED") == "Blocked"
        await charger.go_offline()
        assert await charger.tap(1, "BLOCKED") == "Blocked"
        assert await charger.tap(1, "GONE") == "Expired"
        assert await charger.tap(1, "NEVERSEEN") == "Offline"
        await charger.plug_in(1, Vehicle())
        assert await charger.tap(1, "LISTED") == "Accepted"
        await charger.go_online()
        assert (await csms.command(call.ClearCache())).status == "Accepted"
        await csms.until("StartTransaction")


async def test_a_card_on_the_list_is_not_asked_for_if_so_configured(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        entries = [{"id_tag": "LISTED", "id_tag_info": {"status": "Accepted"}}]
        await csms.command(
            call.SendLocalList(list_version=1, update_type="Full", local_authorization_list=entries)
        )
        await csms.command(call.ChangeConfiguration(key="LocalPreAuthorize", value="true"))
        assert await charger.tap(1, "LISTED") == "Accepted"
    assert csms.sent("Authorize") == []


async def test_a_reservation_keeps_the_connector_until_it_expires(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        for minutes, status in [(-1, "Rejected"), (600, "Accepted")]:
            expiry = (charger.clock() + timedelta(minutes=minutes)).isoformat()
            reserve = call.ReserveNow(
                connector_id=1, expiry_date=expiry, id_tag="MINE", reservation_id=5
            )
            assert (await csms.command(reserve)).status == status
        assert (await csms.command(call.RemoteStartTransaction(id_tag="A"))).status == "Rejected"
        result = await charger.charge(1, "OTHER", energy_wh=100, backdate=True)
        assert (result.status, result.energy_wh) == ("Invalid", 0)
        result = await charger.charge(1, "MINE", energy_wh=100, backdate=True)
        assert result.energy_wh == 100
        # Five seconds of ours: time for the command to arrive, on a busy machine too.
        soon = (charger.clock() + timedelta(minutes=100)).isoformat()
        again = call.ReserveNow(connector_id=1, expiry_date=soon, id_tag="MINE", reservation_id=6)
        assert (await csms.command(again)).status == "Accepted"
        await csms.heard(lambda: csms.statuses(1)[-2:] == ["Reserved", "Available"])
        await charger.drain()
    assert csms.payloads("StartTransaction")[0]["reservationId"] == 5
    assert csms.statuses(1)[-2:] == ["Reserved", "Available"]


async def test_a_limit_of_nothing_suspends_and_another_lets_the_car_go_on(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        await charger.plug_in(1, Vehicle())
        await charger.tap(1, "CARD")
        await csms.until("MeterValues")
        pause = call.SetChargingProfile(
            connector_id=1, cs_charging_profiles=snake(profile("TxProfile", limits={0: 0}))
        )
        assert (await csms.command(pause)).status == "Accepted"
        await csms.heard(lambda: csms.statuses(1)[-1] == "SuspendedEVSE")
        stood_at = charger.connector(1).register.wh
        await asyncio.sleep(0.2)
        assert charger.connector(1).register.wh == stood_at
        clear = call.ClearChargingProfile(id=1)
        assert (await csms.command(clear)).status == "Accepted"
        # What is told by the clock while it stands still may be under way yet.
        await csms.heard(lambda: csms.statuses(1)[-1] == "Charging")
        await csms.until("MeterValues", len(csms.sent("MeterValues")) + 2)
        await charger.drain()
        assert csms.statuses(1)[-1] == "Charging"
        assert charger.connector(1).register.wh > stood_at


def snake(raw: dict[str, Any]) -> dict[str, Any]:
    """As the other implementation wants it."""

    def name(text: str) -> str:
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in text)

    def value(found: Any) -> Any:
        if isinstance(found, dict):
            return snake(found)
        return [snake(one) for one in found] if isinstance(found, list) else found

    return {name(key): value(found) for key, found in raw.items()}


async def test_a_composite_schedule_says_what_counts(csms: FakeCsms, charger: Charger) -> None:
    async with charger:
        await charger.wait_ready()
        most = profile("ChargePointMaxProfile", number=1, limits={0: 7000})
        usual = profile("TxDefaultProfile", number=2, limits={0: 9000, 60: 4000})
        for connector_id, raw in [(0, most), (1, usual)]:
            setting = call.SetChargingProfile(
                connector_id=connector_id, cs_charging_profiles=snake(raw)
            )
            assert (await csms.command(setting)).status == "Accepted"
        wrong = call.SetChargingProfile(connector_id=1, cs_charging_profiles=snake(most))
        assert (await csms.command(wrong)).status == "Rejected"
        asked = call.GetCompositeSchedule(connector_id=1, duration=120)
        schedule = (await csms.command(asked)).charging_schedule
        assert [
            (period["start_period"], period["limit"])
            for period in schedule["charging_schedule_period"]
        ] == [(0, 7000), (60, 4000)]


async def test_an_action_of_the_version_that_is_none_of_a_chargers_is_not_supported(
    csms: FakeCsms, charger: Charger
) -> None:
    async with charger:
        await charger.wait_ready()
        with pytest.raises(ocpp.exceptions.NotSupportedError):
            await csms.command(call.Heartbeat())


def test_the_highest_level_of_each_purpose_counts_and_the_least_of_all_wins() -> None:
    limits = Limits(Electrics(11_000))
    assert watts(limits) == 11_000
    limits.put(Profile(1, profile(number=1, level=0, limits={0: 2000})))
    limits.put(Profile(1, profile(number=2, level=5, limits={0: 8000})))
    assert watts(limits) == 8000
    limits.put(Profile(0, profile("ChargePointMaxProfile", number=3, limits={0: 6000})))
    assert watts(limits) == 6000
    limits.put(Profile(1, profile("TxProfile", number=4, limits={0: 10}, unit="A")))
    assert watts(limits) == 6000
    limits.put(Profile(1, profile("TxProfile", number=4, limits={0: 6}, unit="A")))
    assert watts(limits) == 6 * 230 * 3
    assert len(limits.profiles) == 4


@pytest.mark.parametrize(
    ("raw", "minutes", "power_w"),
    [
        (profile(limits={0: 1000, 600: 2000}), 5, 1000),
        (profile(limits={0: 1000, 600: 2000}), 15, 2000),
        (profile(limits={0: 1000}, schedule={"duration": 60}), 5, 11_000),
        (profile(validTo="2026-11-24T12:10:00Z"), 15, 11_000),
        (profile(validFrom="2026-11-24T12:10:00Z"), 5, 11_000),
        (profile(kind="Absolute", schedule={"startSchedule": "2026-11-24T12:10:00Z"}), 5, 11_000),
        (profile(kind="Absolute", schedule={"startSchedule": "2026-11-24T12:10:00Z"}), 15, 3000),
        (
            profile(
                kind="Recurring",
                recurrencyKind="Daily",
                schedule={"startSchedule": "2026-11-01T12:10:00Z", "duration": 300},
            ),
            12,
            3000,
        ),
    ],
)
def test_a_profile_counts_in_its_time(raw: dict[str, Any], minutes: int, power_w: int) -> None:
    limits = Limits(Electrics(11_000))
    limits.put(Profile(1, raw))
    assert watts(limits, AT + timedelta(minutes=minutes)) == power_w


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 20_000), st.sampled_from(["W", "A"])),
        max_size=8,
    )
)
def test_no_set_of_profiles_gives_more_than_the_charger_has(
    drawn: list[tuple[int, int, str]],
) -> None:
    limits = Limits(Electrics(11_000))
    for number, (level, limit, unit) in enumerate(drawn):
        limits.put(Profile(1, profile(number=number, level=level, limits={0: limit}, unit=unit)))
    ceiling = limits.ceiling(1, AT, AT, None)
    assert 0 <= ceiling.power_w <= 11_000
    assert ceiling.until > AT


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.text("abAB", max_size=2))))
def test_D01_a_lists_version_only_rises_by_differences(
    updates: list[tuple[bool, int, str]],
) -> None:
    authority = Authority()
    for full, version, text in updates:
        before = authority.version
        entries = [(IdToken(text), Verdict("Accepted"))]
        said = authority.update_list(version, full=full, entries=entries)
        assert said == ("Accepted" if full or version > before else "VersionMismatch")
        if said == "Accepted":
            assert authority.version == version
            assert authority.own_verdict(IdToken(text.swapcase())) == Verdict("Accepted")


def test_a_list_is_changed_entry_by_entry_and_counts_before_the_cache() -> None:
    authority = Authority()
    yes, no = Verdict("Accepted"), Verdict("Blocked")
    authority.remember(IdToken("A"), yes)
    authority.update_list(1, full=True, entries=[(IdToken("A"), no), (IdToken("B"), yes)])
    assert authority.own_verdict(IdToken("a")) == no
    authority.update_list(2, full=False, entries=[(IdToken("a"), None)])
    assert authority.own_verdict(IdToken("A")) == yes
    assert authority.own_verdict(IdToken("B")) == yes
    for number in range(MOST_CACHED + 5):
        authority.remember(IdToken(str(number)), yes)
    assert len(authority.cached) == MOST_CACHED
