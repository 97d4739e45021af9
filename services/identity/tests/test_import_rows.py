"""Files of people and cards: what is read of them, and what is wrong with them."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import exports
from common.sheets import ROWS_MAX, Unreadable
from identity.people import import_rows
from identity.people.import_rows import File

BERLIN = ZoneInfo("Europe/Berlin")
HEADER = "external_id;name;uid"


def read(text: str | bytes) -> File:
    return import_rows.read(text.encode() if isinstance(text, str) else text, BERLIN)


def faults(text: str | bytes) -> list[tuple[int, str | None, str]]:
    return [(one.line, one.column, one.value) for one in read(text).faults]


def test_a_row_has_the_values_of_its_columns_in_german_too() -> None:
    german = (
        "Personalnummer;Name;E-Mail;Aktiv;Gruppen;Karte;Kartenart;Bezeichnung;Gültig ab;Gültig bis;"
        "Firma;Kostenstelle;Monatslimit;Sperrgrund\r\n"
        "007;Ada; Ada@Example.org ;ja;Night|Day;04:a2:B3;RFID;Blue;31.03.2026;31.10.2026;"
        "ACME;4711;250,00;lost\r\n"
    )
    [row] = read(german).rows
    assert row.line == 2
    assert row.values == {
        "external_id": "007",
        "name": "Ada",
        "email": "ada@example.org",
        "active": True,
        "groups": ("Day", "Night"),
        "uid": "04A2B3",
        "card_kind": "rfid",
        "label": "Blue",
        # A day as an end counts whole, in the operator's time zone on either side of the change.
        "valid_from": datetime(2026, 3, 30, 22, tzinfo=UTC),
        "valid_until": datetime(2026, 10, 31, 23, tzinfo=UTC),
        "company": "ACME",
        "cost_centre": "4711",
        "monthly_cap": Decimal("250.00"),
        "blocked_reason": "lost",
    }


@pytest.mark.parametrize(
    ("coded", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_encoding_and_separator_are_found(coded: str, encoding: str, separator: str) -> None:
    lines = ("external_id", "name"), ("1", "Jürgen Weiß €")
    file = read("\n".join(separator.join(cells) for cells in lines).encode(coded))
    assert (file.encoding, file.separator) == (encoding, separator)
    assert file.rows[0].values["name"] == "Jürgen Weiß €"


def test_what_cp1252_has_no_letter_for_is_latin_1() -> None:
    assert read(b"external_id;name\n1;J\xfcr\x81gen").encoding == "latin-1"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", None, "no header"),
        (" \n\n", None, "no header"),
        (HEADER, None, "no rows"),
        (HEADER + "\n;;\n", None, "no rows"),
        ("name;uid;Colour;x\n", 1, "'Colour', 'x'"),
        ("name;uid;Karte\n", 1, "twice: uid"),
        ("name;email\n", 1, "without external_id and uid"),
        ("uid;" * 70 + "uid\n", 1, "more than 64"),
        (f'{HEADER}\n1;Ada;A\n2;"Bob;B\n3;Cyd;C\n', 3, "quote"),
        (f'{HEADER}\n1;"Ada"x;A\n', 2, "quote"),
        (f'{HEADER}\n1;"' + "x" * 200_000, 2, "quote"),
        (b"\xff\xfea\x00\x00\xd8", None, "UTF-16"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", None, "old .xls"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(text: str | bytes, line: int | None, why: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(text)
    assert why in refused.value.why
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        ("1;Ada", None, ""),
        ("1;Ada;A;more", None, ""),
        (";;;", None, ""),
        ("1;A\0da;A", "name", "A\ufffdda"),
        (f"1;{'x' * 201};A", "name", "x" * 80),
        ('1;"two\nlines";A', "name", "two\ufffdlines"),
        ("1;Ada;Ä", "uid", "Ä"),
        (f"1;Ada;{'0' * 37}", "uid", "0" * 37),
        (";Ada;A", "external_id", ""),
    ],
)
def test_a_bad_row_is_told_with_its_line_column_and_value(
    row: str, column: str | None, value: str
) -> None:
    good = "9;Good;9"
    file = read(f"{HEADER}\n{good}\n\n{row}\n8;Fine;8\n")
    if row == ";;;":  # an empty row is none, however many cells it has
        assert not file.faults
        return
    assert [(one.line, one.column, one.value) for one in file.faults] == [(4, column, value)]
    lines = [row.line for row in file.rows]
    assert lines == [2, 6 if "\n" in row else 5]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("email", "ada"),
        ("active", "perhaps"),
        ("card_kind", "paper"),
        ("valid_from", "31.02.2026"),
        ("valid_from", "soon"),
        ("valid_until", "2026-13-01"),
        ("monthly_cap", "1.234,50"),
        ("monthly_cap", "-1"),
        ("monthly_cap", "1e3"),
        ("label", "x" * 81),
        ("groups", "|".join(str(n) for n in range(101))),
    ],
)
def test_a_value_that_is_none_of_its_column_is_told(column: str, value: str) -> None:
    [fault] = read(f"external_id;uid;{column}\n1;A;{value}").faults
    assert (fault.line, fault.column, fault.value) == (2, column, value[:80])


@pytest.mark.parametrize(
    ("kind", "uid", "good"),
    [
        ("rfid", "0" * 21, False),
        ("rfid", "0" * 20, True),
        ("app", "0" * 36, True),
        ("emaid", "DE-ABC-C12345678-8", True),
        ("emaid", "DE-ABC-C12345678-9", False),
    ],
)
def test_a_uid_is_as_its_kind_has_it(kind: str, uid: str, good: bool) -> None:
    found = faults(f"uid;card_kind\n{uid};{kind}")
    assert found == ([] if good else [(2, "uid", uid)])


def test_a_uid_is_in_a_file_once_whatever_its_case_and_separators() -> None:
    assert faults("uid\n04:a2\nB\n04-A2\n04a2") == [(4, "uid", "04A2"), (5, "uid", "04A2")]


def test_the_rows_of_a_user_say_the_same_or_nothing() -> None:
    text = "external_id;name;email;uid\n1;Ada;;A\n1;;a@b.c;B\n1;Bob;;C\n1;Ada;a@b.c;D"
    file = read(text)
    assert [(one.line, one.column, one.value) for one in file.faults] == [(4, "name", "Bob")]
    assert file.users == {"1": {"name": "Ada", "email": "a@b.c"}}


def test_validity_ends_after_it_begins_and_may_last_for_ever() -> None:
    header = "uid;valid_from;valid_until\n"
    assert faults(header + "A;2026-05-01;2026-04-30")
    assert not faults(header + "A;2026-05-01;2026-05-01")  # the whole of the day
    [row] = read(header + "A;;31.12.9999").rows
    assert row.values["valid_until"].year == 9999
    moment = read(header + "A;2026-05-01T12:00:00+02:00;01.06.2026 08:30").rows[0].values
    assert moment["valid_from"] == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert moment["valid_until"] == datetime(2026, 6, 1, 6, 30, tzinfo=UTC)


def test_as_many_rows_as_are_allowed_are_read_and_no_more() -> None:
    rows = "\n".join(f"{number:X}" for number in range(ROWS_MAX))
    assert len(read("uid\n" + rows).rows) == ROWS_MAX
    with pytest.raises(Unreadable, match="more than"):
        read("uid\n" + rows + "\nFFFFFFFF")


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)


@given(NAMES.filter(lambda name: not name.startswith("'")), st.sampled_from(";,"))
def test_what_an_export_writes_an_import_reads(name: str, separator: str) -> None:
    lines = exports._lines([("external_id", "name"), ("1", name)], separator)
    file = read(exports.BOM + lines)
    assert file.separator == separator
    assert file.rows[0].values == {"external_id": "1", "name": name}


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_there_is_an_answer(data: bytes) -> None:
    try:
        read(data)
    except Unreadable:
        return


@given(st.text("ab1;,\t\"'\n\r=äé\0 |:", max_size=80))
def test_every_line_that_is_not_empty_is_a_row_or_a_fault(body: str) -> None:
    try:
        file = read(f"{HEADER};monthly_cap\n{body}")
    except Unreadable:
        return
    lines = [row.line for row in file.rows] + [fault.line for fault in file.faults]
    assert lines
    assert min(lines) >= 2
    assert {row.line for row in file.rows}.isdisjoint(fault.line for fault in file.faults)


def test_the_file_that_the_documents_show_is_good() -> None:
    page = (Path(__file__).parents[3] / "docs" / "imports.md").read_text()
    begin = page.index("external_id;name")
    file = import_rows.read(page[begin : page.index("```", begin)].encode(), ZoneInfo("UTC"))
    assert (file.faults, [row.values["card_kind"] for row in file.rows]) == ([], ["rfid", "emaid"])
    assert file.users["4711"]["groups"] == ("Fleet", "Night")
