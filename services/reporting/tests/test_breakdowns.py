import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from stack import Issuer, Running, Servers, eventually, one_service

from common import inbox
from common.events import (
    CardChanged,
    CardsImported,
    CardState,
    Event,
    LocationChanged,
    RecordClosed,
    RecordReviewed,
    StationChanged,
    UserChanged,
    UsersImported,
    UserState,
)
from common.ids import uuid7
from common.paging import encode
from reporting.consumers import HANDLERS
from reporting.tables import Card, Fact, Location, Person, Station

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SCOPE = "breakdowns:read"


@pytest.fixture(scope="session")
async def service(servers: Servers, issuer: Issuer) -> AsyncIterator[Running]:
    async with one_service(servers, issuer, "reporting") as running:
        yield running


class Reporting:
    """A running reporting, seen by an operator of the test's own."""

    def __init__(self, service: Running) -> None:
        self.service = service
        self.operator_id: UUID = uuid7()

    async def handle(self, *events: Event) -> None:
        received = [(event.subject, event.model_dump_json().encode()) for event in events]
        connections = self.service.app.state.connections
        assert all(await inbox.handle(connections, HANDLERS, received))

    def record(self, **fields: Any) -> RecordClosed:
        """10 kWh in two hours for 4.90."""
        ended_at = fields.get("ended_at", NOON)
        record = {
            "operator_id": self.operator_id,
            "record_id": uuid7(),
            "session_id": uuid7(),
            "station_id": "CP-1",
            "evse_id": 1,
            "card_id": None,
            "user_id": None,
            "started_at": ended_at - timedelta(hours=2),
            "ended_at": ended_at,
            "time_zone": "Europe/Berlin",
            "energy_wh": 10_000,
            "currency": "EUR",
            "total_gross": "4.90",
            "total_net": "4.12",
            "vat": "0.78",
        }
        return RecordClosed.model_validate(record | fields)

    def station(self, version: int, name: str, **fields: Any) -> StationChanged:
        station = {
            "operator_id": self.operator_id,
            "station_id": "CP-1",
            "version": version,
            "name": name,
            "location_id": None,
            "active": True,
            "evses": [],
        }
        return StationChanged.model_validate(station | fields)

    async def ask(self, status: int = 200, accept: str = "*/*", **query: Any) -> Any:
        headers = self.service.issuer.headers(self.operator_id, SCOPE) | {"Accept": accept}
        answer = await self.service.http.get("/v1/breakdowns", params=query, headers=headers)
        assert answer.status_code == status, answer.text
        return answer

    async def rows(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.ask(**query)).json()["items"]
        return items


def person(operator_id: UUID, user_id: UUID, version: int, name: str) -> UserChanged:
    return UserChanged(
        operator_id=operator_id, user_id=user_id, version=version, name=name, active=True
    )


def place(operator_id: UUID, location_id: UUID) -> LocationChanged:
    return LocationChanged(
        operator_id=operator_id,
        location_id=location_id,
        version=1,
        name="P20",
        time_zone="Europe/Berlin",
    )


def card(operator_id: UUID, card_id: UUID) -> CardChanged:
    return CardChanged(
        operator_id=operator_id,
        card_id=card_id,
        version=1,
        uid="04A2",
        user_id=None,
        label="",
        active=True,
    )


@pytest.fixture
def reporting(service: Running) -> Reporting:
    return Reporting(service)


async def test_records_are_summed_by_month_and_station(reporting: Reporting) -> None:
    april = NOON + timedelta(days=40)
    events = [
        reporting.station(1, "Front door"),
        reporting.record(),
        reporting.record(),
        reporting.record(station_id="CP-2", total_gross="0.10", total_net="0.08", vat="0.02"),
        reporting.record(ended_at=april),
    ]
    await reporting.service.publish(*events)

    async def all_counted() -> bool:
        return [row["sessions"] for row in await reporting.rows()] == [3, 1]

    await eventually(all_counted)
    first, second, third = await reporting.rows(by="month,station")
    assert first == {
        "month": "2026-03",
        "station_id": "CP-1",
        "station_name": "Front door",
        "currency": "EUR",
        "sessions": 2,
        "energy_wh": 20_000,
        "duration_s": 14_400,
        "total_gross": {"amount": "9.80", "currency": "EUR"},
        "total_net": {"amount": "8.24", "currency": "EUR"},
        "vat": {"amount": "1.56", "currency": "EUR"},
    }
    assert (second["month"], second["station_id"], second["station_name"]) == (
        "2026-03",
        "CP-2",
        None,
    )
    assert (third["month"], third["sessions"]) == ("2026-04", 1)
    assert [row["sessions"] for row in await reporting.rows(by="station")] == [3, 1]


