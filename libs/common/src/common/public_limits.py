"""What anybody may ask for without a token is bounded by where it comes from.

Each replica counts for itself, in memory: a limit that is good for as many replicas as there are is
still one, and no stranger writes into the database.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Depends, FastAPI, Request

from common import client
from common.problems import Problem
from common.windows import Limit, Windows


class TooManyRequests(Problem):
    """From the caller's network, of this kind."""

    status = 429
    title = "Too many requests from your network"

    def __init__(self, wait_s: float) -> None:
        self._wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"wait {self._wait_s} s")

    def sent_headers(self) -> dict[str, str]:
        return {"Retry-After": str(self._wait_s)}


def install(app: FastAPI, limits: Mapping[str, Sequence[Limit]]) -> None:
    """The limits of each kind of request, a network and process."""
    app.state.public_limits = {kind: Windows(of_kind) for kind, of_kind in limits.items()}


def limited(kind: str) -> Any:
    """A dependency of every route that asks for no token; raises TooManyRequests."""

    async def count(request: Request) -> None:
        windows: Windows = request.app.state.public_limits[kind]
        wait_s = windows.take(client.network(client.address.get()), time.monotonic())
        if wait_s > 0:
            raise TooManyRequests(wait_s)

    return Depends(count)
