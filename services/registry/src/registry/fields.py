"""Kinds of fields that several bodies have: what text is good, and which numbers."""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints

from common.money import plain

EVSE_ID_MAX = 1000  # more than any station has; a charger that counts up cannot fill the tables
CONNECTOR_ID_MAX = 100

# ISO 3166-1 alpha-2, as the IANA time zone database lists them (2026).
_COUNTRIES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ
    BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM
    DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS
    GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN
    KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ
    MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI
    VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_COUNTRIES.split())


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    # Two names that are no place: the server's own zone and a placeholder.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("no such time zone in the IANA database")
    return name


def _known_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("no such country in ISO 3166-1 alpha-2")
    return code


def _no_dots_only(station_id: str) -> str:
    # Clients and proxies resolve these in a path, so the station could never be addressed.
    if station_id in {".", ".."}:
        raise ValueError("a URL cannot carry this id")
    return station_id


def _with_a_point(value: object) -> object:
    if isinstance(value, str) and "," in value:
        raise ValueError("write a decimal point, not a comma")
    return value


def _to_centimetres(degrees: Decimal) -> Decimal:
    return round(degrees, 7)


def _shortest(value: Decimal) -> str:
    return plain(value.normalize())


TimeZone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_known_zone),
    Field(description="IANA name", examples=["Europe/Berlin"]),
]
Country = Annotated[
    str,
    StringConstraints(pattern="^[A-Z]{2}$"),
    AfterValidator(_known_country),
    Field(description="ISO 3166-1 alpha-2", examples=["DE"]),
]
# The bounds come first: rounding a number of a million digits is not a refusal but a crash.
_Rounded = AfterValidator(_to_centimetres)
_Pointed = BeforeValidator(_with_a_point)
_AsText = PlainSerializer(_shortest, return_type=str, when_used="json")
Latitude = Annotated[
    Decimal, Field(ge=-90, le=90, examples=["52.5170365"]), _Pointed, _Rounded, _AsText
]
Longitude = Annotated[
    Decimal, Field(ge=-180, le=180, examples=["13.3888599"]), _Pointed, _Rounded, _AsText
]

STATION_ID_PATTERN = r"^[A-Za-z0-9*\-_=:+|@.]{1,48}$"  # OCPP 2.0.1 part 2, identifierString, 48
StationId = Annotated[
    str,
    StringConstraints(pattern=STATION_ID_PATTERN),
    AfterValidator(_no_dots_only),
    Field(description="the charger's OCPP identity; unique on the platform", examples=["P20-01"]),
]
# eMI3 and ISO 15118-2 annex H: country, operator, E, outlet; the separators are optional.
EVSE_CODE_PATTERN = r"^[A-Z]{2}\*?[A-Z0-9]{3}\*?E[A-Z0-9][A-Z0-9*]{0,30}$"
EvseCode = Annotated[
    str,
    StringConstraints(pattern=EVSE_CODE_PATTERN),
    Field(description="public EVSE id; unique on the platform", examples=["DE*ABC*E1234"]),
]


def bare(code: str) -> str:
    """An EVSE code without its separators, which are only there to be read."""
    return code.replace("*", "")