@pytest.mark.parametrize(
    ("ended_at", "zone", "month"),
    [
        ("2026-10-31T23:30:00Z", "Europe/Berlin", "2026-11"),
        ("2026-11-01T05:00:00Z", "Europe/Berlin", "2026-11"),  # 31 Oct 22:00 - 1 Nov 06:00 local
        ("2026-10-31T22:30:00Z", "Europe/Berlin", "2026-10"),
        ("2026-10-31T23:30:00Z", "Europe/Lisbon", "2026-10"),
        ("2026-10-31T15:30:00Z", "Asia/Tokyo", "2026-11"),
        ("2026-03-31T22:30:00Z", "Europe/Berlin", "2026-04"),  # summer time
    ],
)
async def test_a_session_counts_in_the_local_month_of_its_end(
    reporting: Reporting, ended_at: str, zone: str, month: str
) -> None:
    end = datetime.fromisoformat(ended_at)
    await reporting.handle(
        reporting.record(ended_at=end, started_at=end - timedelta(hours=8), time_zone=zone)
    )
    assert [row["month"] for row in await reporting.rows()] == [month]


async def test_from_counts_and_to_does_not_in_local_dates(reporting: Reporting) -> None:
    end = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)  # 1 November in Berlin
    await reporting.handle(reporting.record(ended_at=end))
    assert len(await reporting.rows(**{"from": "2026-11-01", "to": "2026-11-02"})) == 1
    assert await reporting.rows(**{"from": "2026-10-01", "to": "2026-11-01"}) == []
    assert await reporting.rows(**{"from": "2026-11-02"}) == []


async def test_a_record_told_again_counts_once(reporting: Reporting) -> None:
    record = reporting.record()
    again = record.model_copy(update={"id": uuid7()})
    await reporting.handle(record, record, again)
    await reporting.handle(again, record)
    [row] = await reporting.rows()
    assert (row["sessions"], row["total_gross"]["amount"]) == (1, "4.90")


async def test_a_corrected_session_is_one_and_a_void_one_none_in_whatever_order_they_come(
    reporting: Reporting,
) -> None:
    corrected, void = reporting.record(), reporting.record(station_id="CP-2")

    def taken_back(record: RecordClosed) -> RecordClosed:
        return record.model_copy(
            update={
                "id": uuid7(), "record_id": uuid7(), "kind": "cancellation",
                "refers_to": record.record_id, "energy_wh": -record.energy_wh,
                **{name: -getattr(record, name) for name in ("total_gross", "total_net", "vat")},
            }
        )  # fmt: skip

    right = reporting.record(
        session_id=corrected.session_id, kind="correction", refers_to=corrected.record_id,
        energy_wh=7_000, total_gross="3.43", total_net="2.88", vat="0.55",
        ended_at=NOON - timedelta(minutes=30), started_at=NOON - timedelta(hours=2),
    )  # fmt: skip
    await reporting.handle(taken_back(corrected), right, taken_back(void), corrected, void)
    rows = await reporting.rows(by="station")
    sums = ("station_id", "sessions", "energy_wh", "duration_s")
    assert [tuple(row[name] for name in sums) for row in rows] == [
        ("CP-1", 1, 7_000, 90 * 60), ("CP-2", 0, 0, 0),
    ]  # fmt: skip
    assert [row["total_gross"]["amount"] for row in rows] == ["3.43", "0.00"]


async def test_what_is_under_review_counts_once_it_is_decided_in_whatever_order_that_is_told(
    reporting: Reporting,
) -> None:
    def decided(record: RecordClosed, review: str) -> RecordReviewed:
        told = record.model_dump() | {"id": uuid7(), "review": review}
        return RecordReviewed.model_validate(told)

    first, second, third = (
        reporting.record(station_id=f"CP-{number}", review="pending") for number in (1, 2, 3)
    )
    await reporting.handle(first, third)
    assert await reporting.rows() == []
    await reporting.handle(decided(second, "valid"), second, decided(first, "valid"), first)
    rows = await reporting.rows(by="station")
    assert [(row["station_id"], row["total_gross"]["amount"]) for row in rows] == [
        ("CP-1", "4.90"), ("CP-2", "4.90"),
    ]  # fmt: skip
    amounts = {name: -getattr(third, name) for name in ("total_gross", "total_net", "vat")}
    taken_back = reporting.record(
        station_id="CP-3", kind="cancellation", refers_to=third.record_id, energy_wh=-10_000,
        review="void", **amounts,
    )  # fmt: skip
    await reporting.handle(taken_back, decided(third, "void"))
    [*_, row] = await reporting.rows(by="station")
    assert (row["station_id"], row["sessions"], row["total_gross"]["amount"]) == ("CP-3", 0, "0.00")


