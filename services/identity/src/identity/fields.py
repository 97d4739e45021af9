"""The shapes of what people send: bounded, and without what PostgreSQL cannot store."""

from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
)

from identity import business_ids

# No control characters: NUL cannot be stored and a line break spoils a list.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_TIME_ZONES = frozenset(available_timezones())

Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80, pattern=_PRINTABLE)]
Locations = Annotated[
    list[UUID],
    Field(
        max_length=500, description="the locations that may be seen and changed; null: every one"
    ),
]
Password = Annotated[SecretStr, Field(min_length=12, max_length=256)]


def _known_time_zone(name: str) -> str:
    if name not in _TIME_ZONES:
        raise ValueError("not a name of the IANA time zone database")
    return name


TimeZone = Annotated[
    str, Field(max_length=64, examples=["Europe/Berlin"]), AfterValidator(_known_time_zone)
]


Country = Annotated[
    str,
    Field(max_length=2, description="ISO 3166-1 alpha-2", examples=["DE"]),
    AfterValidator(business_ids.country),
]
VatId = Annotated[
    str, Field(max_length=30, examples=["DE123456789"]), AfterValidator(business_ids.vat_id)
]
Iban = Annotated[
    str,
    Field(max_length=50, examples=["DE02120300000000202051"]),
    AfterValidator(business_ids.iban),
]
Bic = Annotated[
    str, Field(max_length=20, examples=["BYLADEM1001"]), AfterValidator(business_ids.bic)
]
Language = Literal["cs", "da", "de", "en", "es", "fr", "it", "nl", "pl", "sv"]


def _once(languages: list[Language]) -> list[Language]:
    if len(set(languages)) < len(languages):
        raise ValueError("name each language once")
    return languages


Languages = Annotated[
    list[Language],
    Field(min_length=1, max_length=10, description="BCP 47; the first is the default"),
    AfterValidator(_once),
]
