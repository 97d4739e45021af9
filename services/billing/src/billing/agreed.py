"""Pure: which of a partner's agreements is meant where and when."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from common.places import Names

# The closer a place is named, the sooner its price counts.
CLOSENESS: Final = {"everywhere": 0, "location": 1, "station_group": 2, "station": 3}


@dataclass(frozen=True)
class Agreed:
    id: UUID
    places: Names
    valid_from: date | None
    valid_until: date | None  # the last day
    tariff_id: UUID | None  # None: the operator's own price


def chosen(agreements: Iterable[Agreed], here: Names, day: date) -> Agreed | None:
    """The one that names the place most closely; of several the one made last."""
    meant = [one for one in agreements if one.places & here and _in_force(one, day)]
    return max(meant, key=lambda one: (_closeness(one, here), one.id), default=None)


def _closeness(one: Agreed, here: Names) -> int:
    return max(CLOSENESS[kind] for kind, _ in one.places & here)


def _in_force(one: Agreed, day: date) -> bool:
    begun = one.valid_from is None or one.valid_from <= day
    return begun and (one.valid_until is None or day <= one.valid_until)
