"""The way to a station, from the routing engine that this installation is set up with.

Its address is the installation's own setting, as the database's is, so that it may be in our own
network. All else is as for an address of a customer's: nothing is followed, time and size are
bounded, and what is answered is not believed before it is checked.
"""

import logging
import time
from typing import Final

import prometheus_client

from common.breaker import Breaker
from common.outbound import Answer, Outbound, OutboundFailed
from registry.public_map.engines import ENGINES, NotBelieved, NoWay, Question, Way, checked
from registry.public_map.sphere import Point
from registry.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 2.0
BYTES_MAX: Final = 1_000_000

ASKED = prometheus_client.Counter("registry_routing_total", "Ways asked for", ["outcome"])


class Routing:
    """One a process."""

    def __init__(self, settings: Settings, calls: Outbound) -> None:
        self._url = settings.routing_url.rstrip("/")
        self._engine = ENGINES[settings.routing_engine]
        self._calls = calls
        self._breaker = Breaker()

    async def way(self, start: Point, to: Point) -> Way | None:
        """None: there is no engine, it is not well, or it knows no way."""
        if not self._url or not self._breaker.lets(time.monotonic()):
            return None
        try:
            answer = await self._ask(self._engine.ask(start, to))
            way = checked(self._engine.read(answer.status, answer.body), start, to)
        except NoWay:
            self._breaker.answered()
            ASKED.labels("no way").inc()
            return None
        except (OutboundFailed, NotBelieved) as error:
            self._breaker.failed(time.monotonic())
            ASKED.labels("failed").inc()
            log.warning("no way from the routing engine: %s", error)
            return None
        self._breaker.answered()
        ASKED.labels("found").inc()
        return way

    async def _ask(self, question: Question) -> Answer:
        url = self._url + question.path
        if question.body is None:
            return await self._calls.get(
                url, {}, timeout_s=TIMEOUT_S, bytes_max=BYTES_MAX, allow_private=True
            )
        return await self._calls.post_json(
            url, question.body, {}, timeout_s=TIMEOUT_S, bytes_max=BYTES_MAX, allow_private=True
        )
