"""Pure: the bytes of a file of people and cards -> its rows, and what is wrong with it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from common.exports import uncelled
from common.sheets import Cell, Odd, Opened, Unreadable, column_key, opened
from identity import uids
from identity.people import import_values

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "external_id": ("externe id", "externe kennung", "personalnummer", "personnel number"),
    "name": ("full name", "nutzer"),
    "email": ("e mail", "mail", "e mail adresse"),
    "active": ("aktiv",),
    "groups": ("user groups", "gruppen", "nutzergruppen"),
    "uid": ("card", "karte", "kartennummer", "card number", "rfid"),
    "card_kind": ("kind", "kartenart", "art"),
    "label": ("bezeichnung", "beschriftung"),
    "valid_from": ("gültig ab", "gueltig ab", "gültig von", "gueltig von"),
    "valid_until": ("gültig bis", "gueltig bis"),
    "company": ("unternehmen", "firma"),
    "cost_centre": ("cost center", "kostenstelle"),
    "monthly_cap": ("monatslimit", "monatsgrenze"),
    "blocked_reason": ("sperrgrund",),
}
NAMES: Final = {
    column_key(name): column for column, others in ALIASES.items() for name in (column, *others)
}
USER: Final = ("name", "email", "active", "groups")
CARD: Final = (
    "card_kind", "label", "valid_from", "valid_until", "company", "cost_centre", "monthly_cap",
    "blocked_reason",
)  # fmt: skip
SHOWN_MAX: Final = 80
MIDNIGHT: Final = time()

Values = dict[str, Any]  # by column, of those the file has; None: the cell is empty


@dataclass(frozen=True, slots=True)
class Fault:
    """column and value: None and empty if it is the whole row that is wrong."""

    line: int
    column: str | None
    value: str
    why: str


@dataclass(slots=True)
class Row:
    line: int
    values: Values


@dataclass
class File:
    """What is read. users: what the good rows together say of each, by external id."""

    encoding: str
    separator: str | None
    columns: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    users: dict[str, Values] = field(default_factory=dict)
    # Whoever is named, in a bad row too: they are not missing.
    named: set[str] = field(default_factory=set)
    uids: dict[str, int] = field(default_factory=dict)  # each with the line that has it first


def read(data: bytes, zone: ZoneInfo) -> File:
    """zone: of days without a time. Raises Unreadable."""
    table = opened(data, frozenset(NAMES))
    columns = _columns(table.header)
    file = File(table.encoding, table.separator, columns)
    readers = import_values.readers(zone)
    for line, cells in _rows(table):
        values, faults = _values(columns, readers, line, cells)
        if not faults:
            faults = list(_row_faults(line, values))
        faults += _faults_beside_others(file, line, values)
        if faults:
            file.faults += faults
            continue
        _join_user(file, values)
        file.rows.append(Row(line, values))
    if not file.rows and not file.faults:
        raise Unreadable("the file has a header and no rows")
    return file


def _rows(table: Opened) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Cells of a spreadsheet end where the last is that has something in it."""
    width = len(table.header)
    for line, cells in table.lines:
        if table.separator is None and not any(cell is not None for cell in cells[width:]):
            yield line, cells[:width]
        else:
            yield line, cells


def _columns(header: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in header if column_key(name) not in NAMES]
    if unknown:
        told = ", ".join(repr(name[:SHOWN_MAX]) for name in unknown)
        raise Unreadable(f"unknown columns: {told}; known are {', '.join(ALIASES)}", 1)
    columns = tuple(NAMES[column_key(name)] for name in header)
    if twice := {name for name in columns if columns.count(name) > 1}:
        raise Unreadable(f"columns that are there twice: {', '.join(sorted(twice))}", 1)
    if not {"external_id", "uid"} & set(columns):
        raise Unreadable("without external_id and uid nothing is known by anything", 1)
    return columns


