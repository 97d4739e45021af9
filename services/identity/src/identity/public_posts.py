"""How much anybody may send without a token.

Guessing has its own limits, which all replicas share (staff.lockout).
"""

from typing import Any, Final, Literal

from common import public_limits
from common.windows import Limit
from identity.settings import Settings

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0

# sign-in: somebody proves who they are; begin: what comes before that; renew: what programs and
# browsers of people who are signed in do by themselves, each every quarter of an hour.
Kind = Literal["sign-in", "begin", "renew"]
TIMES: Final[dict[Kind, int]] = {"sign-in": 1, "begin": 1, "renew": 10}


def limits(settings: Settings) -> dict[str, tuple[Limit, ...]]:
    return {
        kind: (
            Limit(settings.public_posts_per_minute * times, MINUTE_S),
            Limit(settings.public_posts_per_hour * times, HOUR_S),
        )
        for kind, times in TIMES.items()
    }


def limited(kind: Kind) -> Any:
    """A dependency of every route that is posted to without a token."""
    return public_limits.limited(kind)
