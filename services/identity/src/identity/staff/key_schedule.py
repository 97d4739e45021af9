"""Pure: which of the keys that sign tokens does so now, and which others must still verify.

Keys are told by the moments they were made, the oldest first. A key is published as soon as it is
made; it signs once every service has fetched it, until the next one does; it stays published until
the last token that it signed has ended.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from common.auth import KEYS_MAX_AGE_S

# Services refresh their keys every KEYS_MAX_AGE_S; twice that and all have a new one.
SETTLING: Final = timedelta(seconds=2 * KEYS_MAX_AGE_S)
TOKEN_S: Final = 900  # how long a blocked login can still act; a token cannot be called back
SLACK: Final = timedelta(minutes=2)  # clocks of replicas differ
LIFETIME: Final = timedelta(days=90)

State = Literal["next", "signing", "retired"]


def signs_from(made: Sequence[datetime], which: int) -> datetime:
    """The first of all signs at once: there was none before that anybody could have fetched."""
    return made[which] + (SETTLING if which else timedelta())


def ends_at(made: Sequence[datetime], which: int) -> datetime | None:
    """When it is good for nothing any more; None: it has no successor."""
    if which + 1 >= len(made):
        return None
    return signs_from(made, which + 1) + timedelta(seconds=TOKEN_S) + SLACK


def states(made: Sequence[datetime], at: datetime) -> list[State | None]:
    """Of each key; None: gone."""
    signing = max((n for n in range(len(made)) if signs_from(made, n) <= at), default=0)
    found: list[State | None] = []
    for which in range(len(made)):
        end = ends_at(made, which)
        if which >= signing:
            found.append("signing" if which == signing else "next")
        else:
            found.append("retired" if end is None or end > at else None)
    return found
