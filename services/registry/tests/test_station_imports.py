"""Files of stations: what is shown is what is done, all of it or nothing, and once."""

import csv
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from openpyxl import Workbook
from stack import Running, eventually

from common import credentials
from common.events import Event, LocationChanged, StationChanged, StationCredentialSet
from common.exports import XLSX
from registry.station_imports.columns import ALIASES

from .conftest import SCOPES, Operator

URL = "/v1/station-imports"


def unique(prefix: str) -> str:
    return f"{prefix}{uuid4().hex[:10].upper()}"


async def send(
    operator: Operator, text: str | bytes, path: str = "", kind: str = "text/csv", **params: Any
) -> httpx.Response:
    data = text.encode() if isinstance(text, str) else text
    headers = {"Content-Type": kind}
    return await operator.http.post(f"{URL}{path}", content=data, headers=headers, params=params)


async def shown(operator: Operator, text: str | bytes, **more: Any) -> dict[str, Any]:
    answer = await send(operator, text, "/preview", **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def done(operator: Operator, text: str | bytes, **more: Any) -> list[dict[str, str]]:
    answer = await send(operator, text, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))


async def stations(operator: Operator) -> dict[str, Any]:
    items = (await operator.http.get("/v1/stations", params={"limit": 500})).json()["items"]
    return {one["id"]: one for one in items}


async def places(operator: Operator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        await operator.http.get("/v1/locations", params={"limit": 500})
    ).json()["items"]
    return found


def two_stations(one: str, two: str) -> str:
    return (
        "Station;Name;Örtlichkeit;Straße;PLZ;Ort;Land;Breitengrad;Längengrad;Ladepunkt;EVSE-ID;"
        "Leistung kW;Phasen;Stecker;Zählernummer;Geeicht bis\n"
        f"{one};Links;P20;Hauptstr. 1;01067;Dresden;DE;51,0504;13,7373;1;DE*AB4*E{one}1;22,08;3;"
        "Typ 2;001;31.12.2034\n"
        f"{one};;;;;;;;;2;DE*AB4*E{one}2;150;;CCS;002;\n"
        f"{one};;;;;;;;;2;;;;CHAdeMO;;\n"
        f"{two};Rechts;P20;Hauptstr. 1;01067;Dresden;DE;51,0504;13,7373;;;;;;;\n"
    )


async def test_a_file_is_shown_done_and_the_second_time_changes_nothing(
    operator: Operator,
) -> None:
    one, two = unique("A"), unique("B")
    text = two_stations(one, two)
    preview = await shown(operator, text.encode("latin-1"))
    assert (preview["encoding"], preview["separator"]) == ("cp1252", ";")
    assert preview["counts"] == {
        "make": 2, "change": 0, "unchanged": 0, "locations": 1, "faults": 0,
    }  # fmt: skip
    assert preview["faults"] == []
    assert [(p["line"], p["name"], p["latitude"]) for p in preview["locations"]] == [
        (2, "P20", "51.0504")
    ]
    assert [(s["line"], s["station_id"], s["outcome"]) for s in preview["stations"]] == [
        (2, one, "make"), (5, two, "make"),
    ]  # fmt: skip
    assert preview["stations"][0]["fields"]["location"] == {"before": None, "after": "P20"}
    assert (await stations(operator), await places(operator)) == ({}, []), "nothing was done"

    answer = await done(operator, text.encode("latin-1"), plan=preview["plan"])
    assert [(row["station_id"], row["name"], row["outcome"]) for row in answer] == [
        (one, "Links", "make"), (two, "Rechts", "make"),
    ]  # fmt: skip
    assert answer[0]["ocpp_url"] == f"wss://csms.example/ocpp/{one}"
    [place] = await places(operator)
    assert (place["address"]["postal_code"], place["longitude"]) == ("01067", "13.7373")
    made = await stations(operator)
    assert {s["location_id"] for s in made.values()} == {place["id"]}
    first, second = made[one]["evses"]
    assert (first["code"], first["max_power_w"], first["phases"]) == (f"DE*AB4*E{one}1", 22080, 3)
    assert first["meter"]["serial_number"] == "001"
    assert first["meter"]["valid_until"] == "2034-12-31"
    assert [(c["standard"], c["format"], c["power_type"]) for c in first["connectors"]] == [
        ("IEC_62196_T2", "SOCKET", "AC_3_PHASE")
    ]
    assert [(c["connector_id"], c["standard"], c["power_type"]) for c in second["connectors"]] == [
        (1, "IEC_62196_T2_COMBO", "DC"), (2, "CHADEMO", "DC"),
    ]  # fmt: skip
    assert [evse["evse_id"] for evse in made[two]["evses"]] == [1]

    told = await eventually(lambda: all_told(operator, 2))
    [changed] = [event for event in told if event["station_id"] == one]
    assert [evse["connectors"] for evse in changed["evses"]] == [1, 2]
    assert len(await eventually(lambda: operator.told(LocationChanged))) == 1
    passwords = await eventually(lambda: all_told(operator, 2, StationCredentialSet))
    hashes = {one["station_id"]: one["password_hash"] for one in passwords}
    assert credentials.matches(answer[0]["password"], hashes[one])
    assert credentials.matches(answer[1]["password"], hashes[two])

    again = await done(operator, text)
    assert [(row["outcome"], row["password"]) for row in again] == [("unchanged", "")] * 2
    assert await stations(operator) == made
    assert len(await places(operator)) == 1
    assert len(await operator.told(StationChanged)) == 2


