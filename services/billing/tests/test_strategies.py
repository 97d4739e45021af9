"""Accounting strategies: kept by staff, given to whoever charges, and what sessions then cost."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from common.clock import now
from common.events import (
    AccountingStrategyChanged,
    CompanyChanged,
    StationGroupChanged,
    StationGroupMembersChanged,
    StrategyAssignmentChanged,
)
from common.ids import uuid7
from services.billing.tests.conftest import Billing
from services.billing.tests.strategy_place import Place, placed


@pytest.fixture
async def place(billing: Billing) -> AsyncIterator[Place]:
    async with placed(billing) as found:
        yield found


def told_of(record: dict[str, Any]) -> tuple[str, str, str]:
    return record["total_gross"]["amount"], record["terms"]["source"], record["terms"]["method"]


async def test_each_source_has_its_turn_and_the_session_keeps_why(place: Place) -> None:
    prices = ("0.10", "0.20", "0.30", "0.40", "0.50", "0.60")
    card, company, user, group, partner, default = [await place.tariff(one) for one in prices]
    of_card = await place.strategy("card", card, method="per_session")
    for name, tariff, kind, holder in (
        ("company", company, "company", place.company),
        ("user", user, "user", place.user),
        ("group", group, "user_group", place.group),
        ("default", default, "everybody", None),
    ):
        await place.give(await place.strategy(name, tariff), kind, holder)
    everywhere = [{"kind": "everywhere"}]
    await place.made(
        "agreements", name="A", partner_id=str(place.partner), places=everywhere, tariff_id=partner
    )
    own: dict[str, Any] = {"user_id": place.user, "user_group_ids": (place.group,)}
    cases: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
        (own | {"accounting_strategy_id": UUID(of_card)}, ("1.00", "card", "per_session")),
        (own | {"company_id": place.company}, ("2.00", "company", "monthly")),
        (own, ("3.00", "user", "monthly")),
        (own | {"user_id": uuid7()}, ("4.00", "user_group", "monthly")),
        ({"partner_id": place.partner}, ("5.00", "partner", "none")),
        ({"user_id": uuid7()}, ("6.00", "ad_hoc", "monthly")),
        ({"partner_id": uuid7()}, ("6.00", "ad_hoc", "none")),
    ]
    for holding, expected in cases:
        record = await place.charged(place.card, **holding)
        assert told_of(record) == expected
        why = record["terms"]["why"]
        assert any(sentence.startswith("Tariff: ") for sentence in why)
    unknown = await place.charged()
    assert told_of(unknown) == ("6.00", "ad_hoc", "none")


async def test_without_a_strategy_the_operators_own_price_counts_and_nobody_is_billed(
    place: Place,
) -> None:
    record = await place.charged(place.card, user_id=place.user)
    assert told_of(record) == ("4.90", "ad_hoc", "none")
    assert record["account_id"] is None
    assert record["terms"]["why"][-1].startswith("Payment: nobody is billed")


async def test_a_companys_user_cards_follow_what_its_master_card_carries(place: Place) -> None:
    given = await place.strategy("given", await place.tariff("0.20"))
    carried = await place.strategy("carried", await place.tariff("0.30"))
    of_company = {"company_id": place.company}
    await place.give(given, "company", place.company)
    assert told_of(await place.charged(place.company_card, **of_company))[0] == "2.00"
    master = place.card_told(
        place.master, version=2, company_master=True, **of_company,
        accounting_strategy_id=UUID(carried),
    )  # fmt: skip
    await place.billing.handle(master)
    record = await place.charged(place.company_card, **of_company)
    assert told_of(record) == ("3.00", "company", "monthly")
    mastered = {"company_master": True, "accounting_strategy_id": UUID(carried)}
    assert told_of(await place.charged(place.master, **of_company, **mastered))[0] == "3.00"
    # What it was given before now contradicts the card: to give the same is no contradiction.
    holder = {"kind": "company", "id": str(place.company)}
    there = (await place.staff.get("/v1/strategy-assignments")).json()["items"][0]
    path, match = f"/v1/strategy-assignments/{there['id']}", {"If-Match": '"1"'}
    refused = await place.staff.patch(path, json={"priority": 1}, headers=match)
    assert refused.json()["type"].endswith(":master-card-has-strategy")
    assert (await place.staff.delete(path, headers=match)).status_code == 204
    assert await place.refused(
        "strategy-assignments", strategy_id=given, holder=holder
    ) == "master-card-has-strategy"  # fmt: skip
    await place.made("strategy-assignments", strategy_id=carried, holder=holder)


async def test_the_closest_place_and_the_day_choose_among_a_strategys_tariffs(
    place: Place, billing: Billing
) -> None:
    prices = {price: await place.tariff(price) for price in ("0.10", "0.20", "0.30")}
    garage = uuid7()
    of_group: dict[str, Any] = {"operator_id": place.operator_id, "group_id": garage, "version": 1}
    await billing.handle(
        StationGroupMembersChanged(**of_group, added=(place.station,)),
        StationGroupChanged(**of_group, name="Garage"),
    )
    everywhere: dict[str, Any] = {"place": {"kind": "everywhere"}, "tariff_id": prices["0.10"]}
    until = everywhere | {"valid_until": "2026-03-01"}  # sessions begin on the 2nd
    here = {"place": {"kind": "location", "id": str(place.location)}, "tariff_id": prices["0.20"]}
    grouped = {"place": {"kind": "station_group", "id": str(garage)}, "tariff_id": prices["0.30"]}
    own = {"place": {"kind": "station", "id": place.station}}
    strategy = await place.strategy("places", tariffs=[until])
    await place.give(strategy, "user", place.user)
    path = f"/v1/accounting-strategies/{strategy}"
    for version, (listed, total) in enumerate(
        (
            ([until], "4.90"),  # nothing is meant: the operator's own
            ([everywhere], "1.00"),
            ([everywhere, here], "2.00"),
            ([everywhere, here, grouped], "3.00"),
            ([everywhere, here, grouped, own], "4.90"),
        ),
        1,
    ):
        match = {"If-Match": f'"{version}"'}
        changed = await place.staff.patch(path, json={"tariffs": listed}, headers=match)
        assert changed.status_code == 200, changed.text
        record = await place.charged(place.card, user_id=place.user)
        assert told_of(record) == (total, "user", "monthly"), listed


async def test_the_operators_own_price_is_what_the_default_strategy_says_of_the_place(
    place: Place,
) -> None:
    there = {"place": {"kind": "station", "id": place.station}}
    cheap = there | {"tariff_id": await place.tariff("0.25")}
    await place.give(await place.strategy("default", tariffs=[cheap]), "everybody")
    await place.give(await place.strategy("bills only", tariffs=[]), "user", place.user)
    everywhere = [{"kind": "everywhere"}]
    await place.made("agreements", name="A", partner_id=str(place.partner), places=everywhere)
    assert told_of(await place.charged()) == ("2.50", "ad_hoc", "none")
    assert told_of(await place.charged(place.card, user_id=place.user)) == (
        "2.50", "user", "monthly",
    )  # fmt: skip
    record = await place.charged(place.card, partner_id=place.partner)
    assert told_of(record) == ("2.50", "partner", "none")
    assert record["agreement_id"] is not None


async def test_of_a_named_tariff_the_version_counts_that_holds_when_a_session_begins(
    place: Place, billing: Billing
) -> None:
    first = await billing.tariff(energy_price="0.20", agreed_only=True)
    soon = now() + timedelta(hours=1)
    second = await billing.tariff(
        energy_price="0.30", agreed_only=True, series_id=first["series_id"],
        valid_from=soon.isoformat(),
    )  # fmt: skip
    for number, named in enumerate((first["id"], second["id"])):
        strategy = await place.strategy(f"S{number}", named)
        given = await place.give(strategy, "user", place.user)
        for at, total in ((soon - timedelta(hours=2), "2.00"), (soon, "3.00")):
            times = {"started_at": at, "ended_at": at + timedelta(hours=1)}
            record = await place.charged(place.card, times=times, user_id=place.user)
            assert told_of(record) == (total, "user", "monthly")
        path = f"/v1/strategy-assignments/{given['id']}"
        await place.staff.delete(path, headers={"If-Match": '"1"'})


async def test_a_running_session_keeps_its_terms(place: Place, billing: Billing) -> None:
    first, second = [await place.tariff(price) for price in ("0.20", "0.30")]
    strategy = await place.strategy("S", first)
    given = await place.give(strategy, "user", place.user)
    same: dict[str, Any] = {
        "session_id": uuid7(), "station_id": place.station, "user_id": place.user,
    }  # fmt: skip
    await billing.handle(billing.started(**same))
    everywhere = [{"place": {"kind": "everywhere"}, "tariff_id": second}]
    match = {"If-Match": '"1"'}
    path = f"/v1/accounting-strategies/{strategy}"
    changed = await place.staff.patch(
        path, json={"tariffs": everywhere, "method": "yearly"}, headers=match
    )
    assert changed.status_code == 200, changed.text
    gone = await place.staff.delete(f"/v1/strategy-assignments/{given['id']}", headers=match)
    assert gone.status_code == 204, gone.text
    await billing.handle(billing.ended(**same))
    record = await billing.record(same["session_id"])
    assert record is not None
    assert record["total_gross"]["amount"] == "2.00"
    [row] = await billing.stored(
        "select terms->>'method' as method from record where session_id = $1", same["session_id"]
    )
    assert row["method"] == "monthly"


async def test_what_is_free_costs_nothing_whoever_asks(place: Place) -> None:
    free = await place.strategy("free", method="free")
    await place.give(free, "everybody")
    record = await place.charged()
    assert told_of(record) == ("0.00", "ad_hoc", "free")
    [modifier] = record["terms"]["modifiers"]
    assert (modifier["kind"], modifier["exclusive"]) == ("free", True)


async def test_a_strategys_discount_is_for_those_who_have_it(place: Place) -> None:
    percent = {"name": "Tenth", "kind": "percent", "amount": "10"}
    assert await place.refused(
        "discounts", **percent, strategy_id=str(uuid7())
    ) == "unknown-strategy"  # fmt: skip
    strategy = await place.strategy("S", await place.tariff("0.20"))
    made = await place.made("discounts", **percent, strategy_id=strategy)
    path = f"/v1/discounts/{made['id']}/activate"
    answer = await place.staff.post(path, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text
    await place.give(strategy, "user", place.user)
    begins = now() + timedelta(minutes=1)
    times = {"started_at": begins, "ended_at": begins + timedelta(hours=1)}
    theirs = await place.charged(place.card, user_id=place.user, times=times)
    assert told_of(theirs) == ("1.80", "user", "monthly")
    assert theirs["lines"][-1]["modifier_id"] == made["id"]
    others = await place.charged(place.card, user_id=uuid7(), times=times)
    assert told_of(others) == ("4.90", "ad_hoc", "none")


async def test_a_reverse_charge_needs_a_vat_id(place: Place, billing: Billing) -> None:
    strategy = await place.strategy("abroad", tax="reverse_charge")
    for kind, holder in (("everybody", None), ("user", place.user), ("user_group", place.group)):
        to = {"kind": kind, "id": str(holder) if holder else None}
        assert await place.refused(
            "strategy-assignments", strategy_id=strategy, holder=to
        ) == "reverse-charge-needs-vat-id"  # fmt: skip
    await place.give(strategy, "company", place.company)
    of_company = {"company_id": place.company}
    assert (await place.charged(place.company_card, **of_company))["terms"]["tax"] == (
        "reverse_charge"
    )
    await billing.handle(
        CompanyChanged(
            operator_id=place.operator_id, company_id=place.company, version=2, name="W",
            active=True,
        )
    )  # fmt: skip
    terms = (await place.charged(place.company_card, **of_company))["terms"]
    assert terms["tax"] == "net"
    assert "no VAT id is known" in terms["why"][-1]


async def test_strategies_are_made_changed_listed_and_told(place: Place, billing: Billing) -> None:
    tariff = await place.tariff("0.20")
    here = {"kind": "location", "id": str(place.location)}
    listed = {"place": here, "valid_from": "2026-12-01", "valid_until": None, "tariff_id": tariff}
    body = {
        "name": "Fleets", "method": "prepaid", "currency": "EUR", "tariffs": [listed],
        "credit_limit": "10.00", "prepaid_estimate": "25.00", "minimum_balance": "5.00",
        "minimum_topup": "20.00",
    }  # fmt: skip
    made = await place.made("accounting-strategies", **body)
    assert made | body == made
    assert (made["payment_method"], made["version"]) == ("wallet", 1)
    path, match = f"/v1/accounting-strategies/{made['id']}", {"If-Match": '"1"'}
    change = {"credit_limit": None, "name": "Cars"}
    changed = await place.staff.patch(path, json=change, headers=match)
    assert changed.json() == made | change | {"version": 2}
    stale = await place.staff.patch(path, json=change, headers=match)
    assert (stale.status_code, stale.json()["version"]) == (412, 2)
    assert (await place.staff.patch(path, json=change)).status_code == 428
    read = await place.staff.get(path)
    assert (read.headers["etag"], read.json()) == ('"2"', changed.json())
    all_of_them = await place.staff.get("/v1/accounting-strategies", params={"active": True})
    assert [one["id"] for one in all_of_them.json()["items"]] == [made["id"]]
    told = await billing.told(AccountingStrategyChanged)
    assert [(one["version"], one["name"]) for one in told] == [(1, "Fleets"), (2, "Cars")]
    assert told[0]["tariffs"][0]["priced_from"] == "2026-01-01T00:00:00Z"


async def test_assignments_are_given_changed_taken_away_and_told(
    place: Place, billing: Billing
) -> None:
    first, second = [await place.strategy(name) for name in ("first", "second")]
    given = await place.give(first, "user", place.user)
    assert given["holder"] == {"kind": "user", "id": str(place.user)}
    again = {"kind": "user", "id": str(place.user)}
    for holder in (again, {"kind": "everybody", "id": None}):
        if holder["kind"] == "everybody":
            await place.give(second, "everybody")
        taken = await place.refused("strategy-assignments", strategy_id=second, holder=holder)
        assert taken == "holder-has-strategy"
    path = f"/v1/strategy-assignments/{given['id']}"
    match = {"If-Match": '"1"'}
    changed = await place.staff.patch(path, json={"strategy_id": second}, headers=match)
    assert changed.json() == given | {"strategy_id": second, "version": 2}
    unknown = await place.staff.patch(
        path, json={"strategy_id": str(uuid7())}, headers={"If-Match": '"2"'}
    )
    assert unknown.json()["type"].endswith(":unknown-strategy")
    assert (await place.staff.delete(path, headers=match)).status_code == 412
    assert (await place.staff.get(path)).headers["etag"] == '"2"'
    assert (await place.staff.delete(path, headers={"If-Match": '"2"'})).status_code == 204
    gone = await place.staff.get(path)
    assert (gone.status_code, gone.json()["detail"]) == (
        404, f"there is no strategy assignment with the id {given['id']}",
    )  # fmt: skip
    listed = await place.staff.get(
        "/v1/strategy-assignments", params={"holder_kind": "user", "holder_id": str(place.user)}
    )
    assert listed.json()["items"] == []
    told = [
        (one["version"], one["strategy_id"], one["removed"])
        for one in await billing.told(StrategyAssignmentChanged)
        if one["assignment_id"] == given["id"]
    ]
    assert told == [(1, first, False), (2, second, False), (3, second, True)]


async def test_a_strategys_tariff_that_is_none_is_told_from_one_that_is_not_agreed_only(
    place: Place, billing: Billing
) -> None:
    far = (now() + timedelta(days=901)).isoformat()
    own = (await billing.tariff(valid_from=far))["id"]
    nobodys = str(uuid7())
    for tariff, detail in (
        (nobodys, f"there is no tariff with the id {nobodys}"),
        (own, f"{own}: make a tariff with agreed_only true"),
    ):
        tariffs = [{"place": {"kind": "everywhere"}, "tariff_id": tariff}]
        body = {"name": "X", "method": "monthly", "currency": "EUR", "tariffs": tariffs}
        answer = await place.staff.post("/v1/accounting-strategies", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (422, detail)


async def test_strategies_that_cannot_be_are_refused(place: Place, billing: Billing) -> None:
    own = (await billing.tariff(valid_from=(now() + timedelta(days=900)).isoformat()))["id"]
    tariff = await place.tariff("0.20")
    future = (now() + timedelta(days=10)).isoformat()
    later = await place.tariff("0.30", valid_from=future)
    francs = await place.tariff("0.40", currency="CHF")
    everywhere = {"place": {"kind": "everywhere"}}
    usual: dict[str, Any] = {"name": "X", "method": "monthly", "currency": "EUR"}
    in_march = {"valid_from": "2027-03-01", "valid_until": "2027-03-31"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tariffs": [everywhere | {"tariff_id": own}]}, "tariff-not-for-strategies"),
        ({"tariffs": [everywhere | {"tariff_id": str(uuid7())}]}, "tariff-not-for-strategies"),
        ({"tariffs": [everywhere | {"tariff_id": francs}]}, "tariff-in-another-currency"),
        ({"tariffs": [everywhere | {"tariff_id": later}]}, "tariff-not-yet-valid"),
        ({"tariffs": [everywhere, everywhere | in_march]}, "strategy-tariffs-overlap"),
        ({"tariffs": [everywhere | {"valid_from": "2027-01-02", "valid_until": "2027-01-01"}]},
         "strategy-contradicts"),
        ({"tariffs": [{"place": {"kind": "station", "id": "NOWHERE"}}]}, "unknown-station"),
        ({"tariffs": [{"place": {"kind": "station_group", "id": str(uuid7())}}]},
         "unknown-station"),
        ({"tariffs": [{"place": {"kind": "location", "id": str(uuid7())}}]}, "unknown-location"),
        ({"method": "prepaid", "payment_method": "invoice"}, "strategy-contradicts"),
        ({"prepaid_estimate": "5.00"}, "strategy-contradicts"),
        ({"method": "free", "minimum_invoice": "5.00"}, "strategy-contradicts"),
    ]  # fmt: skip
    for fields, problem in cases:
        assert await place.refused("accounting-strategies", **usual | fields) == problem, fields
    after = {"valid_from": (now() + timedelta(days=12)).date().isoformat(), "tariff_id": later}
    before = {"valid_until": (now() + timedelta(days=11)).date().isoformat(), "tariff_id": tariff}
    made = await place.made(
        "accounting-strategies", **usual, tariffs=[everywhere | after, everywhere | before]
    )
    assert await place.refused("accounting-strategies", **usual) == "strategy-name-taken"
    for written in ("1e3", "-1.00", "0.001", 5, 5.5, "NaN"):
        body = {"credit_limit": written}
        answer = await place.staff.post("/v1/accounting-strategies", json=usual | body)
        assert answer.status_code == 422, body
    path, match = f"/v1/accounting-strategies/{made['id']}", {"If-Match": '"1"'}
    twice = {"tariffs": [everywhere, everywhere]}
    refused = await place.staff.patch(path, json=twice, headers=match)
    assert refused.json()["type"].endswith(":strategy-tariffs-overlap")
    assert (await place.staff.get(path)).json() == made
    assert [one["name"] for one in await billing.told(AccountingStrategyChanged)] == ["X"]


async def test_a_strategy_that_somebody_has_is_not_switched_off_and_one_that_is_not_given(
    place: Place,
) -> None:
    strategy = await place.strategy("S")
    given = await place.give(strategy, "user", place.user)
    path, match = f"/v1/accounting-strategies/{strategy}", {"If-Match": '"1"'}
    off = await place.staff.patch(path, json={"active": False}, headers=match)
    assert off.json()["type"].endswith(":strategy-in-use")
    await place.staff.delete(f"/v1/strategy-assignments/{given['id']}", headers=match)
    off = await place.staff.patch(path, json={"active": False}, headers=match)
    assert off.json()["active"] is False
    holder = {"kind": "user", "id": str(place.user)}
    assert await place.refused(
        "strategy-assignments", strategy_id=strategy, holder=holder
    ) == "strategy-switched-off"  # fmt: skip
    carrying = {"user_id": place.user, "accounting_strategy_id": UUID(strategy)}
    assert told_of(await place.charged(place.card, **carrying))[:2] == ("4.90", "ad_hoc")


async def test_an_assignment_names_what_the_operator_has(place: Place, billing: Billing) -> None:
    strategy = await place.strategy("S")
    for kind in ("company", "user", "user_group"):
        holder = {"kind": kind, "id": str(uuid7())}
        assert await place.refused(
            "strategy-assignments", strategy_id=strategy, holder=holder
        ) == "unknown-holder"  # fmt: skip
    mine = {"kind": "user", "id": str(place.user)}
    assert await place.refused(
        "strategy-assignments", strategy_id=str(uuid7()), holder=mine
    ) == "unknown-strategy"  # fmt: skip
    async with placed(Billing.of(billing)) as other:
        for theirs, holder in (
            (await other.strategy("T"), mine),
            (strategy, {"kind": "user", "id": str(other.user)}),
        ):
            problem = await place.refused("strategy-assignments", strategy_id=theirs, holder=holder)
            assert problem in {"unknown-strategy", "unknown-holder"}
        assert (await other.staff.get(f"/v1/accounting-strategies/{strategy}")).status_code == 404


async def test_staff_who_see_some_locations_keep_no_strategies(place: Place) -> None:
    few = place.billing.issuer.headers(
        place.operator_id, "accounting-strategies:write", locations=[str(place.location)]
    )
    for path, body in (
        ("accounting-strategies", {"name": "X", "method": "free", "currency": "EUR"}),
        ("strategy-assignments", {"strategy_id": str(uuid7()), "holder": {"kind": "everybody"}}),
    ):
        answer = await place.billing.http.post(f"/v1/{path}", json=body, headers=few)
        assert answer.status_code == 403, answer.text
