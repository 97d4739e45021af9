"""What registry runs beside REST."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from common.outbound import Outbound
from common.service import Parts
from registry import silence
from registry.following import Following
from registry.public_map.keeping import PublicMap
from registry.public_map.routing import Routing


@dataclass(frozen=True)
class Beside:
    following: Following
    public_map: PublicMap
    routing: Routing


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[Beside]:
    following = Following(parts.connections)
    parts.tasks.forever(following.run, "live statuses")
    parts.tasks.forever(partial(silence.watch, parts.connections), "silent gateways")
    public_map = PublicMap(parts.connections)
    parts.tasks.forever(public_map.follow, "map")
    parts.tasks.forever(public_map.prune, "map prune")
    async with Outbound() as calls:
        yield Beside(following, public_map, Routing(parts.settings, calls))
