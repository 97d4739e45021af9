"""Pure: where every public station is and what it offers, in arrays that are searched whole.

No tree: to look at 150,000 stations takes numpy 2 ms, however far the wanted one is, however many
there are in a city and whatever is asked for. What changes is written in place. One answer is that
of one moment, for nothing is awaited within.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple, get_args
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from registry.hardware.models import Standard
from registry.public_map.sphere import (
    EARTH_M,
    FARTHEST_M,
    Box,
    Floats,
    Point,
    mercator,
    metres,
    squared_chord,
    squared_chords,
)

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Slots = NDArray[np.intp]

BIT: Final = {standard: 1 << place for place, standard in enumerate(get_args(Standard))}
NOWHERE: Final = 1e9  # of a slot that no station is in: beyond every radius, in no box
FIRST_ROOM: Final = 1024
ANY_STANDARD: Final = 2**64 - 1
FIRST_RING_M: Final = 5_000.0
RING_GROWS: Final = 6.0
BAND_MAX: Final = 8.0  # degrees of latitude; of more it is faster to look at all
RARE: Final = 16  # one of so many
EVERYWHERE: Final = 5.0  # beyond a squared diameter


def bits(standards: Collection[str]) -> int:
    return sum(BIT[standard] for standard in set(standards))


@dataclass(frozen=True, slots=True)
class Offer:
    """One EVSE: what can be plugged in, and what of that right now if the station is online."""

    standards: int
    free: int
    power_w: int  # 0: not known


@dataclass(frozen=True, slots=True)
class Entry:
    """A public station."""

    id: str
    operator_id: UUID
    at: Point
    replica: UUID | None  # the gateway that holds its connection; None: it has none
    offers: Sequence[Offer]
    shown: bytes  # what else is told of it, JSON


class Wanted(NamedTuple):
    """One EVSE must have all of it."""

    standards: int = 0  # any of these; 0: any at all
    power_w: int = 0
    available: bool = False
    operator_id: UUID | None = None


ANYTHING: Final = Wanted()


class After(NamedTuple):
    """The last one of the page before: pages stay apart though stations come and go."""

    squared: float
    tie: int


class Found(NamedTuple):
    slot: int
    distance_m: float
    place: After


class Index:
    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._empty: list[int] = []
        self._shown: list[tuple[str, UUID, bytes] | None] = []
        self._operators: dict[UUID, int] = {}
        self._replicas: dict[UUID | None, int] = {None: 0}
        self._alive: frozenset[UUID] = frozenset()
        room = FIRST_ROOM
        self._at: Floats = np.full((3, room), NOWHERE)
        self._latitude: Floats = np.full(room, np.nan)
        self._longitude: Floats = np.full(room, np.nan)
        self._right: Floats = np.zeros(room)
        self._down: Floats = np.zeros(room)
        self._tie: Ints = np.zeros(room, np.int64)
        self._operator = np.zeros(room, np.int32)
        self._replica = np.zeros(room, np.int32)
        self._online: Bools = np.zeros(room, np.bool_)
        self._free: Bools = np.zeros(room, np.bool_)  # one of its EVSEs, if it is online
        self._power = np.zeros(room, np.int32)
        # Rows of EVSEs; those of a station stand together.
        self._first_row: Ints = np.zeros(room, np.int64)
        self._count: Ints = np.zeros(room, np.int64)
        self._rows = 0
        self._idle_rows = 0  # nobody's any more
        self._row_station = np.zeros(room, np.int32)
        self._row_standards = np.zeros(room, np.uint64)  # 0: nobody's
        self._row_free = np.zeros(room, np.uint64)
        self._row_power = np.zeros(room, np.int32)

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, station_id: object) -> bool:
        return station_id in self._slots

    # --- what changes

    def put(self, entry: Entry) -> None:
        slot = self._slots.get(entry.id)
        if slot is None:
            slot = self._slots[entry.id] = self._empty.pop() if self._empty else self._new_slot()
        self._shown[slot] = (entry.id, entry.operator_id, entry.shown)
        self._at[:, slot] = entry.at.vector()
        self._latitude[slot], self._longitude[slot] = entry.at
        self._right[slot], self._down[slot] = mercator(entry.at)
        self._tie[slot] = _tie(entry.id)
        self._operator[slot] = self._operators.setdefault(
            entry.operator_id, len(self._operators) + 1
        )
        self._replica[slot] = self._replicas.setdefault(entry.replica, len(self._replicas))
        self._online[slot] = entry.replica in self._alive
        self._free[slot] = any(offer.free for offer in entry.offers)
        self._power[slot] = max((offer.power_w for offer in entry.offers), default=0)
        self._put_offers(slot, entry.offers)

    def _put_offers(self, slot: int, offers: Sequence[Offer]) -> None:
        if self._count[slot] != len(offers):
            self._forget_offers(slot)
            first = self._rows
            self._rows += len(offers)
            for name in ("_row_station", "_row_standards", "_row_free", "_row_power"):
                setattr(self, name, _grown(getattr(self, name), self._rows))
            self._first_row[slot], self._count[slot] = first, len(offers)
        rows = slice(self._first_row[slot], self._first_row[slot] + len(offers))
        self._row_station[rows] = slot
        self._row_standards[rows] = [offer.standards for offer in offers]
        self._row_free[rows] = [offer.free for offer in offers]
        self._row_power[rows] = [offer.power_w for offer in offers]
        if self._idle_rows > max(FIRST_ROOM, self._rows // 2):
            self._close_gaps()

    def _forget_offers(self, slot: int) -> None:
        rows = slice(self._first_row[slot], self._first_row[slot] + self._count[slot])
        self._row_standards[rows] = self._row_free[rows] = 0
        self._idle_rows += int(self._count[slot])
        self._count[slot] = 0

    def _close_gaps(self) -> None:
        kept = self._row_standards[: self._rows] != 0
        moved_to = np.cumsum(kept) - 1
        held = self._count > 0
        self._first_row[held] = moved_to[self._first_row[held]]
        for name in ("_row_station", "_row_standards", "_row_free", "_row_power"):
            setattr(self, name, getattr(self, name)[: self._rows][kept])
        self._rows, self._idle_rows = len(self._row_standards), 0

    def remove(self, station_id: str) -> None:
        slot = self._slots.pop(station_id, None)
        if slot is None:
            return
        self._forget_offers(slot)
        self._shown[slot] = None
        self._at[:, slot] = NOWHERE
        self._latitude[slot] = self._longitude[slot] = np.nan
        self._empty.append(slot)

    def set_alive(self, replicas: frozenset[UUID]) -> None:
        """The gateways that live: the stations of others are offline."""
        if replicas != self._alive:
            self._alive = replicas
            living = np.array([one in replicas for one in self._replicas], np.bool_)
            self._online = living[self._replica]

    def _new_slot(self) -> int:
        slot = len(self._shown)
        self._shown.append(None)
        if slot == len(self._latitude):
            more = 2 * slot
            self._at = np.concatenate((self._at, np.full((3, slot), NOWHERE)), axis=1)
            for name in ("_latitude", "_longitude"):
                setattr(self, name, np.concatenate((getattr(self, name), np.full(slot, np.nan))))
            for name in (
                "_right", "_down", "_tie", "_operator", "_replica", "_online", "_free", "_power",
                "_first_row", "_count",
            ):  # fmt: skip
                setattr(self, name, _grown(getattr(self, name), more))
        return slot

    # --- what is asked

    def nearest(
        self,
        to: Point,
        *,
        within_m: float = FARTHEST_M,
        box: Box | None = None,
        wanted: Wanted = ANYTHING,
        limit: int,
        after: After | None = None,
    ) -> list[Found]:
        """By distance, then in an order that stays."""
        offering = None if wanted == ANYTHING else self.offering(wanted)
        begin_m = FIRST_RING_M if after is None else FIRST_RING_M + float(metres(after.squared))
        found: list[Found] = []
        for ring_m, squared, slots in self._rings(to, begin_m, within_m, offering):
            good = squared <= (squared_chord(ring_m) if ring_m < FARTHEST_M else EVERYWHERE)
            if offering is not None:
                good &= offering[slots]
            if box is not None:
                good &= box.holds(self._latitude[slots], self._longitude[slots])
            if after is not None:
                further, tied = squared > after.squared, squared == after.squared
                good &= further | (tied & (self._tie[slots] > after.tie))
            found = self._first(squared[good], slots[good], limit)
            if len(found) == limit:
                break
        return found

    def _rings(
        self, to: Point, ring_m: float, within_m: float, offering: Bools | None
    ) -> Iterator[tuple[float, Floats, Slots]]:
        """Rings that grow up to within_m; of each squared chords and slots of all that are in it.

        There are others too, at its latitudes. In a city the first ring has enough, and is a small
        part of the arrays; what is rare is held against the point by itself.
        """
        one = to.vector()
        if offering is not None and np.count_nonzero(offering) * RARE < len(offering):
            rare = np.flatnonzero(offering)
            yield within_m, squared_chords(self.vectors[:, rare], one), rare
            return
        while True:
            band = math.degrees(min(ring_m, within_m) / EARTH_M) + 1e-6
            if band > BAND_MAX:
                break
            from_south, to_north = to.latitude - band, to.latitude + band
            slots = np.flatnonzero((self.latitudes >= from_south) & (self.latitudes <= to_north))
            yield min(ring_m, within_m), squared_chords(self.vectors[:, slots], one), slots
            if ring_m >= within_m:
                return
            ring_m *= RING_GROWS
        yield within_m, squared_chords(self.vectors, one), np.arange(len(self._shown))

    def _first(self, squared: Floats, slots: Slots, limit: int) -> list[Found]:
        if len(slots) > limit:
            nearer = squared <= np.partition(squared, limit - 1)[limit - 1]
            squared, slots = squared[nearer], slots[nearer]
        order = np.lexsort((self._tie[slots], squared))[:limit]
        away_m = metres(squared[order])
        return [
            Found(slot, distance_m, After(chord, tie))
            for slot, distance_m, chord, tie in zip(
                slots[order].tolist(),
                away_m.tolist(),
                squared[order].tolist(),
                self._tie[slots[order]].tolist(),
                strict=True,
            )
        ]

    def offering(self, wanted: Wanted) -> Bools:
        """Of each slot, whether one EVSE of its station has all that is wanted."""
        used = slice(len(self._shown))
        if wanted.operator_id is None:
            good: Bools = ~np.isnan(self.latitudes)
        else:
            good = self._operator[used] == self._operators.get(wanted.operator_id, -1)
            good &= ~np.isnan(self.latitudes)
        if wanted.available:
            good &= self.available
        if wanted.standards or wanted.power_w:
            rows = slice(self._rows)
            of = self._row_free[rows] if wanted.available else self._row_standards[rows]
            fitting = (of & np.uint64(wanted.standards or ANY_STANDARD)) != 0
            if wanted.power_w:
                fitting &= self._row_power[rows] >= wanted.power_w
            some: Bools = np.zeros(len(good), np.bool_)
            some[self._row_station[rows][fitting]] = True
            good &= some
        return good

    @property
    def latitudes(self) -> Floats:
        """Of each slot; NaN where no station is."""
        return self._latitude[: len(self._shown)]

    @property
    def longitudes(self) -> Floats:
        return self._longitude[: len(self._shown)]

    @property
    def rights(self) -> Floats:
        """On Mercator's map, from 0 to below 1: eastwards from the date line."""
        return self._right[: len(self._shown)]

    @property
    def downs(self) -> Floats:
        """On Mercator's map, from 0 to 1: southwards from its northern edge."""
        return self._down[: len(self._shown)]

    @property
    def vectors(self) -> Floats:
        return self._at[:, : len(self._shown)]

    @property
    def available(self) -> Bools:
        """Of each slot, whether one EVSE of its station is free."""
        return self._online[: len(self._shown)] & self._free[: len(self._shown)]

    @property
    def powers_w(self) -> NDArray[np.int32]:
        return self._power[: len(self._shown)]

    def shown(self, slot: int) -> tuple[str, UUID, bytes, bool]:
        """Id, operator, what was put with it, and whether it is online."""
        known = self._shown[slot]
        assert known is not None
        return (*known, bool(self._online[slot]))

    def find(self, station_id: str) -> int | None:
        return self._slots.get(station_id)

    def point(self, slot: int) -> Point:
        return Point(float(self._latitude[slot]), float(self._longitude[slot]))


def _tie(station_id: str) -> int:
    """For stations at one point: the same order on every replica."""
    return int.from_bytes(blake2b(station_id.encode(), digest_size=8).digest(), signed=True)


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    if size <= len(array):
        return array
    more = np.zeros(max(size, 2 * len(array)), array.dtype)
    more[: len(array)] = array
    return more
