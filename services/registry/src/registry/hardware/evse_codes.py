"""Pure: the EVSEs of a station by its template, with their codes by a pattern."""

import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from registry.fields import EVSE_CODE_PATTERN
from registry.hardware.models import Evse, EvseKind

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


def made_of(kinds: Iterable[EvseKind], pattern: str | None, station_id: str) -> list[Evse]:
    """Raises ValueError if the pattern makes no EVSE code of this station's id."""
    evses = [Evse.model_validate(dict(kind)) for kind in kinds]
    if pattern is None:
        return evses
    return [
        evse.model_copy(update={"code": generated(pattern, station_id, evse.evse_id)})
        for evse in evses
    ]
