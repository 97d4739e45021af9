"""Pure: the bytes of a CSV or XLSX file -> a header and cells. Whatever the bytes are, they end."""

import csv
import io
import zipfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

from openpyxl import load_workbook

ROWS_MAX: Final = 200_000
LINES_MAX: Final = 1_048_576  # of a spreadsheet, most of which are empty
COLUMNS_MAX: Final = 64
# A file of ROWS_MAX rows has some 150 MB in it; beyond this it is meant to fill the memory.
UNPACKED_BYTES_MAX: Final = 256 * 2**20
PARTS_MAX: Final = 2000
SEPARATORS: Final = (";", ",", "\t")
ZIP: Final = b"PK\x03\x04"
OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"
DOCTYPE: Final = b"<!DOCTYPE"  # by which XML grows when it is read; no spreadsheet has one


class Unreadable(Exception):
    """The file as a whole cannot be used; line: where it was noticed."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


ODD: Final = {"f": "is a formula; paste its value", "e": "is an error of the spreadsheet"}


@dataclass(frozen=True, slots=True)
class Odd:
    """A cell of a spreadsheet that is nothing to import."""

    text: str
    why: str


Cell = str | int | float | bool | datetime | Odd | None
Lines = Iterator[tuple[int, Sequence[Cell]]]  # each with its number in the file, from 1


@dataclass
class Opened:
    """lines: those below the header that are not empty. Iterating may raise Unreadable."""

    encoding: str
    separator: str | None  # None: a spreadsheet
    header: list[str]
    lines: Lines


def opened(data: bytes, known: frozenset[str]) -> Opened:
    """known: names of columns, by which the separator of CSV is found. Raises Unreadable."""
    if data.startswith(OLD_EXCEL):
        raise Unreadable("this is an old .xls or a protected file; save it as .xlsx or as CSV")
    if data.startswith(ZIP):
        return _headed("xlsx", None, _spreadsheet(data))
    text, encoding = _decoded(data)
    separator = _separator(text, known)
    return _headed(encoding, separator, _csv(text, separator))


def _headed(encoding: str, separator: str | None, lines: Lines) -> Opened:
    full = _bounded(lines)
    line, header = next(full, (0, ()))
    names = [cell.strip() if isinstance(cell, str) else "" for cell in header]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise Unreadable("the file has no header")
    if len(names) > COLUMNS_MAX:
        raise Unreadable(f"more than {COLUMNS_MAX} columns", line)
    return Opened(encoding, separator, names, full)


def _bounded(lines: Lines) -> Lines:
    """Those with something in them."""
    count = 0
    for line, cells in lines:
        if all(cell is None or cell == "" for cell in cells):
            continue
        if count > ROWS_MAX:  # the header counts as well
            raise Unreadable(f"more than {ROWS_MAX} rows; send several files", line)
        count += 1
        yield line, cells


def _decoded(data: bytes) -> tuple[str, str]:
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        try:
            return data.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as error:
            raise Unreadable("it begins as UTF-16 and goes on as something else") from error
    try:
        return data.removeprefix(BOM_UTF8).decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:  # five bytes mean nothing there
        return data.decode("latin-1"), "latin-1"


def _separator(text: str, known: frozenset[str]) -> str:
    first = next((line for line in io.StringIO(text) if line.strip()), "")[:10_000]

    def fits(separator: str) -> int:
        return sum(_plain(name) in known for name in first.split(separator))

    return max(SEPARATORS, key=fits)  # the first of those that fit alike


def _plain(name: str) -> str:
    return column_key(name.strip().strip('"'))


def column_key(name: str) -> str:
    """A column's name however it is written: Cost Centre, cost-centre, COST_CENTRE."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def _csv(text: str, separator: str) -> Lines:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = f"a quote opened here is not closed as it should be ({error})"
            raise Unreadable(why, line) from error
        yield line, [cell.strip() for cell in cells]
        line = reader.line_num + 1


def _spreadsheet(data: bytes) -> Lines:
    """The first sheet. What is wrong with the file is noticed while it is read."""
    try:
        _check_size(data)
        book = load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # What a file says of its own size need not be true.
        sheet.reset_dimensions()
        rows = sheet.iter_rows(max_row=LINES_MAX, max_col=COLUMNS_MAX + 1)
        for line, cells in enumerate(rows, start=1):
            yield line, [_cell(cell) for cell in cells]
    except Unreadable:
        raise
    except Exception as error:
        # openpyxl raises whatever a broken file makes happen: KeyError, ParseError, …
        raise Unreadable(f"no spreadsheet that can be read ({type(error).__name__})") from error


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        found = parts.infolist()
        # Reading stops at the size a part is said to have, so the sum of them is the bound.
        if len(found) > PARTS_MAX or sum(part.file_size for part in found) > UNPACKED_BYTES_MAX:
            raise Unreadable("unpacked, the spreadsheet is too large")
        for part in found:
            if part.filename.endswith((".xml", ".rels")):
                with parts.open(part) as file:
                    beginning = file.read(2000).replace(b"\0", b"")
                if DOCTYPE in beginning.upper():
                    raise Unreadable("a spreadsheet has no document type")


def _cell(cell: Any) -> Cell:
    value = cell.value
    if value is not None and cell.data_type in ODD:
        return Odd(str(value), ODD[cell.data_type])
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, bool | int | float | datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    return Odd(str(value), "is a time of day")