async def all_told(operator: Operator, count: int, kind: type[Event] = StationChanged) -> Any:
    found = await operator.told(kind)
    return found if len(found) == count else None


async def test_a_file_changes_what_it_says_and_leaves_the_rest(operator: Operator) -> None:
    one, two = unique("A"), unique("B")
    await done(operator, two_stations(one, two))
    before = await stations(operator)
    change = f'station_id,name,evse,max_power_kw\n{one},,2,"300,5"\n{two},Rechts,,\n'
    preview = await shown(operator, change)
    assert preview["counts"]["change"] == 1
    assert preview["counts"]["unchanged"] == 1
    [changed] = preview["stations"]
    assert changed["fields"].keys() == {"evses"}
    await done(operator, change)
    after = await stations(operator)
    assert after[two] == before[two]
    assert after[one]["version"] == 2
    second = before[one]["evses"][1] | {"max_power_w": 300_500}
    assert after[one]["evses"] == [before[one]["evses"][0], second]
    outdated = await send(operator, change, plan=preview["plan"])
    assert outdated.json()["type"] == "urn:openlade:problem:import-outdated"


HEAD = (
    "station_id;location;street;postal_code;city;country;latitude;longitude;evse_code;template;"
    "evse\n"
)


@pytest.mark.parametrize(
    ("row", "column", "word"),
    [
        ("a/b;;;;;;;;;;", "station_id", "is none"),
        (";;;;;;;;;;", None, ""),
        (";P;;;;;;;;;", "station_id", "is needed"),
        ("X;P;S;1;C;DE;13,4;52,5;;;", "latitude", "swapped"),
        ("X;P;S;1;C;DE;0;0;;;", "latitude", "leave out"),
        ("X;P;S;1;C;DE;48,2;16,4;;;", "latitude", "is not in DE"),
        ("X;P;S;1;C;DE;52,5;;;;", "latitude", "or neither"),
        ("X;P;S;1;C;DE;1.234,5;13;;;", "latitude", "no number"),
        ("X;P;S;1;C;DE;91;13;;;", "latitude", "less than or equal to 90"),
        ("X;P;S;1;C;Germany;;;;;", "country", "such as DE"),
        ("X;P;S;;;DE;;;;;", "postal_code", "is needed"),
        ("X;Nowhere;;;;;;;;;", "location", "no such location"),
        ("X;;;;;;;;hello;;", "evse_code", "no EVSE code"),
        ("X;;;;;;;;;T9;", "template", "no such template"),
        ("X;;;;;;;;;;0", "evse", "from 1 to 1000"),
        ("X;;", None, "the row has 3 cells"),
    ],
)
async def test_a_bad_row_is_told_with_its_line_and_nothing_is_done(
    operator: Operator, row: str, column: str | None, word: str
) -> None:
    good = unique("G")
    text = f"{HEAD}{good};;;;;;;;;;\n{row}\n"
    preview = await shown(operator, text)
    if not word:  # an empty line
        assert preview["faults"] == []
        return
    [fault] = preview["faults"]
    assert (fault["line"], fault["column"]) == (3, column)
    assert word in fault["why"]
    assert [one["station_id"] for one in preview["stations"]] == [good]
    refused = await send(operator, text)
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:openlade:problem:import-faulty"
    assert refused.json()["faults"] == preview["faults"]
    assert (await stations(operator), await places(operator)) == ({}, [])


