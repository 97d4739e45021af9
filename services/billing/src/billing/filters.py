"""Query parameters that several lists share."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime, Field

# PostgreSQL's text cannot hold NUL, not even in a comparison.
OfStation = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]
# Within what a timestamp in any time zone can hold.
Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 2, tzinfo=UTC), lt=datetime(2200, 1, 1, tzinfo=UTC))
]
