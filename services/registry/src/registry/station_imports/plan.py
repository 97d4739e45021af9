"""Pure: what a file says and what there is -> what an import would do.

A file adds and changes; what it does not say, and what it leaves empty, stays as it is. A template
is for stations that are new, and a location that is there already is used as it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from common.sheet_rows import Fault, Values, shown
from registry.fields import bare
from registry.hardware.evse_codes import made_of
from registry.hardware.models import Evse, EvseKind, Evses, one_evse
from registry.places.models import LocationIn
from registry.station_imports.columns import CONNECTOR, EVSE, METER, PLACE, words
from registry.station_imports.rows import EvsePart, File, StationPart

ADDRESS: Final = ("street", "postal_code", "city", "country")
OWN: Final = ("name", "vendor", "model")
FACTS: Final = (*OWN, "location_id")
DC_PLUGS: Final = frozenset({
    "CHADEMO", "CHAOJI", "GBT_DC", "IEC_62196_T1_COMBO", "IEC_62196_T2_COMBO",
})  # fmt: skip
_EVSES: Final = TypeAdapter[list[Evse]](Evses)

Address = tuple[str, ...]  # in the order of ADDRESS
Fields = dict[str, tuple[Any, ...]]  # of what changes, before and after
Outcome = Literal["make", "change", "unchanged"]


@dataclass(frozen=True)
class PlaceNow:
    id: UUID
    name: str
    address: Address


@dataclass(frozen=True)
class TemplateNow:
    vendor: str
    model: str
    code_pattern: str | None
    evses: list[EvseKind]


@dataclass(frozen=True)
class StationNow:
    facts: dict[str, Any]  # of FACTS
    version: int
    active: bool
    stands: bool
    evses: list[Evse]


@dataclass(frozen=True)
class Known:
    """templates: by their names in small letters; stations: those that the file names."""

    places: list[PlaceNow]
    templates: dict[str, TemplateNow]
    stations: dict[str, StationNow]


@dataclass(frozen=True)
class NewPlace:
    id: UUID
    line: int
    body: LocationIn


@dataclass(frozen=True)
class Wanted:
    """A station as it will be."""

    station_id: str
    line: int
    outcome: Outcome
    version: int
    active: bool
    facts: dict[str, Any]
    before: list[Evse]
    evses: list[Evse]
    fields: Fields
    code_lines: dict[str, int]  # by the bare code


@dataclass
class Plan:
    places: list[NewPlace] = field(default_factory=list)
    stations: list[Wanted] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class Refused(Exception):
    def __init__(self, line: int, column: str | None, value: object, why: str) -> None:
        super().__init__(why)
        self.fault = Fault(line, column, "" if value is None else shown(value), why)


def plan(file: File, known: Known, new_id: Callable[[], UUID]) -> Plan:
    """In the order of the file. Of a station with a bad row nothing is planned."""
    made = Plan(faults=list(file.faults))
    places = _Places(known.places, new_id)
    codes: dict[str, int] = {}
    for station_id, part in file.stations.items():
        if station_id in file.bad:
            continue
        try:
            wanted = _wanted(station_id, part, known, places)
            _once(wanted, codes)
        except Refused as refused:
            made.faults.append(refused.fault)
        else:
            made.stations.append(wanted)
    made.places = list(places.new.values())
    made.faults.sort(key=lambda fault: fault.line)
    return made


def _once(wanted: Wanted, codes: dict[str, int]) -> None:
    for code, line in wanted.code_lines.items():
        if (first := codes.setdefault(code, line)) != line:
            raise Refused(line, "evse_code", code, f"is in line {first} already")


def _wanted(station_id: str, part: StationPart, known: Known, places: "_Places") -> Wanted:
    now = known.stations.get(station_id)
    if now is not None and not now.stands:
        raise Refused(part.line, "station_id", station_id, "is decommissioned")
    template = _template(part, known)
    facts: dict[str, Any] = dict.fromkeys(FACTS) | {"name": station_id}
    if now is not None:
        facts = dict(now.facts)
    elif template is not None:
        facts |= {"vendor": template.vendor, "model": template.model}
    facts |= {
        name: part.values[name] for name in ("name", "vendor", "model") if name in part.values
    }
    if (location_id := places.of(part)) is not None:
        facts["location_id"] = location_id
    evses = _evses(station_id, part, now, template)
    before = now.evses if now else []
    fields = _differences(now, facts, before, evses, places)
    outcome: Outcome = "make" if now is None else "change" if fields else "unchanged"
    lines = {
        bare(evse.code): (part.evses.get(evse.evse_id) or part).line for evse in evses if evse.code
    }
    return Wanted(
        station_id,
        part.line,
        outcome,
        version=now.version + 1 if now else 1,
        active=now.active if now else True,
        facts=facts,
        before=before,
        evses=evses,
        fields=fields,
        code_lines=lines,
    )


def _differences(
    now: StationNow | None,
    facts: dict[str, Any],
    before: list[Evse],
    evses: list[Evse],
    places: "_Places",
) -> Fields:
    was = now.facts if now else dict.fromkeys(facts)
    fields: Fields = {
        name: (was[name], value) for name, value in facts.items() if value != was[name]
    }
    if "location_id" in fields:
        fields["location"] = tuple(places.names.get(one) for one in fields.pop("location_id"))
    if before != evses:
        fields["evses"] = (before or None, evses)
    return fields


def _template(part: StationPart, known: Known) -> TemplateNow | None:
    name = part.values.get("template")
    if name is None:
        return None
    if name.casefold() not in known.templates:
        raise Refused(part.lines["template"], "template", name, "there is no such template")
    return known.templates[name.casefold()]


def _evses(
    station_id: str, part: StationPart, now: StationNow | None, template: TemplateNow | None
) -> list[Evse]:
    evses = now.evses if now else []
    if now is None and template is not None:
        try:
            evses = made_of(template.evses, template.code_pattern, station_id)
        except ValueError as error:
            raise Refused(part.line, "template", part.values["template"], str(error)) from error
    if not part.evses:
        return evses or one_evse()
    by_id = {evse.evse_id: evse for evse in evses}
    for number, said in part.evses.items():
        by_id[number] = _evse(number, said, by_id.get(number))
    try:
        return _EVSES.validate_python([by_id[number] for number in sorted(by_id)])
    except ValidationError as error:
        raise Refused(part.line, None, None, words(error)) from error


def _evse(number: int, part: EvsePart, now: Evse | None) -> Evse:
    body: dict[str, Any] = now.model_dump() if now else {"evse_id": number}
    body |= _members(part.values, EVSE)
    if meter := _members(part.values, METER):
        body["meter"] = (body.get("meter") or {}) | meter
    if part.connectors:
        there = {one["connector_id"]: one for one in body.get("connectors", ())}
        for which, said in part.connectors.items():
            new = {"connector_id": which, **_usual(said.values, body.get("phases"))}
            there[which] = there.get(which, new) | _members(said.values, CONNECTOR)
        body["connectors"] = [there[which] for which in sorted(there)]
    try:
        return Evse.model_validate(body)
    except ValidationError as error:
        raise Refused(part.line, None, None, words(error)) from error


def _members(values: Values, columns: dict[str, str]) -> dict[str, Any]:
    return {member: values[column] for column, member in columns.items() if column in values}


def _usual(values: Values, phases: int | None) -> dict[str, str]:
    """What a new connector is if the file does not say."""
    if values.get("connector") in DC_PLUGS:
        return {"power_type": "DC", "format": "CABLE"}
    return {"power_type": "AC_1_PHASE" if phases == 1 else "AC_3_PHASE", "format": "SOCKET"}


class _Places:
    """Locations by what a row says of them; those that are not there are made once."""

    def __init__(self, now: list[PlaceNow], new_id: Callable[[], UUID]) -> None:
        self._new_id = new_id
        self._by_name: dict[str, list[UUID]] = {}
        self._by_address: dict[Address, list[UUID]] = {}
        self._by_both: dict[tuple[str, Address], UUID] = {}
        self.new: dict[UUID, NewPlace] = {}
        self.names: dict[UUID, str] = {}
        for place in now:
            self._enter(place.id, place.name, place.address)

    def _enter(self, place_id: UUID, name: str, address: Address) -> None:
        self.names[place_id] = name
        name, address = name.casefold(), tuple(word.casefold() for word in address)
        self._by_name.setdefault(name, []).append(place_id)
        self._by_address.setdefault(address, []).append(place_id)
        self._by_both.setdefault((name, address), place_id)

    def of(self, part: StationPart) -> UUID | None:
        """None if the file says nothing of it. Raises Refused."""
        said: Values = {one: part.values[one] for one in PLACE if one in part.values}
        if not said:
            return None
        name = said.get("location")
        missing = [column for column in ADDRESS if column not in said]
        if name is not None and set(said) == {"location"}:
            return self._only(part, "location", name, self._by_name.get(name.casefold(), []))
        if missing:
            raise Refused(
                part.line, missing[0], None, "is needed, as street, postal_code, city and country "
                "are together; a location that is there already is known by its name alone",
            )  # fmt: skip
        address: Address = tuple(said[column].casefold() for column in ADDRESS)
        if name is None:
            found = self._by_address.get(address, [])
            there = self._only(part, "street", said["street"], found) if found else None
        else:
            there = self._by_both.get((name.casefold(), address))
        if there is None:
            return self._make(part, said)
        self._check(part, there, said)
        return there

    def _only(self, part: StationPart, column: str, value: str, found: list[UUID]) -> UUID:
        line = part.lines[column]
        if not found:
            why = "there is no such location; with its address it is made"
            raise Refused(line, column, value, why)
        if len(found) > 1:
            raise Refused(line, column, value, "there are several; say which by name and address")
        return found[0]

    def _make(self, part: StationPart, said: Values) -> UUID:
        new = NewPlace(self._new_id(), part.line, _location(part, said))
        self.new[new.id] = new
        self._enter(new.id, new.body.name, tuple(said[column] for column in ADDRESS))
        return new.id

    def _check(self, part: StationPart, place_id: UUID, said: Values) -> None:
        """Rows that make one location say the same of it."""
        new = self.new.get(place_id)
        for column in ("latitude", "longitude", "time_zone"):
            if new and column in said and said[column] != getattr(new.body, column):
                why = f"is not what line {new.line} says of the same location"
                raise Refused(part.lines[column], column, said[column], why)


def _location(part: StationPart, said: Values) -> LocationIn:
    point = ("latitude", "longitude", "time_zone")
    body: dict[str, Any] = {name: said[name] for name in point if name in said}
    body["name"] = said.get("location", f"{said['street']}, {said['city']}"[:200])
    body["address"] = {column: said[column] for column in ADDRESS}
    try:
        return LocationIn.model_validate(body)
    except ValidationError as error:
        column = next((one for one in ("latitude", "longitude") if one in said), None)
        line = part.lines[column] if column else part.line
        value = " ".join(str(said[one]) for one in ("latitude", "longitude") if one in said)
        raise Refused(line, column, value, words(error)) from error


def as_json(fields: Fields) -> Iterator[tuple[str, Any, Any]]:
    """The name, before and after of each, as JSON has it."""
    for name, values in fields.items():
        before, after = (
            [one.model_dump(mode="json", exclude_none=True) for one in value]
            if isinstance(value, list)
            else None if value is None else str(value)
            for value in values
        )  # fmt: skip
        yield name, before, after
