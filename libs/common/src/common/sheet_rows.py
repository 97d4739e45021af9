"""Pure: the cells of a file -> values by column, and what is wrong with them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.sheets import Cell, Odd, Opened, Unreadable, column_key

SHOWN_MAX: Final = 80

Values = dict[str, Any]  # by column, of those the file has; None: the cell is empty


@dataclass(frozen=True, slots=True)
class Fault:
    """column and value: None and empty if it is the whole row that is wrong."""

    line: int
    column: str | None
    value: str
    why: str


def names(aliases: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The column that each of its names means, as column_key writes them."""
    return {
        column_key(name): column for column, others in aliases.items() for name in (column, *others)
    }


def columns(header: Sequence[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """Raises Unreadable for columns that are unknown or there twice."""
    unknown = [name for name in header if column_key(name) not in known]
    if unknown:
        told = ", ".join(repr(name[:SHOWN_MAX]) for name in unknown)
        every = ", ".join(dict.fromkeys(known.values()))
        raise Unreadable(f"unknown columns: {told}; known are {every}", 1)
    found = tuple(known[column_key(name)] for name in header)
    if twice := {name for name in found if found.count(name) > 1}:
        raise Unreadable(f"columns that are there twice: {', '.join(sorted(twice))}", 1)
    return found


def rows(table: Opened) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Cells of a spreadsheet end where the last is that has something in it."""
    width = len(table.header)
    for line, cells in table.lines:
        if table.separator is None and not any(cell is not None for cell in cells[width:]):
            yield line, cells[:width]
        else:
            yield line, cells


def values(
    columns: Sequence[str], read: Callable[[str, Cell], Any], line: int, cells: Sequence[Cell]
) -> tuple[Values, list[Fault]]:
    """read: the value of a column's cell that is not empty; its ValueError is a fault."""
    if len(cells) != len(columns):
        why = f"the row has {len(cells)} cells, the header {len(columns)}"
        return {}, [Fault(line, None, "", why)]
    found: Values = {}
    faults: list[Fault] = []
    for column, cell in zip(columns, cells, strict=True):
        try:
            found[column] = None if cell in (None, "") else read(column, cell)
        except ValueError as error:
            faults.append(Fault(line, column, shown(cell), str(error)))
    return found, faults


def number(cell: float) -> str:
    """A number of a spreadsheet as people write it."""
    return str(int(cell)) if float(cell).is_integer() else repr(cell)


def shown(value: object) -> str:
    """A value as a list of faults can hold it: short, of one line, and storable."""
    if isinstance(value, Odd):
        value = value.text
    if isinstance(value, tuple):
        value = "|".join(value)
    text = str(value)[:SHOWN_MAX].encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