def _values(
    columns: Sequence[str],
    readers: Mapping[str, Callable[[str], Any]],
    line: int,
    cells: Sequence[Cell],
) -> tuple[Values, list[Fault]]:
    if len(cells) != len(columns):
        why = f"the row has {len(cells)} cells, the header {len(columns)}"
        return {}, [Fault(line, None, "", why)]
    values: Values = {}
    faults: list[Fault] = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            values[column] = _value(column, readers[column], cell)
        except ValueError as error:
            faults.append(Fault(line, column, shown(cell), str(error)))
    _put_uid_right(values)
    return values, faults


def _value(column: str, reader: Callable[[str], Any], cell: Cell) -> Any:
    """Raises ValueError."""
    if cell is None or cell == "":
        return None
    text = uncelled(cell) if isinstance(cell, str) else _of_a_spreadsheet(column, cell)
    return reader(text)


def _of_a_spreadsheet(column: str, cell: float | datetime | Odd) -> str:
    """The text of a cell that has another type. Raises ValueError."""
    if isinstance(cell, Odd):
        raise ValueError(cell.why)  # noqa: TRY004 - the file's fault, not the program's
    if isinstance(cell, datetime):
        if column not in ("valid_from", "valid_until"):
            raise ValueError("is a date to the spreadsheet; make the column's format text")
        return cell.date().isoformat() if cell.time() == MIDNIGHT else cell.isoformat()
    if column == "uid":
        raise ValueError(
            "is a number to the spreadsheet, so zeros at its beginning are lost; make the column's "
            "format text and enter the uids again"
        )
    if isinstance(cell, bool) and column != "active":
        raise ValueError("is a truth value to the spreadsheet, not text")
    return _number(cell)


def _number(cell: float) -> str:
    return str(int(cell)) if float(cell).is_integer() else repr(cell)


def _put_uid_right(values: Values) -> None:
    uid = values.get("uid")
    if uid is not None and values.get("card_kind") in (None, "rfid"):
        values["uid"] = uids.without_separators(uid)


def _row_faults(line: int, values: Values) -> Iterator[Fault]:
    uid, person = values.get("uid"), values.get("external_id")
    if uid is None and person is None:
        yield Fault(line, None, "", "neither an external_id nor a uid")
        return
    if person is None and any(values.get(column) is not None for column in USER):
        yield Fault(line, "external_id", "", "is needed to know the user by")
    if uid is None and any(values.get(column) is not None for column in CARD):
        yield Fault(line, "uid", "", "is needed to know the card by")
    if uid is not None and (kind := values.get("card_kind")) is not None:
        why = uids.fault(kind, uid)
        if why is not None:
            yield Fault(line, "uid", shown(uid), why)
    begin, end = values.get("valid_from"), values.get("valid_until")
    if begin is not None and end is not None and begin >= end:
        yield Fault(line, "valid_until", end.isoformat(), "is not after valid_from")


def _faults_beside_others(file: File, line: int, values: Values) -> list[Fault]:
    faults = []
    uid, person = values.get("uid"), values.get("external_id")
    if uid is not None and (first := file.uids.setdefault(uid, line)) != line:
        faults.append(Fault(line, "uid", shown(uid), f"is in line {first} already"))
    if person is not None:
        file.named.add(person)
        known = file.users.get(person, {})
        for column in USER:
            value, before = values.get(column), known.get(column)
            if value is not None and before is not None and value != before:
                why = "is not what another row says of the same user"
                faults.append(Fault(line, column, shown(value), why))
    return faults


def _join_user(file: File, values: Values) -> None:
    """A user with several cards has several rows; what one leaves empty another may say."""
    if (person := values.get("external_id")) is None:
        return
    known = file.users.setdefault(person, {})
    for column in USER:
        if column in values and known.get(column) is None:
            known[column] = values[column]


def shown(value: object) -> str:
    """A value as a list of faults can hold it: short, of one line, and storable."""
    if isinstance(value, Odd):
        value = value.text
    if isinstance(value, tuple):
        value = "|".join(value)
    text = str(value)[:SHOWN_MAX].encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
