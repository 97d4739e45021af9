"""The one place that reads the wall clock, and the moments that can be reckoned with."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field


def now() -> datetime:
    return datetime.now(UTC)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


# Any that there is in UTC: the end of the year 9999 is how some write for ever.
AnyMoment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
# With a day to each side, in any time zone.
EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
# One that is reckoned with: beyond these, a day before it or another time zone overflows.
Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)]