async def test_names_are_the_newest_and_follow_the_place_of_the_station(
    reporting: Reporting,
) -> None:
    user_id, card_id, location_id = uuid7(), uuid7(), uuid7()
    operator_id = reporting.operator_id
    persons = [
        person(operator_id, user_id, version, name)
        for version, name in ((2, "Ada Lovelace"), (1, "Ada Byron"))
    ]
    stations = [
        reporting.station(3, "Back door", location_id=location_id),
        reporting.station(2, "Front door"),
    ]
    record = reporting.record(user_id=user_id, card_id=card_id)
    await reporting.handle(
        *persons,
        card(operator_id, card_id),
        place(operator_id, location_id),
        *stations,
        record,
        reporting.record(),
    )
    someone, nobody = sorted(
        await reporting.rows(by="user,card,location,station"), key=lambda row: not row["user_id"]
    )
    assert (someone["user_name"], someone["card_uid"]) == ("Ada Lovelace", "04A2")
    assert (someone["station_name"], someone["location_name"]) == ("Back door", "P20")
    assert (nobody["user_id"], nobody["user_name"], nobody["card_id"]) == (None, None, None)
    assert [row["sessions"] for row in await reporting.rows(user_id=user_id)] == [1]
    assert [row["sessions"] for row in await reporting.rows(station_id="CP-1")] == [2]
    assert await reporting.rows(station_id="CP-2") == []


async def test_people_and_cards_that_were_imported_have_names_and_older_news_changes_none(
    reporting: Reporting,
) -> None:
    operator_id, ids = reporting.operator_id, [uuid7() for _ in range(250)]

    def users(version: int, name: str) -> UsersImported:
        some = [UserState(user_id=i, version=version, name=name, active=True) for i in ids]
        return UsersImported(operator_id=operator_id, users=tuple(some))

    def cards(version: int, uid: str) -> CardsImported:
        state = {"version": version, "user_id": None, "label": "", "active": True}
        some = [CardState(card_id=i, uid=f"{uid}{n}", **state) for n, i in enumerate(ids)]  # type: ignore[arg-type]
        return CardsImported(operator_id=operator_id, cards=tuple(some))

    await reporting.handle(
        users(2, "Ada"), users(1, "Bob"), cards(2, "A"), cards(1, "B"),
        person(operator_id, ids[0], 3, "Eve"), person(operator_id, ids[1], 1, "Old"),
        *(reporting.record(user_id=one, card_id=one) for one in (ids[0], ids[1], ids[249])),
        UsersImported(operator_id=operator_id, users=()),
    )  # fmt: skip
    rows = await reporting.rows(by="user,card")
    assert {(row["user_name"], row["card_uid"]) for row in rows} == {
        ("Eve", "A0"), ("Ada", "A1"), ("Ada", "A249"),
    }  # fmt: skip


async def test_currencies_are_never_added_up(reporting: Reporting) -> None:
    await reporting.handle(reporting.record(), reporting.record(currency="CHF"))
    assert [row["total_gross"] for row in await reporting.rows()] == [
        {"amount": "4.90", "currency": "CHF"},
        {"amount": "4.90", "currency": "EUR"},
    ]


async def test_pages_join_to_the_whole_without_gap_or_repeat(reporting: Reporting) -> None:
    stations = [f"CP-{n:02}" for n in range(23)]
    await reporting.handle(
        *(reporting.record(station_id=station) for station in stations),
        *(reporting.record(station_id=station, user_id=uuid7()) for station in stations),
    )
    whole = await reporting.rows(by="station,user", limit=500)
    found, cursor = [], None
    while True:
        more: dict[str, Any] = {"cursor": cursor} if cursor else {}
        page = (await reporting.ask(by="station,user", limit=5, **more)).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert (found, len(found)) == (whole, 46)


