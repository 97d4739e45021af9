"""What registry runs beside REST."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from common.outbound import Outbound
from common.service import Parts
from registry.public_map.keeping import PublicMap
from registry.public_map.routing import Routing


@dataclass(frozen=True)
class Beside:
    public_map: PublicMap
    routing: Routing


@asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[Beside]:
    public_map = PublicMap(parts.connections)
    parts.tasks.forever(public_map.follow, "map")
    parts.tasks.forever(public_map.prune, "map prune")
    async with Outbound() as calls:
        yield Beside(public_map, Routing(parts.settings, calls))
