"""Query parameters that several lists share."""

from typing import Annotated

from fastapi import Query

# PostgreSQL's text cannot hold NUL, not even in a comparison.
OfStation = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]
