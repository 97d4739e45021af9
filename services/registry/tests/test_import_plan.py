"""What a file of stations says, and that doing it twice is doing it once."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import uuid7
from common.sheets import Unreadable
from registry.station_imports import rows
from registry.station_imports.columns import ALIASES, NAMES
from registry.station_imports.plan import FACTS, Known, PlaceNow, Plan, StationNow, plan

EMPTY = Known([], {}, {})
PLACE = {
    "location": "P20", "street": "Hauptstr. 1", "postal_code": "01067", "city": "Dresden",
    "country": "DE", "latitude": "51,05", "longitude": "13,7",
}  # fmt: skip
COLUMNS = (
    "station_id", "name", *PLACE, "evse", "evse_code", "max_power_kw", "phases", "public_key",
    "valid_until", "connector_id", "connector",
)  # fmt: skip
MISTAKES = {
    "station_id": "a/b", "latitude": "13,7", "evse": "0", "max_power_kw": "zwei", "phases": "2",
    "connector": "SCART", "public_key": "key", "evse_code": "DE*ABC*E1", "name": "Another",
    "city": "",
}  # fmt: skip


@st.composite
def good_rows(draw: st.DrawFn) -> dict[str, str]:
    """What belongs together; of each fact any row may be silent."""
    station, evse, plug = draw(st.tuples(*(st.integers(1, 2) for _ in range(3))))
    row = {"station_id": f"S{station}", **draw(st.sampled_from([PLACE, {}]))}
    row |= {"evse": str(evse), "connector_id": str(plug)}
    said = {
        "name": f"Station {station}", "evse_code": f"DE*ABC*ES{station}*{evse}",
        "max_power_kw": f"{evse},5", "phases": "3", "public_key": "04" + "AB" * 64,
        "valid_until": "31.12.2034", "connector": ("Typ 2", "CCS")[plug - 1],
    }  # fmt: skip
    return row | {name: value for name, value in said.items() if draw(st.booleans())}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, str]]:
    """Sometimes with a mistake."""
    table = draw(st.lists(good_rows(), min_size=1, max_size=8))
    if draw(st.integers(0, 3)) == 0:
        column = draw(st.sampled_from(sorted(MISTAKES)))
        table[draw(st.integers(0, len(table) - 1))][column] = MISTAKES[column]
    return table


def written(table: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    lines = csv.DictWriter(text, COLUMNS, restval="", delimiter=";")
    lines.writeheader()
    lines.writerows(table)
    return text.getvalue().encode("cp1252")


def after(made: Plan) -> Known:
    """What there is when a plan was carried out."""
    places = [
        PlaceNow(one.id, one.body.name, tuple(one.body.address.model_dump().values()))
        for one in made.places
    ]
    stations = {
        one.station_id: StationNow(
            {name: one.facts[name] for name in FACTS}, one.version, one.active, True, one.evses
        )
        for one in made.stations
    }
    return Known(places, {}, stations)


@given(tables())
def test_a_file_that_was_done_changes_nothing_when_it_comes_again(
    table: list[dict[str, str]],
) -> None:
    data = written(table)
    first = plan(rows.read(data), EMPTY, uuid7)
    assert all(one.outcome == "make" for one in first.stations)
    planned = {one.station_id for one in first.stations}
    assert planned or first.faults
    assert all(2 <= fault.line <= len(table) + 1 for fault in first.faults)
    if first.faults:
        return
    assert planned == {row["station_id"] for row in table}
    again = plan(rows.read(data), after(first), uuid7)
    assert (again.faults, again.places) == ([], [])
    assert [(one.outcome, one.fields) for one in again.stations] == [
        ("unchanged", {}) for _ in again.stations
    ]


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_the_bytes_are_reading_ends(data: bytes) -> None:
    for begin in (b"", b"station_id;evse;connector\n"):
        try:
            plan(rows.read(begin + data), EMPTY, uuid7)
        except Unreadable as error:
            assert error.why  # noqa: PT017 - raised for most bytes, not for all


def test_a_file_has_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "ROWS_MAX", 3)
    assert len(rows.read(b"station_id\nA\nB\nC\n").stations) == 3
    with pytest.raises(Unreadable, match="more than 3 rows"):
        rows.read(b"station_id\nA\nB\nC\nD\n")


def test_no_two_columns_have_one_name() -> None:
    assert len(NAMES) == sum(len({name, *others}) for name, others in ALIASES.items())


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        # Without a number a row is the next EVSE, or the one that has its code.
        ([("DE*ABC*E1", ""), ("DE*ABC*E2", ""), ("DE*ABC*E1", "")], {1: 2, 2: 1}),
        ([("", "2"), ("", ""), ("", "2")], {2: 2, 3: 1}),
    ],
)
def test_rows_without_a_number_count_up(
    cells: list[tuple[str, str]], numbers: dict[int, int]
) -> None:
    lines = "".join(f"A;{code};{number};CCS\n" for code, number in cells)
    file = rows.read(f"station_id;evse_code;evse;connector\n{lines}".encode())
    found: dict[Any, int] = {n: len(e.connectors) for n, e in file.stations["A"].evses.items()}
    assert found == numbers
