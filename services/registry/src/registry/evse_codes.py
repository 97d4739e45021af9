"""Pure: the EVSE codes of a station by the pattern of its template."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from registry.fields import EVSE_CODE_PATTERN

STATION: Final = "{station}"
EVSE: Final = "{evse}"
# In codes there are no others; P20-01 becomes P2001.
_OTHERS: Final = re.compile(r"[^A-Z0-9*]")


def generated(pattern: str, station_id: str, evse_id: int) -> str:
    """Raises ValueError if the result is no EVSE code."""
    station = _OTHERS.sub("", station_id.upper())
    code = pattern.replace(STATION, station).replace(EVSE, str(evse_id))
    if not re.fullmatch(EVSE_CODE_PATTERN, code):
        raise ValueError(f"{code} is no EVSE code such as DE*ABC*E1234*1, of at most 38 characters")
    return code


def _good(pattern: str) -> str:
    if STATION not in pattern or EVSE not in pattern:
        raise ValueError(f"needs {STATION} and {EVSE}, or all EVSEs would have one code")
    generated(pattern, "A", 1)
    return pattern


CodePattern = Annotated[
    str,
    Field(max_length=60, examples=["DE*ABC*E{station}*{evse}"]),
    AfterValidator(_good),
]
