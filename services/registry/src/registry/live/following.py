"""Who follows the live statuses: each replica reads what has news once, for all its followers.

A few times a second, while anybody follows: what has a number above those that were told is read as
it is now and handed to whoever may see it. So a connector that changes a thousand times a second
is told a few times, its last state always, and fifty followers cost the database as much as one. A
follower that reads slowly keeps the newest of each EVSE, not all that was. Numbers become visible
in another order than they were given; next_rows waits for those that are still to come
(common.unsettled).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import sse, unsettled
from common.auth import Principal
from common.database import PLATFORM, Connections
from registry.groups.group_members import members
from registry.live import statuses
from registry.live.news import Key
from registry.live.statuses import EvseStatusOut, StationStatusOut
from registry.tables import LiveChange, Station, StationGroupMember

LOOK_EVERY_S: Final = 0.2  # how often a connector is told at most; half of it is the usual delay
PAUSE_S: Final = 0.05
AT_ONCE_MAX: Final = 2000  # what has news, read in one go
# Of one follower: the EVSEs of some thousand stations. Who lets more pile up takes it up again.
WAITING_MAX: Final = 20_000
EVERYONE: Final = Principal(
    sub="registry", role="platform-admin", operator_id=None, scopes=frozenset()
)


class EvseNews(BaseModel):
    """An EVSE as it is now."""

    operator_id: UUID
    station_id: str
    location_id: UUID | None
    online: bool
    evse: EvseStatusOut


class News(NamedTuple):
    """An event, and whom it is for."""

    key: Key
    location_id: UUID | None
    group_ids: frozenset[UUID]
    event: sse.Event


class FellBehind(Exception):
    """More waits for a follower than is kept; its stream ends, and it may take it up again."""


@dataclass(frozen=True)
class Wanted:
    """Which news, and who asks for them."""

    caller: Principal
    location_id: UUID | None = None
    group_id: UUID | None = None
    station_id: str | None = None

    def takes(self, news: News) -> bool:
        """The walls of PostgreSQL once more: these were read for everyone."""
        caller = self.caller
        return (
            caller.operator_id in (None, news.key.operator_id)
            and (caller.locations is None or news.location_id in caller.locations)
            and self.location_id in (None, news.location_id)
            and self.station_id in (None, news.key.station_id)
            and (self.group_id is None or self.group_id in news.group_ids)
        )

    def query(self) -> Select[Any]:
        query = select(LiveChange)
        if self.station_id is not None:
            query = query.where(LiveChange.station_id == self.station_id)
        if self.group_id is not None:
            query = query.where(LiveChange.station_id.in_(members(self.group_id)))
        if self.location_id is not None:
            there = select(Station.id).where(Station.location_id == self.location_id)
            query = query.where(LiveChange.station_id.in_(there))
        return query


@dataclass(eq=False)
class Follower:
    wanted: Wanted
    _waiting: dict[Key, sse.Event] = field(default_factory=dict)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _behind: bool = False

    def hand(self, news: Sequence[News]) -> None:
        if self._behind:
            return
        for one in news:
            if self.wanted.takes(one):
                self._waiting.pop(one.key, None)  # the newer stands behind, in the order of numbers
                self._waiting[one.key] = one.event
        if len(self._waiting) > WAITING_MAX:
            self._behind = True
            self._waiting.clear()
        if self._waiting or self._behind:
            self._some.set()

    async def take(self) -> list[sse.Event]:
        """What waits; nothing after a while without. Raises FellBehind."""
        try:
            await asyncio.wait_for(self._some.wait(), sse.KEEP_ALIVE_S)
        except TimeoutError:
            return []
        if self._behind:
            raise FellBehind
        events = list(self._waiting.values())
        self._waiting.clear()
        self._some.clear()
        return events


class Following:
    """The followers of this replica, and up to which number they were told."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._followers: set[Follower] = set()
        self._anybody = asyncio.Event()
        self._ready = asyncio.Event()
        self._position = 0  # once ready
        self._turn = asyncio.Lock()

    @contextmanager
    def follower(self, wanted: Wanted) -> Iterator[Follower]:
        """What has news from now on; a position() asked for within is not after that."""
        one = Follower(wanted)
        self._followers.add(one)
        self._anybody.set()
        try:
            yield one
        finally:
            self._followers.discard(one)
            if not self._followers:
                self._anybody.clear()
                self._ready.clear()

    async def position(self) -> int:
        """Whatever has a higher number is handed out; the others are there to be read."""
        await self._ready.wait()
        async with self._turn:  # one that came in the middle of a look is in the next one
            return self._position

    async def run(self) -> None:
        while True:
            await self._anybody.wait()
            if not self._ready.is_set():
                newest = await self.newest()
                await unsettled.gone(self._connections, LiveChange)
                self._position = newest
                self._ready.set()
            began = time.monotonic()
            async with self._turn:
                await self._look()
            # From beginning to beginning; a look that takes long leaves the others a while, too.
            await asyncio.sleep(max(PAUSE_S, began + LOOK_EVERY_S - time.monotonic()))

    async def newest(self) -> int:
        async with self._connections.begin(PLATFORM) as db:
            return await db.scalar(select(func.max(LiveChange.change))) or 0

    async def _look(self) -> None:
        query = select(LiveChange).where(LiveChange.change > self._position)
        changes, until = await unsettled.next_rows(
            self._connections, EVERYONE, query, LiveChange.change, _found, AT_ONCE_MAX
        )
        if until is None:
            return
        operators = {follower.wanted.caller.operator_id for follower in self._followers}
        if None not in operators:
            changes = [one for one in changes if one.operator_id in operators]
        grouped = any(follower.wanted.group_id for follower in self._followers)
        async with self._connections.begin(PLATFORM) as db:
            news = await news_of(db, changes, grouped=grouped)
        for follower in self._followers:
            follower.hand(news)
        self._position = until


