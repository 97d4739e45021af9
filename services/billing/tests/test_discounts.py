"""Discounts and price events: drafted, activated, ended, and found by sessions that begin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from billing.discounts.finding import applicable
from billing.rating.model import Modifier
from common.authorize import Holder
from common.clock import now
from common.events import (
    OperatorChanged,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
    UserChanged,
    UserGroupChanged,
)
from common.ids import uuid7
from common.places import names_of
from services.billing.tests.conftest import Billing

SCOPES = ("discounts:read", "discounts:write", "price-events:read", "price-events:write")
PERCENT = {"name": "Ten", "kind": "percent", "amount": "10"}
ANY = {"If-Match": "*"}
HERE = uuid7()


def as_staff(billing: Billing, *scopes: str, **more: Any) -> httpx.AsyncClient:
    headers = billing.issuer.headers(billing.operator_id, *(scopes or SCOPES), **more)
    return httpx.AsyncClient(base_url=str(billing.http.base_url), headers=headers, timeout=20)


async def made(billing: Billing, path: str = "discounts", **fields: Any) -> dict[str, Any]:
    async with as_staff(billing) as staff:
        answer = await staff.post(f"/v1/{path}", json=PERCENT | fields)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def active(billing: Billing, path: str = "discounts", **fields: Any) -> dict[str, Any]:
    draft = await made(billing, path, **fields)
    async with as_staff(billing) as staff:
        answer = await staff.post(f"/v1/{path}/{draft['id']}/activate", headers=ANY)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def people(billing: Billing, users: Sequence[UUID], groups: Sequence[UUID] = ()) -> None:
    """The operator has them."""
    of: dict[str, Any] = {"operator_id": billing.operator_id, "version": 1}
    await billing.handle(
        *(UserChanged(**of, user_id=one, name="U", active=True) for one in users),
        *(UserGroupChanged(**of, group_id=one, name=str(one)) for one in groups),
    )


@dataclass(frozen=True)
class Asked:
    operator_id: UUID
    station_id: str
    at: datetime
    card_id: UUID | None = None
    user_id: UUID | None = None
    holder: Holder | None = None


async def found_by(
    billing: Billing,
    *,
    station: str = "CP-1",
    groups: tuple[UUID, ...] = (),
    strategy_id: UUID | None = None,
    currency: str = "EUR",
    **fields: Any,
) -> tuple[Modifier, ...]:
    """Of a session that begins in a minute."""
    asked = Asked(billing.operator_id, station, **({"at": now() + timedelta(minutes=1)} | fields))
    async with billing.app.state.connections.begin(billing.operator_id) as db:
        found = await applicable(
            db, asked, names=names_of(station, billing.here, groups), time_zone="Europe/Berlin",
            strategy_id=strategy_id, currency=currency,
        )  # fmt: skip
        return found.modifiers


@pytest.fixture
async def station(billing: Billing) -> str:
    """Of an operator in Berlin, in a group."""
    station_id = f"CP-{billing.operator_id}"
    await billing.handle(
        OperatorChanged(
            operator_id=billing.operator_id, version=1, name="O", time_zone="Europe/Berlin",
            currency="EUR",
        ),
        StationChanged(
            operator_id=billing.operator_id, station_id=station_id, version=1, name="S",
            active=True, evses=(), location_id=billing.here,
        ),
        billing.opened(),
    )  # fmt: skip
    return station_id


async def test_a_draft_is_rewritten_activated_and_then_only_ended(billing: Billing) -> None:
    draft = await made(billing)
    path = f"/v1/discounts/{draft['id']}"
    assert (draft["state"], draft["version"], draft["components"]) == ("draft", 1, ["ENERGY"])
    assert await found_by(billing) == ()
    async with as_staff(billing) as staff:
        assert (await staff.put(path, json=PERCENT | {"amount": "5"})).status_code == 428
        match = {"If-Match": '"1"'}
        written = await staff.put(path, json=PERCENT | {"amount": "5"}, headers=match)
        assert written.json() == draft | {"amount": "5", "version": 2}, written.text
        assert (await staff.put(path, json=PERCENT, headers=match)).status_code == 412
        assert (await staff.post(f"{path}/activate", headers=match)).status_code == 412
        begun = await staff.post(f"{path}/activate", headers={"If-Match": '"2"'})
        assert (begun.json()["state"], begun.headers["etag"]) == ("active", '"3"')
        assert [one.id for one in await found_by(billing)] == [UUID(draft["id"])]
        for refused in (
            await staff.put(path, json=PERCENT, headers=ANY),
            await staff.delete(path, headers=ANY),
            await staff.post(f"{path}/activate", headers=ANY),
        ):
            assert refused.json()["type"].endswith("discount-not-a-draft"), refused.text
        end = await staff.post(f"{path}/end", json={}, headers=ANY)
        assert end.json()["state"] == "ended"
        again = await staff.post(f"{path}/end", json={}, headers=ANY)
        assert again.json()["type"].endswith("discount-not-active")
        assert (await staff.get(path)).json() == end.json()
    assert await found_by(billing) == ()
    # Who began before it ended had it, however late that is told.
    before = datetime.fromisoformat(begun.json()["activated_at"])
    assert len(await found_by(billing, at=before)) == 1
    assert await found_by(billing, at=before - timedelta(milliseconds=1)) == ()


async def test_a_draft_may_be_deleted_and_is_not_ended(billing: Billing) -> None:
    draft = await made(billing, "price-events", valid_from="2030-06-01T12:00",
                       valid_until="2030-06-01T18:00")  # fmt: skip
    path = f"/v1/price-events/{draft['id']}"
    async with as_staff(billing) as staff:
        # It is no discount.
        assert (await staff.get(f"/v1/discounts/{draft['id']}")).status_code == 404
        refused = await staff.post(f"{path}/end", json={}, headers=ANY)
        assert refused.json()["type"].endswith("discount-not-active")
        assert (await staff.delete(path, headers=ANY)).status_code == 204
        assert (await staff.get(path)).status_code == 404


async def test_an_end_may_be_set_ahead_and_then_only_earlier(billing: Billing) -> None:
    one = await active(billing, valid_until="2040-01-01T00:00")
    path = f"/v1/discounts/{one['id']}/end"
    tomorrow, later = now() + timedelta(days=1), now() + timedelta(days=2)
    async with as_staff(billing) as staff:

        async def end(at: datetime) -> httpx.Response:
            return await staff.post(path, json={"at": at.isoformat()}, headers=ANY)

        past = await end(now() - timedelta(seconds=1))
        assert past.json()["type"].endswith("discount-ends-in-the-past")
        beyond = await end(datetime(2040, 1, 1, tzinfo=UTC))
        assert beyond.json()["type"].endswith("discount-ends-later")
        assert (await end(later)).json()["state"] == "active"
        assert (await end(tomorrow)).json()["state"] == "active"
        assert (await end(later)).json()["type"].endswith("discount-ends-later")
    [found] = await found_by(billing)
    assert found.window.until_at == tomorrow
    assert await found_by(billing, at=tomorrow) == ()


async def test_what_ended_by_its_own_time_is_not_activated(billing: Billing) -> None:
    over = await made(billing, valid_until="2020-01-01T00:00")
    async with as_staff(billing) as staff:
        answer = await staff.post(f"/v1/discounts/{over['id']}/activate", headers=ANY)
        assert answer.json()["type"].endswith("discount-ends-in-the-past")
        assert (await staff.get(f"/v1/discounts/{over['id']}")).json() == over


async def test_the_list_is_by_state_and_strategy(billing: Billing) -> None:
    strategy = uuid7()
    draft = await made(billing, name="draft")
    running = await active(billing, name="active")
    ended = await active(billing, name="ended")
    event = await made(billing, "price-events", valid_from="2030-06-01T12:00",
                       valid_until="2030-06-01T18:00")  # fmt: skip
    async with as_staff(billing) as staff:
        await staff.post(f"/v1/discounts/{ended['id']}/end", json={}, headers=ANY)

        async def listed(path: str = "discounts", **query: Any) -> list[str]:
            answer = await staff.get(f"/v1/{path}", params=query)
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["items"]]

        assert await listed() == [ended["id"], running["id"], draft["id"]]
        for state, one in (("draft", draft), ("active", running), ("ended", ended)):
            assert await listed(state=state) == [one["id"]]
        assert await listed(strategy_id=str(strategy)) == []
        assert await listed("price-events") == [event["id"]]
        page = (await staff.get("/v1/discounts", params={"limit": 2})).json()
        rest = await listed(limit=2, cursor=page["next_cursor"])
        assert rest == [draft["id"]]
    rival = Billing.of(billing)
    async with as_staff(rival) as other:
        assert (await other.get("/v1/discounts")).json()["items"] == []
        assert (await other.get(f"/v1/discounts/{draft['id']}")).status_code == 404


FAULTS: list[dict[str, Any]] = [
    {"amount": "0"},
    {"amount": "100.1"},
    {"amount": 10},
    {"amount": "-1"},
    {"currency": "EUR"},
    {"kind": "free", "amount": "1"},
    {"kind": "absolute", "amount": "0.05"},
    {"kind": "price", "currency": None},
    {"kind": "absolute", "currency": "EUR", "amount": "1", "components": ["ENERGY", "TIME"]},
    {"components": []},
    {"components": ["ENERGY", "ENERGY"]},
    {"places": []},
    {"places": [{"kind": "station"}]},
    {"people": [{"kind": "user"}]},
    {"valid_from": "2026-06-01T12:00", "valid_until": "2026-06-01T12:00"},
    {"valid_from": "2026-06-01T12:00Z"},
    {"valid_from": "0001-01-01T00:00"},
    {"time_from": "12:00"},
    {"time_from": "12:00", "time_until": "12:00"},
    {"time_from": "24:00", "time_until": "12:00"},
    {"weekdays": ["mo", "mo"]},
    {"weekdays": ["Monday"]},
    {"quota": {"unit": "kwh", "size": "0", "per": "total"}},
    {"quota": {"unit": "sessions", "size": "1.5", "per": "total"}},
    {"quota": {"unit": "sessions", "size": "1", "per": "session"}},
    {"quota": {"unit": "minutes", "size": "1", "per": "total"}},
    {"quota": {"unit": "amount", "size": "1", "per": "total"}},
    {"components": ["FLAT"], "quota": {"unit": "kwh", "size": "1", "per": "total"}},
    {"priority": 2000},
    {"name": "a\x00b"},
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_what_has_no_meaning_is_refused(billing: Billing, fault: dict[str, Any]) -> None:
    async with as_staff(billing) as staff:
        answer = await staff.post("/v1/discounts", json=PERCENT | fault)
        assert answer.status_code == 422, answer.text
        assert answer.json()["type"].endswith("invalid-request")
        assert (await staff.get("/v1/discounts")).json()["items"] == []


async def test_an_event_has_a_time(billing: Billing) -> None:
    async with as_staff(billing) as staff:
        for times in ({}, {"valid_from": "2030-01-01T00:00"}, {"valid_until": "2030-01-01T00:00"}):
            answer = await staff.post("/v1/price-events", json=PERCENT | times)
            assert answer.status_code == 422


async def test_what_it_names_must_be_there_and_staff_see_every_location(
    billing: Billing, station: str
) -> None:
    group = uuid7()
    faults = [
        [{"kind": "station", "id": "NOWHERE"}],
        [{"kind": "station_group", "id": str(group)}],
    ]
    rival = Billing.of(billing)
    await billing.handle(rival.opened())
    async with as_staff(billing) as staff:
        for places in faults:
            answer = await staff.post("/v1/discounts", json=PERCENT | {"places": places})
            assert answer.json()["type"].endswith("unknown-station"), answer.text
        for location in (uuid7(), rival.here):
            places = [{"kind": "location", "id": str(location)}]
            answer = await staff.post("/v1/discounts", json=PERCENT | {"places": places})
            assert answer.json()["type"].endswith("unknown-location"), answer.text
        for kind in ("user", "user_group"):
            nobody = {"people": [{"kind": kind, "id": str(uuid7())}]}
            answer = await staff.post("/v1/discounts", json=PERCENT | nobody)
            assert answer.json()["type"].endswith("unknown-holder"), answer.text
        answer = await staff.post("/v1/discounts", json=PERCENT | {"strategy_id": str(uuid7())})
        assert answer.json()["type"].endswith("unknown-strategy"), answer.text
    of_group: dict[str, Any] = {"operator_id": billing.operator_id, "group_id": group, "version": 1}
    await billing.handle(
        StationGroupChanged(**of_group, name="Fast"),
        StationGroupMembersChanged(**of_group, added=(station,)),
    )
    places = [{"kind": "station", "id": station}, {"kind": "station_group", "id": str(group)}]
    one = await made(billing, places=places)
    assert one["places"] == places
    async with as_staff(billing, locations=[str(HERE)]) as some:
        assert (await some.get(f"/v1/discounts/{one['id']}")).status_code == 200
        for refused in (
            await some.post("/v1/discounts", json=PERCENT),
            await some.post(f"/v1/discounts/{one['id']}/activate", headers=ANY),
        ):
            assert refused.json()["type"].endswith("discounts-of-every-location")
    async with as_staff(billing, "discounts:read") as reader:
        assert (await reader.post("/v1/discounts", json=PERCENT)).status_code == 403


async def test_a_session_finds_what_names_it(billing: Billing) -> None:
    user, group, cars, strategy = (uuid7() for _ in range(4))
    await people(billing, [user], [group])
    everybody = await active(billing, name="everybody")
    of_user = await active(billing, name="u", people=[{"kind": "user", "id": str(user)}])
    of_group = await active(billing, name="g", people=[{"kind": "user_group", "id": str(group)}])
    await billing.handle(billing.opened())
    of_place = await active(
        billing, name="p", places=[{"kind": "location", "id": str(billing.here)}]
    )
    absolute = await active(billing, name="a", kind="absolute", amount="0.05", currency="EUR")
    holder = Holder(user_group_ids=(group,))

    async def names(**asked: Any) -> set[str]:
        return {one.name for one in await found_by(billing, **asked)}

    assert await names() == {"everybody", "p", "a"}
    assert await names(currency="CHF") == {"everybody", "p"}
    assert await names(user_id=user) == {"everybody", "p", "a", "u"}
    assert await names(user_id=uuid7(), holder=holder) == {"everybody", "p", "a", "g"}
    found = {one.name: one for one in await found_by(billing, user_id=user, holder=holder)}
    assert {name: one.scope for name, one in found.items()} == {
        "everybody": "user_group", "u": "user", "g": "user_group", "p": "station_group",
        "a": "user_group",
    }  # fmt: skip
    assert str(found["a"].amount) == "0.05"
    ids = {everybody["id"], of_user["id"], of_group["id"], of_place["id"], absolute["id"]}
    assert {str(one.id) for one in found.values()} == ids
    assert await found_by(Billing.of(billing), user_id=user, holder=holder) == ()
    assert await names(strategy_id=strategy, groups=(cars,)) == {"everybody", "p", "a"}


async def test_an_event_reaches_a_session_that_begins_before_it(
    billing: Billing, station: str
) -> None:
    tomorrow = (now() + timedelta(days=1)).date()
    event = await active(
        billing, "price-events", kind="free", amount="0",
        valid_from=f"{tomorrow}T12:00", valid_until=f"{tomorrow}T18:00",
    )  # fmt: skip
    assert event["amount"] == "0"
    [found] = await found_by(billing)
    assert found.window.from_at is not None and found.window.until_at is not None
    assert found.window.until_at - found.window.from_at == timedelta(hours=6)
    assert found.window.from_at.astimezone(UTC).hour in (10, 11)  # 12:00 in Berlin
    assert found.scope == "event"