async def test_an_evse_code_or_id_that_is_there_already_is_told_wherever_it_is(
    operator: Operator, stranger: Operator
) -> None:
    theirs, code = unique("T"), f"DE*AB5*E{unique('C')}"
    await stranger.station(id=theirs, evses=[{"evse_id": 1, "code": code}])
    one, two, three = unique("A"), unique("B"), unique("C")
    inside = f"DE*AB5*E{unique('D')}"
    text = (
        "station_id,evse_code\n"
        f"{one},{inside}\n"
        f"{two},{inside.replace('*', '')}\n"
        f"{three},{code.lower()}\n"
        f"{theirs},\n"
    )
    preview = await shown(operator, text)
    assert [(f["line"], f["column"], f["why"]) for f in preview["faults"]] == [
        (3, "evse_code", "is in line 2 already"),
        (4, "evse_code", "belongs to another EVSE"),
        (5, "station_id", "is taken"),
    ]
    refused = await send(operator, text)
    assert refused.status_code == 422
    assert await stations(operator) == {}
    # Alone, those of others are found when it is done, and nothing is done then.
    text = f"station_id,evse_code\n{one},{inside}\n{three},{code}\n{theirs},\n"
    refused = await send(operator, text)
    assert [(f["line"], f["why"]) for f in refused.json()["faults"]] == [
        (3, "belongs to another EVSE"), (4, "is taken"),
    ]  # fmt: skip
    assert await stations(operator) == {}
    assert not await operator.told(StationChanged)


async def test_codes_change_hands_within_a_file(operator: Operator) -> None:
    one, two = unique("A"), unique("B")
    first, second = (f"DE*AB6*E{unique('E')}" for _ in range(2))
    await done(operator, f"station_id,evse_code\n{one},{first}\n{two},{second}\n")
    await done(operator, f"station_id,evse,evse_code\n{one},1,{second}\n{two},1,{first}\n")
    made = await stations(operator)
    assert [made[name]["evses"][0]["code"] for name in (one, two)] == [second, first]


async def test_rows_that_contradict_each_other_are_told(operator: Operator) -> None:
    one, two = unique("A"), unique("B")
    text = (
        "station_id;name;location;street;postal_code;city;country;latitude;longitude\n"
        f"{one};Links;P;S;1;C;DE;52,5;13,4\n"
        f"{one};Rechts;;;;;;;\n"
        f"{two};;P;S;1;C;DE;52,6;13,4\n"
        f"{unique('C')};;P;S;1;C;DE;52,5;13,4\n"
        f"{unique('D')};;p;s;1;c;DE;52,7;13,4\n"
    )
    preview = await shown(operator, text)
    assert [(f["line"], f["column"]) for f in preview["faults"]] == [
        (3, "name"), (5, "latitude"), (6, "latitude"),
    ]  # fmt: skip


async def test_a_template_makes_what_is_new_and_the_file_adds_to_it(operator: Operator) -> None:
    template = {
        "name": "Doppel", "vendor": "ACME", "model": "Twin",
        "code_pattern": "DE*AB7*E{station}*{evse}",
        "evses": [{"evse_id": n, "max_power_w": 22_000, "phases": 3} for n in (1, 2)],
    }  # fmt: skip
    assert (await operator.http.post("/v1/station-templates", json=template)).status_code == 201
    one = unique("A")
    text = f"station_id;template;evse;meter_serial_number\n{one};doppel;2;4711\n"
    await done(operator, text)
    made = (await stations(operator))[one]
    assert (made["vendor"], made["model"]) == ("ACME", "Twin")
    assert [evse["code"] for evse in made["evses"]] == [f"DE*AB7*E{one}*{n}" for n in (1, 2)]
    assert [evse["meter"] and evse["meter"]["serial_number"] for evse in made["evses"]] == [
        None, "4711"
    ]  # fmt: skip
    assert {evse["max_power_w"] for evse in made["evses"]} == {22_000}
    # What was changed by hand since, the template does not take back.
    evses = [evse | {"max_power_w": 11_000} for evse in made["evses"]]
    match = {"If-Match": '"1"'}
    await operator.http.patch(f"/v1/stations/{one}", json={"evses": evses}, headers=match)
    assert [row["outcome"] for row in await done(operator, text)] == ["unchanged"]
    long = f"station_id;template\n{'x' * 45};Doppel\n"
    [fault] = (await shown(operator, long))["faults"]
    assert (fault["line"], fault["column"]) == (2, "template")


