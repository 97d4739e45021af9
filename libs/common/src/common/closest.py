"""Pure: which of several that name places and days counts here and now: the closest."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final, Protocol, TypeVar

from common.places import Names

# The closer a place is named, the sooner it counts.
CLOSENESS: Final = {"everywhere": 0, "location": 1, "station_group": 2, "station": 3}


class Placed(Protocol):
    @property
    def id(self) -> Any: ...  # the greater one was made later
    @property
    def places(self) -> Names: ...
    @property
    def valid_from(self) -> date | None: ...
    @property
    def valid_until(self) -> date | None: ...  # the last day


P = TypeVar("P", bound=Placed)


def chosen(those: Iterable[P], here: Names, day: date) -> P | None:
    """The one that names the place most closely; of several the one made last."""
    meant = [one for one in those if one.places & here and in_force(one, day)]
    return max(meant, key=lambda one: (closeness(one, here), one.id), default=None)


def closeness(one: Placed, here: Names) -> int:
    return max(CLOSENESS[kind] for kind, _ in one.places & here)


def in_force(one: Placed, day: date) -> bool:
    begun = one.valid_from is None or one.valid_from <= day
    return begun and (one.valid_until is None or day <= one.valid_until)
