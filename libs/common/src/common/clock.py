"""The one place that reads the wall clock, and the moments that can be reckoned with."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

# With a month to each side that a timestamp can hold, in any time zone.
EARLIEST: Final = datetime(1970, 2, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
# One that somebody asks for; beyond these, arithmetic and other time zones overflow.
Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)]


def now() -> datetime:
    return datetime.now(UTC)
