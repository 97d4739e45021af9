"""The shapes of what people send: bounded, and without what PostgreSQL cannot store."""

from typing import Annotated, Any, ClassVar, Self
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

# No control characters: NUL cannot be stored and a line break spoils a list.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
_TIME_ZONES = frozenset(available_timezones())

Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_PRINTABLE),
]
Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=80, pattern=_PRINTABLE)]
# ASCII, so that lower case is the same here, in PostgreSQL and in the mind of who types it.
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        min_length=3,
        max_length=254,
        pattern=r"^[!-?A-~]+@[!-?A-~]+$",
    ),
]
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


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Patch(Body):
    """What is left out stays as it is; null empties a field that may be empty."""

    may_be_null: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        for name in self.model_fields_set - self.may_be_null:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)