async def test_locations_are_known_by_name_or_by_address(operator: Operator) -> None:
    address = {"street": "Hafen 1", "postal_code": "20457", "city": "Hamburg", "country": "DE"}
    twice = [
        await operator.http.post("/v1/locations", json={"name": name, "address": address})
        for name in ("P1", "P2")
    ]
    ids = [one.json()["id"] for one in twice]
    head = "station_id,location,street,postal_code,city,country\n"
    by_name, by_both, new = unique("A"), unique("B"), unique("C")
    await done(
        operator,
        f"{head}{by_name},p1,,,,\n{by_both},P2,HAFEN 1,20457,hamburg,DE\n"
        f"{new},,Kai 2,20457,Hamburg,DE\n",
    )
    made = await stations(operator)
    assert [made[name]["location_id"] for name in (by_name, by_both)] == ids
    names = {place["id"]: place["name"] for place in await places(operator)}
    assert names[made[new]["location_id"]] == "Kai 2, Hamburg"
    [fault] = (await shown(operator, f"{head}{unique('D')},,Hafen 1,20457,Hamburg,DE\n"))["faults"]
    assert "several" in fault["why"]


async def test_a_decommissioned_station_is_not_changed_by_a_file(operator: Operator) -> None:
    one = await operator.station(id=unique("A"))
    await operator.http.post(f"/v1/stations/{one}/decommission", json={"reason": "sold"})
    [fault] = (await shown(operator, f"station_id,name\n{one},New\n"))["faults"]
    assert "decommissioned" in fault["why"]


async def test_a_spreadsheet_is_read_as_well(operator: Operator) -> None:
    book = Workbook()
    assert book.active is not None
    one = unique("A")
    for row in (
        ["station_id", "location", "street", "postal_code", "city", "country", "latitude",
         "longitude", "max_power_kw"],
        [one, "P", "S", "01067", "Dresden", "DE", 51.0504, 13.7373, 22],
        [unique("B"), "P", "S", 1067, "Dresden", "DE", 51.0504, 13.7373, 11.5],
    ):  # fmt: skip
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    preview = await shown(operator, file.getvalue(), kind=XLSX)
    assert (preview["encoding"], preview["separator"]) == ("xlsx", None)
    [fault] = preview["faults"]
    assert (fault["line"], fault["column"]) == (3, "postal_code")
    assert "zeros at its beginning" in fault["why"]
    assert [one["station_id"] for one in preview["stations"]] == [one]


@pytest.mark.parametrize(
    ("text", "kind", "status", "problem"),
    [
        ("station_id;colour\nA;red\n", "text/csv", 422, "file-unreadable"),
        ("name\nA\n", "text/csv", 422, "file-unreadable"),
        ("station_id\n", "text/csv", 422, "file-unreadable"),
        ("", "text/csv", 422, "file-unreadable"),
        ("{}", "application/json", 415, "file-type-unknown"),
    ],
)
async def test_what_is_no_file_of_stations_is_refused(
    operator: Operator, text: str, kind: str, status: int, problem: str
) -> None:
    for path in ("", "/preview"):
        refused = await send(operator, text, path, kind)
        assert refused.status_code == status
        assert refused.json()["type"] == f"urn:openlade:problem:{problem}"


async def test_staff_of_some_locations_imports_into_these_only(
    registry: Running, operator: Operator
) -> None:
    address = {"street": "Hafen 1", "postal_code": "20457", "city": "Hamburg", "country": "DE"}
    for name in ("Mine", "Other"):
        await operator.http.post("/v1/locations", json={"name": name, "address": address})
    mine = next(place["id"] for place in await places(operator) if place["name"] == "Mine")
    head = "station_id,location,street,postal_code,city,country\n"
    one = unique("A")
    csv_type = {"Content-Type": "text/csv"}
    async with registry.as_(operator.id, *SCOPES, locations=[mine]) as limited:
        for row, status in (
            (f"{one},Mine,,,,", 200), (f"{unique('B')},Other,,,,", 422),
            (f"{unique('C')},New,Kai 2,20457,Hamburg,DE", 403), (f"{unique('D')},,,,,", 403),
        ):  # fmt: skip
            answer = await limited.post(URL, content=head + row, headers=csv_type)
            assert answer.status_code == status, answer.text
    assert (await stations(operator)).keys() == {one}


async def test_the_example_of_the_manual_is_read(operator: Operator) -> None:
    page = (Path(__file__).parents[3] / "docs" / "stations.md").read_text()
    begin = page.index("station_id;name")
    example = page[begin : page.index("```", begin)]
    preview = await shown(operator, example)
    assert (preview["faults"], preview["counts"]["make"]) == ([], 2)
    assert {column for column in ALIASES if f"`{column}`" not in page} == set()
