"""Pure: the columns of a file of stations, and the text of a cell -> its value."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from common import sheet_rows
from common.exports import uncelled
from common.fields import Line
from common.sheets import Cell, Odd
from registry.fields import (
    CONNECTOR_ID_MAX,
    EVSE_ID_MAX,
    Country,
    EvseCode,
    Latitude,
    Longitude,
    StationId,
    TimeZone,
)
from registry.hardware.models import PowerType, Standard
from registry.hardware.public_keys import PublicKey

# Each with what else it may be called.
ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "station_id": ("station", "ladestation", "ocpp id"),
    "name": ("bezeichnung",),
    "location": ("örtlichkeit", "oertlichkeit", "standort"),
    "street": ("straße", "strasse", "adresse"),
    "postal_code": ("plz", "postleitzahl"),
    "city": ("stadt", "ort"),
    "country": ("land",),
    "latitude": ("lat", "breitengrad"),
    "longitude": ("lon", "lng", "längengrad", "laengengrad"),
    "time_zone": ("zeitzone",),
    "template": ("vorlage",),
    "vendor": ("hersteller",),
    "model": ("modell",),
    "evse": ("evse number", "ladepunkt"),
    "evse_code": ("evse id", "evseid", "evse kennung"),
    "max_power_kw": ("power kw", "leistung kw"),
    "phases": ("phasen",),
    "physical_reference": ("aufschrift",),
    "floor_level": ("stockwerk", "ebene"),
    "meter_serial_number": ("zählernummer", "zaehlernummer"),
    "meter_model": ("zählertyp", "zaehlertyp"),
    "public_key": ("öffentlicher schlüssel", "oeffentlicher schluessel"),
    "type_examination_certificate": ("baumusterprüfbescheinigung", "baumusterpruefbescheinigung"),
    "calibrated_at": ("geeicht am",),
    "valid_until": ("geeicht bis",),
    "connector": ("plug", "stecker", "steckertyp"),
    "connector_id": ("connector number", "steckernummer"),
    "connector_format": ("format",),
    "power_type": ("stromart",),
    "max_voltage": ("voltage", "spannung"),
    "max_amperage": ("amperage", "stromstärke", "stromstaerke"),
}
NAMES: Final = sheet_rows.names(ALIASES)
PLACE: Final = (
    "location", "street", "postal_code", "city", "country", "latitude", "longitude", "time_zone",
)  # fmt: skip
STATION: Final = ("name", *PLACE, "template", "vendor", "model")
METER: Final = {
    "meter_serial_number": "serial_number", "meter_model": "model", "public_key": "public_key",
    "type_examination_certificate": "type_examination_certificate",
    "calibrated_at": "calibrated_at", "valid_until": "valid_until",
}  # fmt: skip
# By column, the members of an EVSE and of a connector.
EVSE: Final = {
    "evse_code": "code", "max_power_kw": "max_power_w", "phases": "phases",
    "physical_reference": "physical_reference", "floor_level": "floor_level",
}  # fmt: skip
CONNECTOR: Final = {
    "connector": "standard", "connector_format": "format", "power_type": "power_type",
    "max_voltage": "max_voltage", "max_amperage": "max_amperage",
}  # fmt: skip
# What a spreadsheet must not take for numbers: they would have lost zeros at their beginning.
TEXTS: Final = ("station_id", "postal_code", "meter_serial_number", "public_key")
DAYS: Final = ("calibrated_at", "valid_until")

# As people call plugs, without case and blanks.
PLUGS: Final[dict[str, Standard]] = {
    "typ1": "IEC_62196_T1", "type1": "IEC_62196_T1", "typ2": "IEC_62196_T2",
    "type2": "IEC_62196_T2", "ccs": "IEC_62196_T2_COMBO", "ccs2": "IEC_62196_T2_COMBO",
    "ccs1": "IEC_62196_T1_COMBO", "schuko": "DOMESTIC_F", "chademo": "CHADEMO",
}  # fmt: skip
_NUMBER: Final = re.compile(r"-?[0-9]{1,10}(?:[.,][0-9]{1,20})?")
_GERMAN_DAY: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")

Reader = Callable[[str], Any]


def value(column: str, cell: Cell) -> Any:
    """Of a cell that is not empty. Raises ValueError."""
    return READERS[column](uncelled(cell) if isinstance(cell, str) else _text(column, cell))


def _text(column: str, cell: float | datetime | Odd | None) -> str:
    """The text of a cell that has another type to a spreadsheet."""
    if isinstance(cell, Odd):
        raise ValueError(cell.why)  # noqa: TRY004 - the file's fault, not the program's
    if isinstance(cell, datetime) and column in DAYS and cell.time() == time():
        return cell.date().isoformat()
    if cell is None or isinstance(cell, bool | datetime):
        raise ValueError("is a date or a truth value to the spreadsheet, not text")
    if column in TEXTS:
        raise ValueError(
            "is a number to the spreadsheet, so zeros at its beginning are lost; make the column's "
            "format text and enter it again"
        )
    return sheet_rows.number(cell)


def _typed(kind: Any, why: str | None = None) -> Reader:
    """why: instead of what the type says of itself."""
    adapter = TypeAdapter(kind)

    def read(text: str) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError as error:
            raise ValueError(why or words(error)) from None

    return read


def words(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")


def _number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("is no number such as 52.53 or 52,53")
    return Decimal(text.replace(",", "."))


def _degrees(kind: Any) -> Reader:
    adapter = TypeAdapter(kind)

    def read(text: str) -> Any:
        try:
            return adapter.validate_python(_number(text))
        except ValidationError as error:
            raise ValueError(words(error)) from None

    return read


def _watts(text: str) -> int:
    watts = _number(text) * 1000
    if not (0 < watts <= 10_000_000 and watts == int(watts)):
        raise ValueError("is no power in kW, of whole watts, up to 10000")
    return int(watts)


def _whole(most: int) -> Reader:
    kind = Annotated[int, Field(ge=1, le=most)]
    return _typed(kind, f"is no whole number from 1 to {most}")


def _phases(text: str) -> int:
    if text not in ("1", "3"):
        raise ValueError("is neither 1 nor 3")
    return int(text)


def _plug(text: str) -> Any:
    return _standard(PLUGS.get("".join(text.lower().split()), text))


def _day(text: str) -> date:
    try:
        if match := _GERMAN_DAY.fullmatch(text):
            day, month, year = map(int, match.groups())
            return date(year, month, day)
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("is no date such as 2026-12-31 or 31.12.2026") from None


_LINE: Final = _typed(Line, "has more than 200 characters, or one that cannot be printed")
_standard: Final = _typed(Standard, "is no plug as OCPI names it, nor Type 2, CCS, CHAdeMO, Schuko")
_code: Final = _typed(EvseCode, "is no EVSE code such as DE*ABC*E1234")
READERS: Final[Mapping[str, Reader]] = dict.fromkeys(ALIASES, _LINE) | {
    "station_id": _typed(StationId, "is none: 1 to 48 of A-Z, a-z, 0-9 and *-_=:+|@."),
    "postal_code": _typed(Annotated[Line, Field(max_length=20)]),
    "country": _typed(Country, "is no country as ISO 3166-1 writes it, such as DE"),
    "latitude": _degrees(Latitude),
    "longitude": _degrees(Longitude),
    "time_zone": _typed(TimeZone),
    "evse": _whole(EVSE_ID_MAX),
    "evse_code": lambda text: _code(text.upper()),
    "max_power_kw": _watts,
    "phases": _phases,
    "physical_reference": _typed(Annotated[Line, Field(max_length=16)]),
    "floor_level": _typed(Annotated[Line, Field(max_length=4)]),
    "public_key": _typed(PublicKey),
    "calibrated_at": _day,
    "valid_until": _day,
    "connector": _plug,
    "connector_id": _whole(CONNECTOR_ID_MAX),
    "connector_format": _typed(Literal["SOCKET", "CABLE"], "is neither SOCKET nor CABLE"),
    "power_type": _typed(PowerType),
    "max_voltage": _whole(10_000),
    "max_amperage": _whole(10_000),
}
