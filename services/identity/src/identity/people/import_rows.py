"""Pure: the bytes of a file of people and cards -> its rows, and what is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from common import sheet_rows
from common.exports import uncelled
from common.sheet_rows import Fault, Values, shown
from common.sheets import Cell, Odd, Unreadable, opened
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
NAMES: Final = sheet_rows.names(ALIASES)
USER: Final = ("name", "email", "active", "groups")
CARD: Final = (
    "card_kind", "label", "valid_from", "valid_until", "company", "cost_centre", "monthly_cap",
    "blocked_reason",
)  # fmt: skip
MIDNIGHT: Final = time()


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

    def value(column: str, cell: Cell) -> Any:
        return readers[column](uncelled(cell) if isinstance(cell, str) else _text(column, cell))

    for line, cells in sheet_rows.rows(table):
        values, faults = sheet_rows.values(columns, value, line, cells)
        _put_uid_right(values)
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


def _columns(header: Sequence[str]) -> tuple[str, ...]:
    columns = sheet_rows.columns(header, NAMES)
    if not {"external_id", "uid"} & set(columns):
        raise Unreadable("without external_id and uid nothing is known by anything", 1)
    return columns


def _text(column: str, cell: float | datetime | Odd | None) -> str:
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
    assert cell is not None
    return sheet_rows.number(cell)


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