async def _found(db: AsyncSession, query: Select[Any]) -> Sequence[LiveChange]:
    return (await db.scalars(query)).all()


async def missed(
    connections: Connections, wanted: Wanted, after: int, until: int
) -> tuple[list[sse.Event], int | None]:
    """A page of what the caller may see with numbers in between; and where the next one begins."""
    query = wanted.query().where(LiveChange.change > after, LiveChange.change <= until)
    async with connections.acting(wanted.caller) as db:
        changes = await _found(db, query.order_by(LiveChange.change).limit(AT_ONCE_MAX))
        news = await news_of(db, changes, grouped=False)  # the query has looked
    next_after = changes[-1].change if len(changes) == AT_ONCE_MAX else None
    return [one.event for one in news], next_after


async def news_of(db: AsyncSession, changes: Sequence[LiveChange], *, grouped: bool) -> list[News]:
    """What has news as it is now, in the order of the numbers; grouped: and in which groups."""
    ids = {change.station_id for change in changes}
    if not ids:
        return []
    found = (await db.scalars(select(Station).where(Station.id.in_(ids)))).all()
    shown = {one.station_id: one for one in await statuses.of(db, found)}
    group_ids: dict[str, set[UUID]] = defaultdict(set)
    if grouped:
        holding = select(StationGroupMember.station_id, StationGroupMember.group_id)
        for row in await db.execute(holding.where(StationGroupMember.station_id.in_(shown))):
            group_ids[row.station_id].add(row.group_id)
    told = []
    for change in sorted(changes, key=lambda change: change.change):
        status = shown.get(change.station_id)
        if status is None or (event := _event(change, status)) is None:
            continue
        key = Key(change.operator_id, change.station_id, change.evse_id)
        groups = frozenset(group_ids[change.station_id])
        told.append(News(key, status.location_id, groups, event))
    return told


def _event(change: LiveChange, status: StationStatusOut) -> sse.Event | None:
    """None: an EVSE that is neither configured nor reported."""
    if change.evse_id == 0:
        return sse.Event(change.change, "station", status.model_dump_json(exclude={"evses"}))
    for evse in status.evses:
        if evse.evse_id == change.evse_id:
            news = EvseNews(
                operator_id=status.operator_id,
                station_id=status.station_id,
                location_id=status.location_id,
                online=status.online,
                evse=evse,
            )
            return sse.Event(change.change, "evse", news.model_dump_json())
    return None
