"""Pure: the bytes of a file of stations -> what it says of each, and what is wrong with it.

A row is a connector with its EVSE and station, and needs to say of these only what an earlier row
has not said. A row of a station alone says nothing of its EVSEs.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar

from common import sheet_rows
from common.sheet_rows import Fault, Values
from common.sheets import Unreadable, opened
from registry.station_imports.columns import CONNECTOR, EVSE, METER, NAMES, STATION, value

ROWS_MAX: Final = 20_000

OF_EVSE: Final = (*EVSE, *METER)
OF_CONNECTOR: Final = ("connector_id", *CONNECTOR)


@dataclass
class Part:
    """What was said, by column, and in which line each was; line: the first."""

    line: int
    values: Values = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


@dataclass
class EvsePart(Part):
    connectors: dict[int, Part] = field(default_factory=dict)


@dataclass
class StationPart(Part):
    evses: dict[int, EvsePart] = field(default_factory=dict)


@dataclass
class File:
    """stations: by id, in the order of the file. bad: ids of those that a bad row is of."""

    encoding: str
    separator: str | None
    columns: tuple[str, ...]
    stations: dict[str, StationPart] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)


def read(data: bytes) -> File:
    """Raises Unreadable."""
    table = opened(data, frozenset(NAMES))
    columns = sheet_rows.columns(table.header, NAMES)
    if "station_id" not in columns:
        raise Unreadable("without station_id no station is known", 1)
    file = File(table.encoding, table.separator, columns)
    for count, (line, cells) in enumerate(sheet_rows.rows(table)):
        if count == ROWS_MAX:
            raise Unreadable(f"more than {ROWS_MAX} rows; send several files", line)
        values, faults = sheet_rows.values(columns, value, line, cells)
        said = {column: found for column, found in values.items() if found is not None}
        if not faults and "station_id" not in said:
            faults = [Fault(line, "station_id", "", "is needed")]
        faults = faults or _joined(file, line, said)
        file.faults += faults
        if faults and "station_id" in said:
            file.bad.add(said["station_id"])
    if not file.stations and not file.faults:
        raise Unreadable("the file has a header and no rows")
    return file


P = TypeVar("P", bound=Part)


def _joined(file: File, line: int, said: Values) -> list[Fault]:
    station = file.stations.setdefault(said["station_id"], StationPart(line))
    faults = _join(station, line, said, STATION)
    of_evse = {"evse", *OF_EVSE, *OF_CONNECTOR} & said.keys()
    if not of_evse:
        return faults
    number = said.get("evse") or _number_of(station, said.get("evse_code"))
    evse = station.evses.setdefault(number, EvsePart(line))
    faults += _join(evse, line, said, OF_EVSE)
    if set(OF_CONNECTOR) & said.keys():
        which = said.get("connector_id", max(evse.connectors, default=0) + 1)
        faults += _join(evse.connectors.setdefault(which, Part(line)), line, said, OF_CONNECTOR)
    return faults


def _number_of(station: StationPart, code: str | None) -> int:
    """The EVSE with this code, or the next one."""
    named = (n for n, one in station.evses.items() if code and one.values.get("evse_code") == code)
    return next(named, max(station.evses, default=0) + 1)


def _join(part: Part, line: int, said: Values, columns: Collection[str]) -> list[Fault]:
    faults = []
    for column in columns:
        if column not in said:
            continue
        before = part.values.setdefault(column, said[column])
        first = part.lines.setdefault(column, line)
        if before != said[column]:
            why = f"is not what line {first} says of the same"
            faults.append(Fault(line, column, sheet_rows.shown(said[column]), why))
    return faults