async def test_csv_has_every_row_and_the_same_columns(reporting: Reporting) -> None:
    await reporting.handle(
        reporting.station(1, '=HYPERLINK("http://evil.example")', station_id="CP-000"),
        *(reporting.record(station_id=f"CP-{n:03}") for n in range(510)),
    )
    answer = await reporting.ask(by="month,station", accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    [as_json] = await reporting.rows(by="month,station", limit=1)
    assert set(rows[0]) == set(as_json)
    assert [row["station_id"] for row in rows] == [f"CP-{n:03}" for n in range(510)]
    assert rows[0]["station_name"] == '\'=HYPERLINK("http://evil.example")', "no formula"
    assert {key: rows[1][key] for key in ("month", "sessions", "energy_wh", "total_gross")} == {
        "month": "2026-03",
        "sessions": "1",
        "energy_wh": "10000",
        "total_gross": "4.90",
    }


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"by": "weather"}, "unknown-breakdown"),
        ({"by": "month,month"}, "unknown-breakdown"),
        ({"by": ""}, "unknown-breakdown"),
        ({"limit": 501}, "invalid-request"),
        ({"from": "soon"}, "invalid-request"),
        ({"station_id": "\0"}, "invalid-request"),
        ({"form": "2026-01-01"}, "invalid-request"),
        ({"cursor": "?"}, "invalid-cursor"),
        ({"cursor": encode("[" * 1000)}, "invalid-cursor"),
        ({"cursor": encode('["2026-03"]')}, "invalid-cursor"),
        ({"cursor": encode('["2026-03", 7]')}, "invalid-cursor"),
        ({"cursor": encode('["2026-03", "\\u0000"]')}, "invalid-cursor"),
        ({"cursor": encode('["2026-03", "\\ud800"]')}, "invalid-cursor"),
    ],
)
async def test_a_wrong_question_gets_a_clear_refusal(
    reporting: Reporting, query: dict[str, Any], problem: str
) -> None:
    answer = await reporting.ask(422, **query)
    assert answer.json()["type"] == f"urn:openlade:problem:{problem}"


async def test_another_operator_sees_nothing(reporting: Reporting, service: Running) -> None:
    operator_id, some_id = reporting.operator_id, uuid7()
    await reporting.handle(
        reporting.station(1, "Front door"),
        reporting.record(),
        place(operator_id, some_id),
        person(operator_id, some_id, 1, "Ada"),
        card(operator_id, some_id),
    )
    assert len(await reporting.rows()) == 1
    stranger = Reporting(service)
    assert await stranger.rows() == []
    assert (await stranger.ask(accept="text/csv")).text.count("\n") == 1, "only the header"
    async with service.app.state.connections.begin(stranger.operator_id) as db:
        for table in (Fact, Station, Location, Person, Card):
            assert (await db.scalars(select(table))).all() == [], "the wall beneath the code"
    # One operator's station of the same id does not lend its name to another's.
    await stranger.handle(stranger.record())
    assert [row["station_name"] for row in await stranger.rows(by="station")] == [None]


async def test_a_platform_admin_without_an_operator_sees_all(
    reporting: Reporting, service: Running
) -> None:
    other = Reporting(service)
    station = f"CP-{uuid7()}"
    for each in (reporting, other):
        named = each.station(1, "Front door", station_id=station)
        await each.handle(named, each.record(station_id=station))
    headers = service.issuer.headers(None, SCOPE, role="platform-admin")
    query = {"station_id": station, "by": "station"}
    answer = await service.http.get("/v1/breakdowns", params=query, headers=headers)
    assert [row["sessions"] for row in answer.json()["items"]] == [2]


async def test_the_scope_is_needed(service: Running) -> None:
    headers = service.issuer.headers(uuid7(), "records:read")
    assert (await service.http.get("/v1/breakdowns", headers=headers)).status_code == 403
    assert (await service.http.get("/v1/breakdowns")).status_code == 401


async def test_staff_of_one_location_counts_its_records_only(reporting: Reporting) -> None:
    mine, other = uuid7(), uuid7()
    await reporting.handle(
        reporting.station(1, "here", station_id="CP-1", location_id=mine),
        reporting.station(1, "there", station_id="CP-2", location_id=other),
        *(reporting.record(station_id=station) for station in ("CP-1", "CP-2", "CP-2")),
    )
    for accept in ("application/json", "text/csv"):
        headers = reporting.service.issuer.headers(
            reporting.operator_id, SCOPE, locations=[str(mine)]
        )
        answer = await reporting.service.http.get(
            "/v1/breakdowns", params={"by": "station"}, headers=headers | {"Accept": accept}
        )
        assert answer.status_code == 200, answer.text
        assert "CP-1" in answer.text, accept
        assert "CP-2" not in answer.text, accept
    assert len(await reporting.rows(by="station")) == 2
