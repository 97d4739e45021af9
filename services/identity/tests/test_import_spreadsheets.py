"""Spreadsheets of people and cards, sound and broken."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from common import sheets
from common.sheets import Unreadable
from identity.people import import_rows
from identity.people.import_rows import File


def sheet(*rows: Sequence[Any]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def read(data: bytes) -> File:
    return import_rows.read(data, ZoneInfo("Europe/Berlin"))


def parts(data: bytes, **changed: bytes | None) -> bytes:
    """The file with some of its parts others, or left out, by the end of their names."""
    into = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            key = name.rpartition("/")[2].partition(".")[0]
            content = changed.get(key, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return into.getvalue()


GOOD = sheet(("external_id", "uid"), ("1", "A"))


def test_a_spreadsheet_is_read_with_its_own_types() -> None:
    header = ("external_id", "uid", "active", "valid_from", "valid_until", "monthly_cap", "label")
    row = (
        4711,
        "0412",
        True,
        datetime.fromisoformat("2026-05-01T08:00"),
        date(2026, 5, 31),
        12.5,
        None,
    )
    file = read(sheet(header, (), row))
    assert (file.encoding, file.separator) == ("xlsx", None)
    assert file.rows[0].line == 3
    values = {name: str(value) for name, value in file.rows[0].values.items()}
    assert values == {
        "external_id": "4711",
        "uid": "0412",
        "active": "True",
        "valid_from": "2026-05-01 06:00:00+00:00",
        "valid_until": "2026-05-31 22:00:00+00:00",
        "monthly_cap": "12.5",
        "label": "None",
    }


@pytest.mark.parametrize(
    ("uid", "why"),
    [
        (4123456, "zeros at its beginning are lost"),
        (4.1e15, "zeros at its beginning are lost"),
        (True, "number"),
        (date(2026, 5, 1), "date"),
        ("=A1&B1", "formula"),
        ("#REF!", "error"),
        ("x" * 37, "36 characters"),
    ],
)
def test_a_uid_that_is_no_text_is_a_fault(uid: Any, why: str) -> None:
    file = read(sheet(("external_id", "uid"), ("1", uid), ("2", "B")))
    [fault] = file.faults
    assert (fault.line, fault.column) == (2, "uid")
    assert why in fault.why
    assert [row.line for row in file.rows] == [3]


def test_a_row_with_a_cell_beside_the_columns_is_a_fault() -> None:
    [fault] = read(sheet(("external_id", "uid"), ("1", "A", None, "x"))).faults
    assert (fault.line, fault.column) == (2, None)


def test_a_sheet_may_lie_about_its_size() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as book:
        xml = book.read("xl/worksheets/sheet1.xml")
    for size in (b"A1", b"A1:XFD1048576"):
        lie = xml.replace(b'ref="A1:B2"', b'ref="' + size + b'"')
        assert lie != xml
        assert len(read(parts(GOOD, sheet1=lie)).rows) == 1


def test_rows_far_down_and_far_right_end() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as book:
        xml = book.read("xl/worksheets/sheet1.xml")
    far = b'<row r="99999999999"><c r="XFD99999999999"><v>1</v></c></row></sheetData>'
    file = read(parts(GOOD, sheet1=xml.replace(b"</sheetData>", far)))
    assert len(file.rows) == 1


@pytest.mark.parametrize(
    "broken",
    [
        GOOD[:200],
        GOOD[:-50],
        b"PK\x03\x04",
        parts(GOOD, workbook=None),
        parts(GOOD, sheet1=None),
        parts(GOOD, sheet1=b"<no xml"),
        parts(GOOD, sheet1=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"),
        parts(GOOD, styles=b"\0"),
    ],
)
def test_a_broken_spreadsheet_is_refused(broken: bytes) -> None:
    with pytest.raises(Unreadable):
        read(broken)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 2**22
    monkeypatch.setattr(sheets, "UNPACKED_BYTES_MAX", size)
    bomb = parts(GOOD, sheet1=b"<a>" + b" " * size)
    assert len(bomb) < size / 300
    with pytest.raises(Unreadable, match="too large"):
        read(bomb)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4))
def test_a_spreadsheet_with_wrong_bytes_is_read_or_refused(place: int, wrong: bytes) -> None:
    try:
        read(GOOD[:place] + wrong + GOOD[place + len(wrong) :])
    except Unreadable:
        return
