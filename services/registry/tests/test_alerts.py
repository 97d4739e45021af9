"""Alerts are raised, kept and resolved as the rules say, once, whoever looks."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from postbox import Postbox
from stack import Issuer, Running, Servers, eventually

from common.events import (
    AlertAcknowledged,
    AlertRaised,
    AlertResolved,
    Incident,
    IncidentOpened,
)
from common.ids import uuid7
from registry.alerts.alert_rounds import Rounds
from registry.live.liveness import BEAT_AGE_MAX

from .test_location_limits import OUTSIDE, place
from .watch import LATER, Watch, ago, of_stations, states, watching


@pytest.fixture(scope="module")
async def watched(servers: Servers, issuer: Issuer) -> AsyncIterator[tuple[Running, Postbox]]:
    async with watching(servers, issuer) as made:
        yield made


@pytest.fixture
async def watch(watched: tuple[Running, Postbox]) -> AsyncIterator[Watch]:
    made = Watch(*watched)
    yield made
    await made.http.aclose()


async def test_a_station_that_is_gone_for_long_enough_is_an_alert_until_it_is_back(
    watch: Watch,
) -> None:
    rule = await watch.rule(severity="critical")
    gone, just_gone, there, _never = await watch.stations(4)
    since = ago(minutes=10)
    await watch.gone(gone, since=since)
    await watch.gone(just_gone, since=ago(minutes=4))
    await watch.back(there)
    await watch.look()
    await watch.look()
    [alert] = await watch.alerts()
    assert (alert["station_id"], alert["evse_id"], alert["kind"]) == (gone, 0, "offline")
    assert (alert["rule_id"], alert["severity"]) == (rule["id"], "critical")
    assert datetime.fromisoformat(alert["since_at"]) == since
    assert (alert["state"], alert["version"]) == ("open", 1)
    await watch.back(gone)
    await watch.look()
    [alert] = await watch.alerts()
    assert (alert["state"], alert["version"]) == ("resolved", 2)
    # Gone again, it is another alert.
    await watch.gone(gone, since=ago(minutes=6))
    await watch.look()
    assert states(await watch.alerts()) == ["resolved", "open"]

    async def told() -> Any:
        ends = await watch.told(AlertResolved)
        raised = await watch.told(AlertRaised)
        return (raised, ends) if len(raised) == 2 and len(ends) == 1 else None

    raised, ends = await eventually(told)
    assert [(one["station_id"], one["version"]) for one in raised] == [(gone, 1)] * 2
    assert (ends[0]["alert_id"], ends[0]["version"]) == (alert["id"], 2)
    assert ends[0]["resolved_at"] == alert["resolved_at"]


async def test_stations_of_a_dead_gateway_are_gone_since_its_last_beat(watch: Watch) -> None:
    await watch.rule(after_s=30)
    station = await watch.station()
    last = ago(seconds=100)
    await watch.connection(station, connected=True, at=ago(hours=1))
    await watch.beat(last)
    other = Watch(watch.registry, watch.box)  # whose gateway beats: so registry hears
    await other.beat()
    await watch.look()
    [alert] = await watch.alerts()
    assert datetime.fromisoformat(alert["since_at"]) == last


async def test_a_registry_that_has_just_begun_and_heard_no_beat_knows_nothing(
    watch: Watch,
) -> None:
    await watch.rule(after_s=0)
    station = await watch.station()
    await watch.connection(station, connected=True, at=ago(hours=1))
    await watch.execute(
        "update gateway_replica set last_beat_at = :long_ago", long_ago=ago(seconds=300)
    )
    await watch.beat(ago(seconds=BEAT_AGE_MAX.total_seconds() + 1))
    await watch.look()
    assert await watch.alerts() == []
    watch.rounds._began_at = ago(minutes=3)  # it had time enough: the gateways are dead
    await watch.look()
    assert of_stations(await watch.alerts()) == {station}


async def test_a_station_that_comes_and_goes_is_one_alert(watch: Watch) -> None:
    await watch.rule(after_s=0, clear_after_s=600)
    station = await watch.station()
    for _ in range(5):
        await watch.gone(station, since=ago(seconds=1))
        await watch.look()
        await watch.back(station)
        await watch.look()
    [alert] = await watch.alerts()
    assert alert["state"] == "open"
    await watch.execute("update alert set cleared_at = :at where cleared_at is not null",
                        at=ago(seconds=601))  # fmt: skip
    await watch.look()
    assert states(await watch.alerts()) == ["resolved"]


async def test_replicas_that_look_at_once_raise_an_alert_once(watch: Watch) -> None:
    await watch.rule(after_s=0)
    stations = await watch.stations(5)
    await watch.gone(*stations, since=ago(minutes=1))
    replicas: list[Rounds] = [watch.one_more() for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(one.look("offline", LATER) for one in replicas))
    assert len(await watch.alerts()) == 5
    # Whoever looked last has done it for all: there is nothing to do until it is time again.
    assert await replicas[0].look("offline", ago(minutes=1)) == 0
    await watch.back(*stations)
    assert await replicas[0].look("offline", ago(minutes=1)) == 0
    assert set(states(await watch.alerts())) == {"open"}


async def test_an_inactive_station_is_no_alert_and_its_alerts_end(watch: Watch) -> None:
    await watch.rule(after_s=0)
    for kind in ("faulted", "unused", "failing"):
        await watch.rule(kind)
    station, other = await watch.stations(2)
    await watch.gone(station, since=ago(days=9))
    await watch.reports(watch.report(station, "faulted", ago(hours=1)))
    await watch.execute("update alert_rule set made_at = :at", at=ago(days=8))
    await watch.handle(*(watch.ended(other, energy_wh=0) for _ in range(3)))
    await watch.look()
    mine = [one["kind"] for one in await watch.alerts(station_id=station)]
    assert sorted(mine) == ["faulted", "offline", "unused"]
    assert [one["kind"] for one in await watch.alerts(station_id=other)] == ["failing"]
    for one in (station, other):
        path = f"/v1/stations/{one}"
        off = await watch.http.patch(path, json={"active": False}, headers={"If-Match": "*"})
        assert off.status_code == 200, off.text
    await watch.look()
    assert set(states(await watch.alerts())) == {"resolved"}


async def test_a_fault_counts_from_its_own_time_by_a_clock_that_may_be_wrong(
    watch: Watch,
) -> None:
    await watch.rule("faulted", name="any", after_s=300)
    await watch.rule("faulted", name="ground", after_s=300, error_codes=["E07", "GroundFailure"])
    old, new, wrong = await watch.stations(3)
    await watch.reports(
        watch.report(old, "faulted", ago(minutes=6), evse_id=2, vendor_error_code="E07"),
        watch.report(new, "faulted", ago(minutes=4), error_code="GroundFailure"),
        watch.report(
            wrong, "faulted", datetime(1999, 1, 1, tzinfo=UTC), received_at=ago(minutes=4)
        ),
    )
    await watch.look()
    found = {(one["rule_name"], one["station_id"]): one for one in await watch.alerts()}
    assert found.keys() == {("any", old), ("ground", old)}
    assert {(one["evse_id"], one["detail"]) for one in found.values()} == {(2, "E07")}
    # A repeat does not begin it anew, and another status ends it.
    again = watch.report(new, "faulted", ago(minutes=1), error_code="GroundFailure")
    await watch.reports(again)
    await watch.execute(
        "update connector_live set since_at = since_at - interval '2 minutes' "
        "where station_id = :station", station=new,
    )  # fmt: skip
    await watch.reports(watch.report(old, "available", ago(seconds=1), evse_id=2))
    await watch.look()
    found = {(one["rule_name"], one["station_id"]): one for one in await watch.alerts()}
    assert found["any", new]["detail"] == "GroundFailure"
    assert found["ground", new]["state"] == "open"
    assert (found["any", old]["state"], found["ground", old]["state"]) == ("resolved", "resolved")


async def test_an_evse_that_nobody_used_for_days_is_an_alert_until_somebody_does(
    watch: Watch,
) -> None:
    await watch.rule("unused", days=7)
    used, idle, busy, never = await watch.stations(4)
    await watch.handle(
        watch.ended(used, ended_at=ago(days=6)),
        watch.ended(idle, started_at=ago(days=8), ended_at=ago(days=7, minutes=1)),
        watch.started(busy, started_at=ago(days=9)),
    )
    await watch.look()
    assert of_stations(await watch.alerts()) == {idle}
    await watch.execute("update alert_rule set made_at = :at", at=ago(days=7, minutes=1))
    await watch.look()
    assert of_stations(await watch.alerts()) == {idle, never}
    await watch.handle(watch.started(idle, started_at=ago(seconds=1)))
    await watch.look()
    assert of_stations(await watch.alerts(state="open")) == {never}
    [alert] = await watch.alerts(state="open")
    assert alert["evse_id"] == 1


async def test_what_fails_often_is_counted_once_however_often_it_is_told(watch: Watch) -> None:
    await watch.rule("failing", failures=4, hours=2)
    bad, good = await watch.stations(2)
    nothing = watch.ended(bad, energy_wh=0)
    backwards = watch.ended(
        bad, energy_wh=None, incidents=[Incident(kind="register_backwards", detail="")]
    )
    late = watch.ended(bad)
    opened = IncidentOpened(
        operator_id=watch.id, session_id=late.session_id, station_id=bad,
        incident=Incident(kind="implausible_energy", detail=""),
    )  # fmt: skip
    await watch.handle(opened, nothing, backwards, late)
    again = [one.model_copy(update={"id": uuid7()}) for one in (nothing, opened, backwards)]
    await watch.handle(*again)
    long_ago = watch.ended(bad, energy_wh=0, started_at=ago(hours=4), ended_at=ago(hours=3))
    refused = [watch.ended(good, energy_wh=0, token_status="Blocked") for _ in range(4)]
    await watch.handle(long_ago, *refused, *(watch.ended(good) for _ in range(4)))
    await watch.look()
    assert await watch.alerts() == []
    at = ago(minutes=5)
    fault = await watch.reports(watch.report(bad, "faulted", at))
    await watch.reports(watch.report(bad, "faulted", at + timedelta(minutes=2)))
    await watch.handle(fault.model_copy(update={"id": uuid7()}))
    await watch.look()
    [alert] = await watch.alerts()
    assert (alert["station_id"], alert["detail"]) == (bad, "4")
    await watch.execute("update station_failure set at = at - interval '2 hours'")
    await watch.look()
    assert states(await watch.alerts()) == ["resolved"]


@pytest.mark.parametrize(
    ("energy_wh", "length_s", "stop_reason", "fails"),
    [
        (49, 3600, "Local", True),
        (50, 3600, "Local", False),
        (4000, 59, "EVDisconnected", True),
        (4000, 60, "EVDisconnected", False),
        (49, 59, None, True),
        (49, 3600, "StoppedByEV", True),
        (0, 3600, "SOCLimitReached", False),
        (4000, 59, "EnergyLimitReached", False),
        (None, 3600, "SOCLimitReached", True),
        (4000, -5, "Local", False),
    ],
)
async def test_a_session_that_is_too_little_to_be_charged_for_is_a_failure_unless_it_was_enough(
    watch: Watch, energy_wh: int | None, length_s: int, stop_reason: str | None, fails: bool
) -> None:
    await watch.rule("failing", failures=1)
    station = await watch.station()
    start = ago(hours=2)
    ended = watch.ended(
        station, energy_wh=energy_wh, stop_reason=stop_reason, started_at=start,
        ended_at=start + timedelta(seconds=length_s),
    )  # fmt: skip
    await watch.handle(ended)
    await watch.look()
    assert of_stations(await watch.alerts()) == ({station} if fails else set())


async def test_of_stations_that_nobody_made_nothing_is_kept(watch: Watch) -> None:
    await watch.handle(watch.ended("NOBODYS", energy_wh=0))
    await watch.reports(watch.report("NOBODYS", "faulted", ago(minutes=1)))
    await watch.look()
    assert await watch.alerts() == []


async def test_a_rule_is_of_its_place_alone(watch: Watch) -> None:
    location = await place(watch, "P20")
    here = await watch.station(location_id=location)
    grouped, nested, alone, other = await watch.stations(4)
    outer, inner, another = [
        (await watch.http.post("/v1/station-groups", json={"name": name})).json()["id"]
        for name in ("outer", "inner", "another")
    ]
    groups = "/v1/station-groups"
    for path in (f"{outer}/stations/{grouped}", f"{inner}/stations/{nested}",
                 f"{outer}/groups/{inner}",
        f"{another}/stations/{other}"):  # fmt: skip
        assert (await watch.http.put(f"{groups}/{path}")).status_code == 204
    for name, kind, place_id in (
        ("location", "location", location), ("station", "station", alone),
        ("group", "station_group", outer), ("everywhere", "everywhere", None),
    ):  # fmt: skip
        await watch.rule(name=name, after_s=0, place={"kind": kind, "id": place_id})
    stranger = Watch(watch.registry, watch.box)
    theirs = await stranger.station()
    await stranger.gone(theirs, since=ago(minutes=1))
    await watch.gone(here, grouped, nested, alone, other, since=ago(minutes=1))
    await watch.look()
    found: dict[str, set[str]] = {}
    for one in await watch.alerts():
        found.setdefault(one["rule_name"], set()).add(one["station_id"])
    assert found == {
        "location": {here}, "station": {alone}, "group": {grouped, nested},
        "everywhere": {here, grouped, nested, alone, other},
    }  # fmt: skip
    assert await stranger.alerts() == []
    for one in await watch.alerts(location_id=location):
        assert one["station_id"] == here
    await stranger.http.aclose()


async def test_alerts_of_a_rule_that_is_changed_off_or_gone_end(watch: Watch) -> None:
    rules = [await watch.rule(after_s=0, clear_after_s=3600) for _ in range(3)]
    station = await watch.station()
    await watch.gone(station, since=ago(minutes=1))
    await watch.look()
    off, gone, other = [f"/v1/alert-rules/{rule['id']}" for rule in rules]
    any_version = {"If-Match": "*"}
    await watch.http.patch(off, json={"enabled": False}, headers=any_version)
    assert (await watch.http.delete(gone)).status_code == 204
    await watch.http.patch(other, json={"after_s": 3600, "clear_after_s": 0}, headers=any_version)
    await watch.look()
    assert states(await watch.alerts()) == ["resolved"] * 3
    assert await watch.tell() == 0


async def test_an_alert_is_acknowledged_once_and_told(watch: Watch) -> None:
    await watch.rule(after_s=0)
    first, second = await watch.stations(2)
    await watch.gone(first, second, since=ago(minutes=1))
    await watch.look()
    one, two = await watch.alerts()
    answers = await asyncio.gather(*(watch.acknowledge(one["id"], "on my way") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    done = (await watch.http.get(f"/v1/alerts/{one['id']}")).json()
    assert (done["state"], done["note"], done["acknowledged_by"]) == (
        "acknowledged", "on my way", "test",
    )  # fmt: skip
    assert done["acknowledged_at"]
    assert [each["id"] for each in await watch.alerts(state="acknowledged")] == [one["id"]]
    await watch.back(first, second)
    await watch.look()
    refused = await watch.acknowledge(two["id"])
    assert (refused.status_code, refused.json()["state"]) == (409, "resolved")
    assert (await watch.acknowledge(str(uuid7()))).status_code == 404

    async def told() -> Any:
        return await watch.told(AlertAcknowledged)

    [event] = await eventually(told)
    assert (event["alert_id"], event["note"], event["version"]) == (one["id"], "on my way", 2)


async def test_alerts_are_filtered_paged_and_exported(watch: Watch) -> None:
    await watch.rule(after_s=0, name="=2+2", severity="info")
    stations = await watch.stations(3)
    await watch.gone(*stations, since=ago(minutes=1))
    await watch.look()
    await watch.back(stations[0])
    await watch.look()
    first = (await watch.http.get("/v1/alerts", params={"limit": 2})).json()
    rest = (await watch.http.get("/v1/alerts", params={"cursor": first["next_cursor"]})).json()
    ids = [one["id"] for one in first["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3
    moment = (await watch.alerts())[0]["raised_at"]
    for filters, count in (
        ({"state": "open"}, 2), ({"state": "resolved"}, 1), ({"severity": "info"}, 3),
        ({"severity": "critical"}, 0), ({"kind": "unused"}, 0), ({"station_id": stations[1]}, 1),
        ({"raised_from": moment}, 3), ({"raised_until": moment}, 0), ({"rule_id": str(uuid7())}, 0),
    ):  # fmt: skip
        assert len(await watch.alerts(**filters)) == count, filters
    file = await watch.http.get("/v1/alerts/export", params={"state": "resolved"})
    header, row = file.content.decode("utf-8-sig").splitlines()
    assert header.startswith("id;rule_id;rule_name;kind;severity;station_id;evse_id;")
    assert row.split(";")[2] == "'=2+2"
    sheet = await watch.http.get("/v1/alerts/export", params={"format": "xlsx"})
    assert sheet.content.startswith(b"PK")


async def test_staff_of_one_location_sees_its_alerts_and_its_rules_alone(watch: Watch) -> None:
    mine, other = await place(watch, "mine"), await place(watch, "other")
    here, there = [await watch.station(location_id=one) for one in (mine, other)]
    for name, kind, place_id in (
        ("of the place", "location", mine), ("of the station", "station", here),
        ("of another place", "location", other), ("of another station", "station", there),
        ("everywhere", "everywhere", None),
    ):  # fmt: skip
        url = "https://hook.example/"
        await watch.rule(
            name=name, after_s=0, place={"kind": kind, "id": place_id}, webhook_url=url
        )
    await watch.gone(here, there, since=ago(minutes=1))
    await watch.look()
    async with watch.limited(mine) as limited:
        rules = (await limited.get("/v1/alert-rules")).json()["items"]
        assert {rule["name"] for rule in rules} == {"of the place", "of the station"}
        assert {rule["webhook_url"] for rule in rules} == {"https://hook.example/"}
        seen = (await limited.get("/v1/alerts")).json()["items"]
        assert {(one["rule_name"], one["station_id"]) for one in seen} == {
            ("of the place", here), ("of the station", here), ("everywhere", here),
        }  # fmt: skip
        for one in seen:
            done = await limited.post(f"/v1/alerts/{one['id']}/acknowledge", json={})
            assert done.status_code == 200
        [elsewhere, *_] = await watch.alerts(station_id=there)
        path = f"/v1/alerts/{elsewhere['id']}"
        assert (await limited.get(path)).status_code == 404
        assert (await limited.post(f"{path}/acknowledge", json={})).status_code == 404
        body = {"name": "new", "kind": "unused", "days": 3}
        for where, status in (
            ({"kind": "location", "id": mine}, 201), ({"kind": "location", "id": other}, 422),
            ({"kind": "station", "id": there}, 422), ({"kind": "everywhere"}, 403),
        ):  # fmt: skip
            made = await limited.post("/v1/alert-rules", json=body | {"place": where})
            assert made.status_code == status, made.text
        assert made.json()["type"] == OUTSIDE
