"""Agreements with partners: kept by staff, told, and the price of their sessions."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.pricing.choosing import Agreed
from common.authorize import Holder
from common.closest import chosen
from common.events import (
    AgreementChanged,
    OperatorChanged,
    PartnerChanged,
    StationChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
)
from common.ids import uuid7
from common.places import names_of
from services.billing.tests.conftest import Billing

STAFF = ("agreements:read", "agreements:write", "tariffs:read", "tariffs:write")
HERE = uuid7()


def as_staff(billing: Billing, *scopes: str, **more: Any) -> httpx.AsyncClient:
    headers = billing.issuer.headers(billing.operator_id, *(scopes or STAFF), **more)
    return httpx.AsyncClient(base_url=str(billing.http.base_url), headers=headers, timeout=20)


@pytest.fixture
async def partner(billing: Billing) -> UUID:
    """Of an operator with a station in a location, and a tariff of its own."""
    partner_id = uuid7()
    await billing.handle(
        OperatorChanged(
            operator_id=billing.operator_id, version=1, name="O", time_zone="Europe/Berlin",
            currency="EUR",
        ),
        PartnerChanged(
            operator_id=billing.operator_id, partner_id=partner_id, version=1, name="Cambio",
            active=True,
        ),
        StationChanged(
            operator_id=billing.operator_id, station_id=f"CP-{billing.operator_id}", version=1,
            name="S", active=True, evses=(), location_id=billing.here,
        ),
        billing.opened(),
    )  # fmt: skip
    await billing.tariff()
    return partner_id


async def agreement(billing: Billing, partner: UUID, **fields: Any) -> dict[str, Any]:
    body = {"partner_id": str(partner), "name": "All", "places": [{"kind": "everywhere"}]}
    async with as_staff(billing) as staff:
        answer = await staff.post("/v1/agreements", json=body | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def agreed_tariff(billing: Billing, price: str) -> str:
    return str((await billing.tariff(energy_price=price, name=price, agreed_only=True))["id"])


async def charged(billing: Billing, holder: Holder | None, **fields: Any) -> dict[str, Any]:
    """The record of 10 kWh."""
    facts: dict[str, Any] = {"station_id": f"CP-{billing.operator_id}", "holder": holder}
    end = billing.ended(**facts | fields)
    await billing.handle(end)
    record = await billing.record(end.session_id)
    assert record is not None
    return record


async def test_an_agreements_price_is_that_of_its_partners_sessions_alone(
    billing: Billing, partner: UUID
) -> None:
    cheap = await agreed_tariff(billing, "0.20")
    made = await agreement(billing, partner, tariff_id=cheap)
    theirs = await charged(billing, Holder(partner_id=partner))
    assert (theirs["total_gross"]["amount"], theirs["agreement_id"]) == ("2.00", made["id"])
    assert theirs["holder"]["partner_id"] == str(partner)
    for holder in (None, Holder(), Holder(partner_id=uuid7())):
        other = await charged(billing, holder)
        assert (other["total_gross"]["amount"], other["agreement_id"]) == ("4.90", None)
    listed = await billing.get("records", partner_id=partner)
    assert [one["id"] for one in listed["items"]] == [theirs["id"]]
    sessions = await billing.get("sessions", partner_id=partner)
    assert [one["agreement_id"] for one in sessions["items"]] == [made["id"]]


async def test_the_closest_place_decides_and_without_a_tariff_it_is_the_operators_own(
    billing: Billing, partner: UUID
) -> None:
    station = f"CP-{billing.operator_id}"
    tariffs = [await agreed_tariff(billing, price) for price in ("0.10", "0.20")]
    everywhere = await agreement(billing, partner, tariff_id=tariffs[0])
    location = {"places": [{"kind": "location", "id": str(billing.here)}], "name": "Here"}
    here = await agreement(billing, partner, tariff_id=tariffs[1], **location)
    holder = Holder(partner_id=partner)
    assert (await charged(billing, holder))["agreement_id"] == here["id"]
    elsewhere = await charged(billing, holder, station_id="CP-OTHER")
    assert (elsewhere["agreement_id"], elsewhere["total_gross"]["amount"]) == (
        everywhere["id"],
        "1.00",
    )
    own = await agreement(billing, partner, name="One", places=[{"kind": "station", "id": station}])
    found = await charged(billing, holder)
    assert (found["agreement_id"], found["total_gross"]["amount"]) == (own["id"], "4.90")


async def test_a_station_group_is_closer_than_its_location(billing: Billing, partner: UUID) -> None:
    station, group = f"CP-{billing.operator_id}", uuid7()
    of_group: dict[str, Any] = {"operator_id": billing.operator_id, "group_id": group}
    unknown = {"partner_id": str(partner), "name": "G"}
    unknown_place = unknown | {"places": [{"kind": "station_group", "id": str(group)}]}
    async with as_staff(billing) as staff:
        refused = await staff.post("/v1/agreements", json=unknown_place)
        assert refused.json()["type"].endswith("unknown-station"), refused.text
    await billing.handle(
        StationGroupMembersChanged(**of_group, version=1, added=(station,)),
        StationGroupChanged(**of_group, version=1, name="Fast ones"),
    )
    prices = [await agreed_tariff(billing, price) for price in ("0.10", "0.20")]
    here = {"name": "Here", "places": [{"kind": "location", "id": str(billing.here)}]}
    await agreement(billing, partner, tariff_id=prices[0], **here)
    fast = {"name": "Fast", "places": [{"kind": "station_group", "id": str(group)}]}
    made = await agreement(billing, partner, tariff_id=prices[1], **fast)
    holder = Holder(partner_id=partner)
    assert (await charged(billing, holder))["agreement_id"] == made["id"]
    await billing.handle(StationGroupMembersChanged(**of_group, version=2, removed=(station,)))
    assert (await charged(billing, holder))["total_gross"]["amount"] == "1.00"


async def test_its_days_are_the_operators(billing: Billing, partner: UUID) -> None:
    cheap = await agreed_tariff(billing, "0.20")
    days = {"valid_from": "2026-03-02", "valid_until": "2026-03-02", "tariff_id": cheap}
    made = await agreement(billing, partner, **days)
    holder = Holder(partner_id=partner)
    for at, meant in (
        ("2026-03-01T22:59:59", None),  # 23:59:59 in Berlin
        ("2026-03-01T23:00:00", made["id"]),
        ("2026-03-02T22:59:59", made["id"]),
        ("2026-03-02T23:00:00", None),
    ):
        started = datetime.fromisoformat(at).replace(tzinfo=UTC)
        times = {"started_at": started, "ended_at": started + timedelta(hours=1)}
        assert (await charged(billing, holder, **times))["agreement_id"] == meant, at


async def test_a_running_session_keeps_the_price_it_began_with(
    billing: Billing, partner: UUID
) -> None:
    first, second = [await agreed_tariff(billing, price) for price in ("0.20", "0.30")]
    made = await agreement(billing, partner, tariff_id=first)
    same: dict[str, Any] = {"session_id": uuid7(), "holder": Holder(partner_id=partner)}
    await billing.handle(billing.started(**same))
    async with as_staff(billing) as staff:
        path, match = f"/v1/agreements/{made['id']}", {"If-Match": '"1"'}
        changed = await staff.patch(path, json={"tariff_id": second}, headers=match)
        assert (changed.status_code, changed.json()["version"]) == (200, 2)
    # Whatever the end says: who held the card when it began is who pays.
    await billing.handle(billing.ended(**same))
    record = await billing.record(same["session_id"])
    assert record is not None
    assert record["tariff_id"] == first
    assert (await charged(billing, same["holder"]))["tariff_id"] == second


async def test_who_is_let_in_after_a_refused_one_has_a_price_of_their_own(
    billing: Billing, partner: UUID
) -> None:
    made = await agreement(billing, partner, tariff_id=await agreed_tariff(billing, "0.20"))
    for told_again in (True, False):
        session = uuid7()
        refused = {"session_id": session, "token_status": "Invalid", "holder": None}
        let_in = {"session_id": session, "holder": Holder(partner_id=partner)}
        await billing.handle(billing.started(**refused))
        if told_again:
            await billing.handle(billing.started(**let_in))
        await billing.handle(billing.ended(**let_in))
        record = await billing.record(session)
        assert record is not None
        assert (record["agreement_id"], record["total_gross"]["amount"]) == (made["id"], "2.00")


async def test_agreements_are_made_changed_listed_and_told(billing: Billing, partner: UUID) -> None:
    made = await agreement(billing, partner, name="Depot")
    async with as_staff(billing) as staff:
        path = f"/v1/agreements/{made['id']}"
        match = {"If-Match": '"1"'}
        end = {"valid_until": "2026-12-31"}
        changed = await staff.patch(path, json=end, headers=match)
        assert changed.json() == made | end | {"version": 2}
        stale = await staff.patch(path, json=end, headers=match)
        assert stale.status_code == 412
        assert (await staff.get(path)).headers["etag"] == '"2"'
        unsaid = await staff.patch(path, json=end)
        assert unsaid.status_code == 428
        listed = (await staff.get("/v1/agreements", params={"partner_id": str(partner)})).json()
        assert [one["version"] for one in listed["items"]] == [2]
        none = (await staff.get("/v1/agreements", params={"partner_id": str(uuid7())})).json()
        assert none["items"] == []
    told = [(one["version"], one["valid_until"]) for one in await billing.told(AgreementChanged)]
    assert told == [(1, None), (2, "2026-12-31")]


async def test_what_cannot_be_agreed_on_is_refused_and_nothing_told(
    billing: Billing, partner: UUID
) -> None:
    own = (await billing.get("tariffs"))["items"][0]["id"]
    station = {"kind": "station", "id": "NOWHERE"}
    body = {"partner_id": str(partner), "name": "All", "places": [{"kind": "everywhere"}]}
    await agreement(billing, partner)
    faults: list[tuple[dict[str, Any], int, str]] = [
        ({"partner_id": str(uuid7())}, 422, "unknown-partner"),
        ({"places": [station]}, 422, "unknown-station"),
        ({"places": [{"kind": "location", "id": str(uuid7())}]}, 422, "unknown-location"),
        ({"tariff_id": own}, 422, "tariff-not-for-agreements"),
        ({"tariff_id": str(uuid7())}, 422, "tariff-not-for-agreements"),
        ({"name": "X", "valid_from": "2026-02-02", "valid_until": "2026-02-01"}, 422,
         "agreement-reversed"),
        ({}, 409, "agreement-name-taken"),
        ({"places": []}, 422, "validation-error"),
        ({"places": [{"kind": "everywhere", "id": "x"}]}, 422, "validation-error"),
        ({"places": [{"kind": "station"}]}, 422, "validation-error"),
        ({"places": [{"kind": "location", "id": "x"}]}, 422, "validation-error"),
        ({"name": "a\x00b"}, 422, "validation-error"),
    ]  # fmt: skip
    async with as_staff(billing) as staff:
        for fault, status, kind in faults:
            answer = await staff.post("/v1/agreements", json=body | fault)
            assert answer.status_code == status, (fault, answer.text)
            assert kind in answer.json()["type"] or kind == "validation-error", answer.text
    async with as_staff(billing, locations=[str(HERE)]) as some:
        answer = await some.post("/v1/agreements", json=body | {"name": "Mine"})
        assert answer.status_code == 403
    assert len(await billing.told(AgreementChanged)) == 1
    rival = Billing.of(billing)
    async with as_staff(rival) as other:
        assert (await other.get("/v1/agreements")).json()["items"] == []
        answer = await other.post("/v1/agreements", json=body)
        assert answer.json()["type"].endswith("unknown-partner")


async def test_an_agreed_tariff_is_not_the_operators_next_one(billing: Billing) -> None:
    await billing.tariff(valid_from="2026-01-01T00:00:00Z")
    await billing.tariff(energy_price="0.01", agreed_only=True, valid_from="2026-02-01T00:00:00Z")
    await billing.tariff(energy_price="0.02", agreed_only=True, valid_from="2026-01-01T00:00:00Z")
    record = await charged(billing, None)
    assert record["total_gross"]["amount"] == "4.90"
    # Nor does one wait behind it.
    await billing.tariff(valid_from=None)


async def test_a_session_that_waits_does_not_take_an_agreed_tariff(billing: Billing) -> None:
    end = billing.ended()
    await billing.handle(end)
    await billing.tariff(agreed_only=True)
    assert await billing.record(end.session_id) is None
    await billing.tariff()
    assert await billing.record(end.session_id) is not None


GROUP = uuid7()
PLACES = [
    ("everywhere", ""), ("station", "A"), ("station", "B"), ("location", str(HERE)),
    ("station_group", str(GROUP)),
]  # fmt: skip
DAYS = st.one_of(st.none(), st.dates(date(2026, 1, 1), date(2026, 1, 5)))
AGREED = st.builds(
    Agreed,
    id=st.uuids(),
    places=st.frozensets(st.sampled_from(PLACES), min_size=1),
    valid_from=DAYS,
    valid_until=DAYS,
    tariff_id=st.none(),
)


@given(
    st.lists(AGREED, max_size=6, unique_by=lambda one: one.id),
    st.sampled_from(["A", "B", "C"]),
    st.booleans(),
    st.booleans(),
    st.dates(date(2026, 1, 1), date(2026, 1, 5)),
)
def test_the_chosen_one_is_what_somebody_would_find_by_looking(
    agreements: list[Agreed], station: str, here: bool, grouped: bool, day: date
) -> None:
    best: Agreed | None = None
    groups = [GROUP] if grouped else []
    for kind, name in (
        ("station", station), ("station_group", str(GROUP) if grouped else "-"),
        ("location", str(HERE) if here else "-"), ("everywhere", ""),
    ):  # fmt: skip
        for one in sorted(agreements, key=lambda one: one.id):
            begun = one.valid_from is None or day >= one.valid_from
            over = one.valid_until is not None and day > one.valid_until
            if (kind, name) in one.places and begun and not over:
                best = one
        if best is not None:
            break
    assert chosen(agreements, names_of(station, HERE if here else None, groups), day) == best
