"""What anybody may send without a token is bounded by where it comes from.

Each replica counts for itself, in memory: a limit that is good for as many replicas as there are is
still one, and no stranger writes into the database. Guessing has its own limits, which all replicas
share (staff.lockout).
"""

import math
import time
from typing import Any, Final, Literal, get_args

from fastapi import Depends, Request

from common import client
from common.problems import Problem
from identity.settings import Settings
from identity.windows import Limit, Windows

MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0

# sign-in: somebody proves who they are; begin: what comes before that; renew: what programs and
# browsers of people who are signed in do by themselves, each every quarter of an hour.
Kind = Literal["sign-in", "begin", "renew"]
TIMES: Final[dict[Kind, int]] = {"sign-in": 1, "begin": 1, "renew": 10}


class TooManyRequests(Problem):
    """From the caller's network, of this kind."""

    status = 429
    title = "Too many requests from your network"

    def __init__(self, wait_s: float) -> None:
        self._wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"wait {self._wait_s} s")

    def sent_headers(self) -> dict[str, str]:
        return {"Retry-After": str(self._wait_s)}


class PublicPosts:
    """One a process."""

    def __init__(self, settings: Settings) -> None:
        self._windows = {
            kind: Windows(
                (
                    Limit(settings.public_posts_per_minute * TIMES[kind], MINUTE_S),
                    Limit(settings.public_posts_per_hour * TIMES[kind], HOUR_S),
                )
            )
            for kind in get_args(Kind)
        }

    def count(self, kind: Kind, network: str) -> None:
        """Raises TooManyRequests."""
        wait_s = self._windows[kind].take(network, time.monotonic())
        if wait_s > 0:
            raise TooManyRequests(wait_s)


def limited(kind: Kind) -> Any:
    """A dependency of every route that is posted to without a token."""

    async def count(request: Request) -> None:
        posts: PublicPosts = request.app.state.public_posts
        posts.count(kind, client.network(client.address.get()))

    return Depends(count)
