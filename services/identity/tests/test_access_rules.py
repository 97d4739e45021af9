"""Access rules: a pure judge against a naive one, and the decision that explains itself."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from stack import Running, eventually

from common.clock import now
from common.events import (
    RecordClosed,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
)
from identity.access.rules import Rule, RuleBook, Window, judge

from .support import ALL, made, new_operator, problem
from .test_authorizations import ask, gateway, priced, tariff

__all__ = ["gateway", "priced"]  # fixtures

SCOPES = (
    *ALL, "access-rules:read", "access-rules:write", "user-groups:read", "user-groups:write",
    "companies:read", "companies:write",
)  # fmt: skip
MONDAY = date(2026, 3, 2)
HOLDERS = [("everybody", ""), ("card", "1"), ("company", "2")]
PLACES = [("everywhere", ""), ("station", "A"), ("station_group", "G"), ("location", "L")]

windows = st.builds(
    Window,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    begin=st.integers(0, 23).map(lambda hour: hour * 60) | st.integers(0, 1439),
    end=st.integers(0, 23).map(lambda hour: hour * 60) | st.integers(0, 1439),
)
days = st.none() | st.integers(-3, 10).map(lambda more: MONDAY + timedelta(days=more))
rules = st.builds(
    Rule,
    name=st.sampled_from("ab"),
    effect=st.sampled_from(["deny", "reserve", "confine"]),
    holders=st.frozensets(st.sampled_from(HOLDERS), min_size=1),
    places=st.frozensets(st.sampled_from(PLACES), min_size=1),
    windows=st.lists(windows, max_size=2).map(tuple),
    valid_from=days,
    valid_until=days,
)
minutes = st.integers(0, 8 * 1440 - 1)


def minutes_in_force(rule: Rule) -> set[int]:
    """Naive: every minute around the week from Monday on, one by one."""
    found = set()
    for day in range(-1, 9):
        today = MONDAY + timedelta(days=day)
        if (rule.valid_from and today < rule.valid_from) or (
            rule.valid_until and today > rule.valid_until
        ):
            continue
        if not rule.windows:
            found |= set(range(day * 1440, (day + 1) * 1440))
        for window in rule.windows:
            if today.weekday() in window.days:
                minute = window.begin
                while True:
                    found.add(day * 1440 + minute)
                    minute += 1
                    if minute % 1440 == window.end:
                        break
    return found


def naive(found: list[Rule], holder: set[Any], place: set[Any], minute: int) -> bool:
    forces = [minute in minutes_in_force(rule) for rule in found]
    meant = [bool(rule.holders & holder) for rule in found]
    here = [bool(rule.places & place) for rule in found]
    numbers = range(len(found))
    kinds = [rule.effect for rule in found]
    if any(kinds[n] == "deny" and forces[n] and meant[n] and here[n] for n in numbers):
        return False
    reserving = [n for n in numbers if kinds[n] == "reserve" and forces[n] and here[n]]
    if reserving and not [n for n in reserving if meant[n]]:
        return False
    confining = [n for n in numbers if kinds[n] == "confine" and meant[n]]
    return not confining or any(forces[n] and here[n] for n in confining)


@given(
    st.lists(rules, max_size=4),
    st.sets(st.sampled_from(HOLDERS[1:])),
    st.sets(st.sampled_from(PLACES[1:])),
    minutes,
)
def test_the_judge_agrees_with_a_naive_one(
    found: list[Rule], holder: set[Any], place: set[Any], minute: int
) -> None:
    holder, place = holder | {HOLDERS[0]}, place | {PLACES[0]}
    local = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=minute)
    judged = judge(RuleBook(found), frozenset(holder), frozenset(place), local)
    assert judged.allowed == naive(found, holder, place, minute)
    assert judged.why.endswith(".")


async def station_at(identity: Running, operator: UUID, location: UUID | None) -> str:
    station = f"S-{uuid4().hex[:8]}"
    await identity.publish(
        StationChanged(
            operator_id=operator, station_id=station, version=1, name="x",
            location_id=location, active=True, evses=(),
        )
    )  # fmt: skip
    return station


async def test_a_rule_counts_from_the_next_card_on_and_says_why(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    location = uuid4()
    station = await station_at(identity, priced, location)
    uid = uuid4().hex[:12].upper()
    async with identity.as_(priced, *SCOPES) as staff:
        group = await made(staff, "/v1/user-groups", name=uuid4().hex)
        user = await made(staff, "/v1/users", name="Ada")
        card = await made(staff, "/v1/cards", uid=uid, user_id=user["id"])
        await staff.post(f"/v1/user-groups/{group['id']}/members", json={"user_ids": [user["id"]]})
        body = {
            "name": f"night {uid}", "effect": "deny",
            "holders": [{"kind": "user_group", "id": group["id"]}],
            "places": [{"kind": "location", "id": str(location)}],
        }  # fmt: skip
        tried = {"station_id": station, "id_token": uid}

        async def allowed(**more: Any) -> Any:
            return (await staff.post("/v1/authorizations", json=tried | more)).json()

        assert (await allowed())["status"] == "Accepted"
        rule = await made(staff, "/v1/access-rules", **body)

        async def refused() -> Any:  # the station's place comes as an event
            answer = await allowed()
            return answer if answer["status"] == "Blocked" else None

        answer = await eventually(refused)
        assert answer["why"] == f"The rule “night {uid}” denies it."
        assert answer["holder"]["user_group_ids"] == [group["id"]]
        failed = [step["check"] for step in answer["steps"] if step["status"] != "Accepted"]
        assert failed == ["rules"]
        path = f"/v1/access-rules/{rule['id']}"
        window = {"days": ["mo"], "begin": "22:00", "end": "06:00"}
        changed = await staff.patch(path, json={"windows": [window]}, headers={"If-Match": '"1"'})
        assert changed.status_code == 200, changed.text
        berlin = ZoneInfo("Europe/Berlin")
        for moment, status in (
            (datetime(2026, 3, 2, 21, 59, tzinfo=berlin), "Accepted"),
            (datetime(2026, 3, 2, 22, 0, tzinfo=berlin), "Blocked"),
            (datetime(2026, 3, 3, 5, 59, tzinfo=berlin), "Blocked"),
            (datetime(2026, 3, 3, 6, 0, tzinfo=berlin), "Accepted"),
        ):
            at = moment.isoformat()
            answer = await allowed(at=at)
            # No tariff was valid then; the rules are looked at before it.
            steps = {step["check"]: step["status"] for step in answer["steps"]}
            assert steps["rules"] == status, at
        off = await staff.patch(path, json={"windows": []}, headers={"If-Match": '"2"'})
        assert off.status_code == 200
        assert (await allowed())["status"] == "Blocked"
        assert (await staff.delete(path, headers={"If-Match": '"3"'})).status_code == 204
        assert (await allowed())["status"] == "Accepted"
        assert (await allowed())["card_id"] == card["id"]


class Group:
    """A station group as registry tells of it."""

    def __init__(self, identity: Running, operator: UUID) -> None:
        self.identity = identity
        self.operator = operator
        self.id = uuid4()

    def changed(self, version: int, *, deleted: bool = False) -> StationGroupChanged:
        return StationGroupChanged(
            operator_id=self.operator, group_id=self.id, version=version, name="Level 2",
            deleted=deleted,
        )  # fmt: skip

    def members(
        self, version: int, *, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()
    ) -> StationGroupMembersChanged:
        return StationGroupMembersChanged(
            operator_id=self.operator, group_id=self.id, version=version, added=added,
            removed=removed,
        )  # fmt: skip


async def denying(staff: httpx.AsyncClient, name: str, group: UUID) -> dict[str, Any]:
    """A rule of a group that identity hears of only in a moment."""
    body = {
        "name": name, "effect": "deny", "holders": [{"kind": "everybody"}],
        "places": [{"kind": "station_group", "id": str(group)}],
    }  # fmt: skip

    async def made_now() -> Any:
        answer = await staff.post("/v1/access-rules", json=body)
        return answer.json() if answer.status_code == 201 else None

    return dict(await eventually(made_now))


async def test_a_rule_of_a_station_group_follows_its_stations_in_whatever_order_they_are_told(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    group, uid = Group(identity, priced), uuid4().hex[:12].upper()
    station, other, late = (f"{name}-{uuid4().hex[:8]}" for name in "SOL")
    # Out before it was in, and who is in it before there is a group.
    await identity.publish(group.members(3, removed=(late,)), group.members(2, added=(late,)))
    await identity.publish(group.members(1, added=(station, other)), group.changed(1))
    async with identity.as_(priced, *SCOPES) as staff:
        await made(staff, "/v1/cards", uid=uid)
        rule = await denying(staff, f"level {uid}", group.id)
        assert rule["deleted_station_groups"] == []

        async def says(at: str) -> str:
            answer = await staff.post(
                "/v1/authorizations", json={"station_id": at, "id_token": uid}
            )
            return str(answer.json()["status"])

        async def all_told() -> bool:
            return [await says(at) for at in (station, other, late)] == [
                "Blocked", "Blocked", "Accepted",
            ]  # fmt: skip

        await eventually(all_told)
        await identity.publish(group.members(4, removed=(other,)))

        async def out() -> bool:
            return await says(other) == "Accepted"

        await eventually(out)
        assert await says(station) == "Blocked"
        # Somebody else's group of the same id, if there were one, means nothing here.
        stranger = await new_operator(identity)
        async with identity.as_(stranger, *SCOPES) as rival:
            body = {"name": "x", "effect": "deny", "holders": [{"kind": "everybody"}]}
            place = {"kind": "station_group", "id": str(group.id)}
            refused = await rival.post("/v1/access-rules", json=body | {"places": [place]})
            problem(refused, 422, "unknown-place")


async def test_a_user_group_that_a_rule_names_is_not_deleted(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(
        operator,
        *ALL,
        "user-groups:read",
        "user-groups:write",
        "access-rules:read",
        "access-rules:write",
    ) as staff:
        group = await made(staff, "/v1/user-groups", name="Guests")
        rule = await made(
            staff, "/v1/access-rules", name="no guests", effect="deny", active=False,
            holders=[{"kind": "user_group", "id": group["id"]}], places=[{"kind": "everywhere"}],
        )  # fmt: skip
        path, match = f"/v1/user-groups/{group['id']}", {"If-Match": "*"}
        refused = await staff.delete(path, headers=match)
        problem(refused, 409, "group-in-rules")
        assert refused.json()["rules"] == ["no guests"]
        assert (await staff.get(path)).json()["version"] == 1
        await staff.delete(f"/v1/access-rules/{rule['id']}", headers=match)
        assert (await staff.delete(path, headers=match)).status_code == 204


async def test_a_rule_whose_station_group_is_deleted_goes_on_for_its_last_stations(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    group, uid, station = Group(identity, priced), uuid4().hex[:12].upper(), uuid4().hex[:12]
    await identity.publish(group.changed(1), group.members(1, added=(station,)))
    async with identity.as_(priced, *SCOPES) as staff:
        await made(staff, "/v1/cards", uid=uid)
        rule = await denying(staff, f"level {uid}", group.id)
        path = f"/v1/access-rules/{rule['id']}"
        await identity.publish(group.changed(2, deleted=True), group.changed(1))

        async def gone() -> bool:
            shown = (await staff.get(path)).json()["deleted_station_groups"]
            return bool(shown == [str(group.id)])

        await eventually(gone)
        listed = await staff.get("/v1/access-rules", params={"name": rule["name"]})
        assert listed.json()["items"][0]["deleted_station_groups"] == [str(group.id)]
        tried = {"station_id": station, "id_token": uid}
        answer = (await staff.post("/v1/authorizations", json=tried)).json()
        assert (answer["status"], answer["why"]) == (
            "Blocked", f"The rule “level {uid}” denies it.",
        )  # fmt: skip
        again = {"name": "again", "places": rule["places"]}
        problem(await staff.post("/v1/access-rules", json=rule_in(rule) | again), 422, NOWHERE)
        based = {"If-Match": '"1"'}
        same = await staff.patch(path, json={"places": rule["places"]}, headers=based)
        problem(same, 422, NOWHERE)
        off = await staff.patch(path, json={"active": False}, headers=based)
        assert off.json()["deleted_station_groups"] == [str(group.id)]
        assert (await staff.post("/v1/authorizations", json=tried)).json()["status"] == "Accepted"


NOWHERE = "unknown-place"


def rule_in(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: rule[name] for name in ("effect", "holders", "places")}


async def test_a_card_beyond_its_cap_is_refused_until_the_month_ends(
    identity: Running, gateway: Client, priced: UUID
) -> None:
    uid = uuid4().hex[:12].upper()
    async with identity.as_(priced, *SCOPES) as staff:
        card = await made(staff, "/v1/cards", uid=uid, monthly_cap="20.00")
    record: dict[str, Any] = {
        "operator_id": priced, "record_id": uuid4(), "session_id": uuid4(), "station_id": "CP-1",
        "evse_id": 1, "card_id": card["id"], "user_id": None, "started_at": now(),
        "ended_at": now(), "time_zone": "Europe/Berlin", "energy_wh": 1, "currency": "EUR",
        "total_gross": "12.50", "total_net": "10.50", "vat": "2",
    }  # fmt: skip
    first = RecordClosed(**record)
    long_ago = record | {"ended_at": now() - timedelta(days=62), "total_gross": "500"}
    await identity.publish(first, first, RecordClosed(**long_ago))
    assert (await ask(gateway, priced, uid)).status == "Accepted"
    await identity.publish(RecordClosed(**record | {"total_gross": "7.50"}))

    async def refused() -> Any:
        answer = await ask(gateway, priced, uid)
        return answer if answer.status == "Blocked" else None

    answer = await eventually(refused)
    assert answer.why == "The card has spent 20.00 of the 20.00 it may in a month."


async def test_an_inactive_operator_or_company_charges_nowhere(
    identity: Running, gateway: Client
) -> None:
    operator = await new_operator(identity)
    await identity.publish(tariff(operator))
    uid = uuid4().hex[:12].upper()
    async with identity.as_(operator, *SCOPES) as staff:
        company = await made(staff, "/v1/companies", name="Acme")
        await made(staff, "/v1/cards", uid=uid, company_id=company["id"])

        async def good() -> Any:
            return (await ask(gateway, operator, uid)).status == "Accepted"

        await eventually(good)
        path = f"/v1/companies/{company['id']}"
        await staff.patch(path, json={"active": False}, headers={"If-Match": '"1"'})
        assert (await ask(gateway, operator, uid)).why == "The card's company is not active."
    async with identity.as_(None, "operators:write") as platform:
        off = {"active": False}
        path = f"/v1/operators/{operator}"
        await platform.patch(path, json=off, headers={"If-Match": '"1"'})
    assert (await ask(gateway, operator, uid)).why == "The operator is not active."


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"holders": [{"kind": "card", "id": str(uuid4())}]}, "unknown-holder"),
        ({"places": [{"kind": "station", "id": "NOWHERE"}]}, "unknown-place"),
        ({"holders": [{"kind": "everybody", "id": str(uuid4())}]}, "invalid-request"),
        ({"places": [{"kind": "station_group", "id": str(uuid4())}]}, "unknown-place"),
        ({"places": [{"kind": "location", "id": "x"}]}, "invalid-request"),
        ({"places": [{"kind": "station_group", "id": "x"}]}, "invalid-request"),
        ({"windows": [{"days": ["mo"], "begin": "24:00", "end": "06:00"}]}, "invalid-request"),
        ({"holders": []}, "invalid-request"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(
    identity: Running, operator: UUID, change: dict[str, Any], name: str
) -> None:
    body = {
        "name": "x", "effect": "deny", "holders": [{"kind": "everybody"}],
        "places": [{"kind": "everywhere"}],
    }  # fmt: skip
    async with identity.as_(operator, *SCOPES) as staff:
        problem(await staff.post("/v1/access-rules", json=body | change), 422, name)
        await made(staff, "/v1/access-rules", **body)
        problem(await staff.post("/v1/access-rules", json=body), 409, "rule-name-taken")
    async with identity.as_(operator, *SCOPES, locations=[str(uuid4())]) as limited:
        refused = await limited.post("/v1/access-rules", json=body | {"name": "y"})
        problem(refused, 403, "rules-of-every-location")
