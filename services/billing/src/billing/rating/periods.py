"""Pure: which price counts when, and how much there was under each.

A session is split wherever a restriction of the tariff or a window of a modifier can flip: local
time of day, local midnight, duration, the moment at which a kWh threshold is crossed, each reading
of current or power. Of each dimension the first element counts whose restrictions match and that
has the dimension; none: it is free.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from billing.rating.calendar import Local, flips, local, within
from billing.rating.course import Course, PieceKind, last, seconds
from billing.rating.model import (
    NO_RESTRICTIONS,
    Component,
    Dimension,
    Modifier,
    Restrictions,
    Tariff,
    Window,
)

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
# A session is charged by minutes and days; a longer one is a mistake of somebody's clock.
LENGTH_MAX_S: Final = 366 * 86_400


# Those that stand beside each other; then, if that is an exclusive one with a quota, those that
# stand for what is over its quota, and so on. The last has what is left.
Turns = tuple[tuple[Modifier, ...], ...]
UNCHANGED: Final[Turns] = ((),)


@dataclass(eq=False, slots=True)
class Part:
    """What has one price: a component and the modifiers that count with it, in their order."""

    dimension: Dimension
    component: Component | None  # None: free, for no element matches
    turns: Turns
    reservation: bool
    amount: Decimal = ZERO  # Wh, seconds, or 1 for FLAT


@dataclass(slots=True)
class Usage:
    parts: list[Part] = field(default_factory=list)  # in the order in which each began
    idle_s: int = 0  # of the idle fee
    # Energy, time (charging or parking) and reserved time: what had its turn last takes the excess.
    last: dict[str, Part] = field(default_factory=dict)


# What must be looked at yet where a slot has a choice; None: nothing, it counts.
Choice = tuple[tuple[Restrictions | None, Part], ...]


class Piece(NamedTuple):
    """Nothing changes within it, but what the energy so far decides at its beginning."""

    from_s: int
    to_s: int
    kind: PieceKind
    from_wh: Decimal  # of the session before it
    wh: Decimal


def usage(course: Course, tariff: Tariff, modifiers: Sequence[Modifier] = ()) -> Usage:
    """Raises ValueError for a session of more than a year."""
    if course.end_s > LENGTH_MAX_S:
        raise ValueError(f"longer than a year: {course.end_s} s")
    slots = _Slots(course, tariff, modifiers)
    found = Usage()
    idle_parked_only = tariff.idle_fee is None or tariff.idle_fee.counts == "parking"
    flat: set[bool] = set()
    for piece in _pieces(course, tariff, slots.flips):
        slot = slots.at(piece.from_s)
        reserved, length_s = piece.kind == "RESERVATION", piece.to_s - piece.from_s
        if not reserved:
            _add(found, "energy", slot.choose("ENERGY", piece), piece.wh)
            if slot.idle and (piece.kind == "PARKING" or not idle_parked_only):
                found.idle_s += length_s
        time: Dimension = "PARKING_TIME" if piece.kind == "PARKING" else "TIME"
        _add(found, "reserved" if reserved else "time", slot.choose(time, piece), Decimal(length_s))
        if reserved not in flat and (once := slot.choose("FLAT", piece)).component:
            flat.add(reserved)
            _add(found, "flat", once, ONE)
    return found


def _add(found: Usage, kind: str, part: Part, amount: Decimal) -> None:
    if not amount:
        return
    if not part.amount:
        found.parts.append(part)
    part.amount += amount
    found.last[kind] = part


def _pieces(course: Course, tariff: Tariff, flips: Sequence[int]) -> Iterator[Piece]:
    """The session, cut wherever a price can change; the pieces' energy is the session's."""
    kinds = iter(course.kinds)
    this, following = next(kinds), next(kinds, None)
    from_s, from_wh = 0, ZERO
    for to_s, at_wh in _cuts(course, tariff, flips):
        while following is not None and following[0] <= from_s:
            this, following = following, next(kinds, None)
        to_wh = max(at_wh, from_wh)
        yield Piece(from_s, to_s, this[1], from_wh, to_wh - from_wh)
        from_s, from_wh = to_s, to_wh


def _cuts(course: Course, tariff: Tariff, flips: Sequence[int]) -> list[tuple[int, Decimal]]:
    """Seconds and the Wh so far at each, in order; the last is the end."""
    moments = [*flips, *(from_s for from_s, _ in course.kinds)]
    if looks_at_samples(tariff):
        moments += course.moments
        moments += [at_s for at_s, _ in (*course.currents, *(course.powers or ()))]
    found = {(at_s, course.energy_at(at_s)) for at_s in moments if 0 < at_s < course.end_s}
    whole = course.energies[-1]
    found |= {(course.when(wh), wh) for wh in _thresholds(tariff) if wh < whole}
    return [*sorted(found), (course.end_s, whole)]


def by_the_course(tariff: Tariff, modifiers: Sequence[Modifier]) -> bool:
    """Whether it matters when the energy was taken, or when the car stood idle."""
    if tariff.idle_fee or any(one.window != Window() for one in modifiers):
        return True
    if any(one.restrictions != NO_RESTRICTIONS for one in tariff.elements):
        return True
    # Is a minute the same whether the car charges or not?
    first: dict[Dimension, Component] = {}
    for element in tariff.elements:
        for one in element.components:
            first.setdefault(one.type, one)
    charging, parked = first.get("TIME"), first.get("PARKING_TIME")
    alike = charging == parked or (
        charging is not None and parked == replace(charging, type="PARKING_TIME")
    )
    either = {"TIME", "PARKING_TIME"}
    apart = [one for one in modifiers if len(one.components & either) == 1]
    return not alike or bool(apart) or bool(tariff.caps.keys() & either)


def looks_at_samples(tariff: Tariff) -> bool:
    """Whether a price depends on current or power."""
    return any(
        not (one.min_current_a is one.max_current_a is one.min_power_w is one.max_power_w is None)
        for one in (element.restrictions for element in tariff.elements)
    )


def _thresholds(tariff: Tariff) -> set[Decimal]:
    found = set()
    for element in tariff.elements:
        found |= {element.restrictions.min_wh, element.restrictions.max_wh}
    return {one for one in found if one}


class Slot:
    """Between two flips: only energy, current and power still decide."""

    def __init__(self, slots: "_Slots", from_s: int) -> None:
        self._slots = slots
        course, fee = slots.course, slots.tariff.idle_fee
        self._from_s = from_s
        self._there = local(course.surely_after(from_s), course.time_zone)
        quiet = fee is not None and fee.quiet is not None and within(self._there[0], *fee.quiet)
        self.idle = slots.blocks(from_s) and not quiet
        self._modifiers = [
            one for one in slots.modifiers if _counts(one.window, from_s, self._there, course)
        ]
        # Made when it is asked for: most are not.
        self._choices: dict[tuple[Dimension, bool], Choice] = {}

    def choose(self, dimension: Dimension, piece: Piece) -> Part:
        reserved = piece.kind == "RESERVATION"
        choice = self._choices.get((dimension, reserved))
        if choice is None:
            choice = self._choices[dimension, reserved] = self._choice(dimension, reserved)
        if len(choice) > 1:
            for restrictions, part in choice:
                if restrictions is None or _matches(restrictions, piece, self._slots.course):
                    return part
        return choice[-1][1]

    def _choice(self, dimension: Dimension, reserved: bool) -> Choice:
        """The last of it always counts."""
        turns = UNCHANGED
        if self._modifiers and not reserved:
            turns = turns_of([one for one in self._modifiers if dimension in one.components])
        slots = self._slots
        found: list[tuple[Restrictions | None, Part]] = []
        for element in slots.tariff.elements:
            component = next((one for one in element.components if one.type == dimension), None)
            restrictions = element.restrictions
            if component is None or not slots.counts(
                restrictions, reserved, self._from_s, self._there
            ):
                continue
            part = slots.part(dimension, component, turns, reserved)
            if not _looks(restrictions):
                return (*found, (None, part))
            found.append((restrictions, part))
        return (*found, (None, slots.part(dimension, None, turns, reserved)))


class _Slots:
    """A session's time between flips; parts with the same price are one, wherever they count."""

    def __init__(self, course: Course, tariff: Tariff, modifiers: Sequence[Modifier]) -> None:
        self.course, self.tariff, self.modifiers = course, tariff, modifiers
        self._parts: dict[tuple[Dimension, int, tuple[tuple[int, ...], ...], bool], Part] = {}
        self._charged_s = next((at_s for at_s, kind in course.kinds if kind != "RESERVATION"), 0)
        self._idle = _idle(course, tariff, self._charged_s)
        self.flips = self._flips()
        self._slots: dict[int, Slot] = {}

    def at(self, at_s: int) -> Slot:
        index = bisect_right(self.flips, at_s)
        slot = self._slots.get(index)
        if slot is None:
            slot = self._slots[index] = Slot(self, self.flips[index - 1] if index else 0)
        return slot

    def blocks(self, at_s: int) -> bool:
        """Whether the grace period is over then."""
        return any(from_s <= at_s < to_s for from_s, to_s in self._idle)

    def _flips(self) -> list[int]:
        """In seconds, in order."""
        course, found = self.course, {at_s for stretch in self._idle for at_s in stretch}
        found.add(self._charged_s)  # where a reservation ends
        minutes: set[int] = set()
        for element in self.tariff.elements:
            one = element.restrictions
            if one is NO_RESTRICTIONS:
                continue
            minutes |= _minutes(one.start_minute, one.end_minute)
            if one.weekdays is not None or one.start_date or one.end_date:
                minutes.add(0)
            for duration_s in (one.min_duration_s, one.max_duration_s):
                if duration_s:
                    found |= {duration_s, self._charged_s + duration_s}
        for modifier in self.modifiers:
            window = modifier.window
            minutes |= _minutes(window.start_minute, window.end_minute)
            if window.weekdays is not None:
                minutes.add(0)
            found |= {
                seconds(course.began_at, at) for at in (window.from_at, window.until_at) if at
            }
        fee = self.tariff.idle_fee
        minutes |= _minutes(*fee.quiet) if fee and fee.quiet else set()
        if minutes:
            ended_at = course.began_at + timedelta(seconds=course.end_s)
            at = flips(minutes, course.began_at, ended_at, course.time_zone)
            found |= {seconds(course.began_at, one) for one in at}
        return sorted(one for one in found if 0 < one < course.end_s)

    def counts(self, one: Restrictions, reserved: bool, from_s: int, there: Local) -> bool:
        if one is NO_RESTRICTIONS:
            return not reserved
        if reserved != (one.reservation is not None):
            return False
        if one.reservation == "RESERVATION_EXPIRES" and not self.course.reservation_expired:
            return False
        since_s = from_s if reserved else from_s - self._charged_s
        return (
            within(there.minute, one.start_minute, one.end_minute)
            and (one.weekdays is None or there.weekday in one.weekdays)
            and (one.start_date is None or there.day >= one.start_date)
            and (one.end_date is None or there.day < one.end_date)
            and since_s >= (one.min_duration_s or 0)
            and (one.max_duration_s is None or since_s < one.max_duration_s)
        )

    def part(
        self,
        dimension: Dimension,
        component: Component | None,
        turns: Turns,
        reserved: bool,
    ) -> Part:
        key = (dimension, id(component), tuple(tuple(map(id, turn)) for turn in turns), reserved)
        if key not in self._parts:
            self._parts[key] = Part(dimension, component, turns, reserved)
        return self._parts[key]


def _idle(course: Course, tariff: Tariff, charged_s: int) -> list[tuple[int, int]]:
    """From and until when the place is blocked, each after its time of grace.

    After the end of charging: of each stretch in which the car asks for no power. What it cost so
    far stays when it charges on, so a longer session never costs less.
    """
    fee = tariff.idle_fee
    if fee is None:
        return []
    stretches = [(charged_s, course.end_s)]
    if fee.after == "charging_end":
        until = [*(from_s for from_s, _ in course.kinds[1:]), course.end_s]
        stretches = [
            (from_s, to_s)
            for (from_s, kind), to_s in zip(course.kinds, until, strict=True)
            if kind == "PARKING"
        ]
    grace_s = fee.after_min * 60
    return [(from_s + grace_s, to_s) for from_s, to_s in stretches if from_s + grace_s < to_s]


def _matches(one: Restrictions, piece: Piece, course: Course) -> bool:
    if one.min_wh is not None and piece.from_wh < one.min_wh:
        return False
    if one.max_wh is not None and piece.from_wh >= one.max_wh:
        return False
    return _between(
        one.min_current_a, one.max_current_a, last, course.currents, piece.from_s
    ) and _between(one.min_power_w, one.max_power_w, Course.power_at, course, piece.from_s)


def _between(
    least: Decimal | None,
    below: Decimal | None,
    find: Callable[[Any, int], Decimal | None],
    among: Any,
    at_s: int,
) -> bool:
    """One that is not known lies between no limits."""
    if least is None and below is None:
        return True
    value = find(among, at_s)
    return (
        value is not None and (least is None or value >= least) and (below is None or value < below)
    )


def _minutes(start_minute: int | None, end_minute: int | None) -> set[int]:
    if start_minute is None and end_minute is None:
        return set()
    return {start_minute or 0, end_minute or 0}


def _looks(one: Restrictions) -> bool:
    """Whether energy, current or power must be looked at."""
    return one is not NO_RESTRICTIONS and not (
        one.min_wh is one.max_wh is one.min_current_a is one.max_current_a is None
        and one.min_power_w is one.max_power_w is None
    )


def _counts(window: Window, from_s: int, there: Local, course: Course) -> bool:
    return (
        within(there.minute, window.start_minute, window.end_minute)
        and (window.weekdays is None or there.weekday in window.weekdays)
        and (window.from_at is None or from_s >= seconds(course.began_at, window.from_at))
        and (window.until_at is None or from_s < seconds(course.began_at, window.until_at))
    )


SCOPES: Final = ("station", "station_group", "user_group", "user", "event")
KINDS: Final = {"absolute": 0, "percent": 1}


def turns_of(modifiers: Sequence[Modifier]) -> Turns:
    found = [standing(modifiers)]
    while found[-1] and found[-1][0].exclusive and found[-1][0].quota:
        modifiers = [one for one in modifiers if one is not found[-1][0]]
        found.append(standing(modifiers))
    return tuple(found)


def standing(modifiers: Sequence[Modifier]) -> tuple[Modifier, ...]:
    """Which of those that count at a moment stand beside each other, in the order they work in.

    By priority, the highest first: an exclusive one stands alone if it is the first, and is left
    out if it is not. Then absolute ones, percentages, free quotas and events, each from the
    station to the user.
    """
    found: list[Modifier] = []
    for one in sorted(modifiers, key=lambda one: (-one.priority, not one.exclusive, one.id)):
        if not one.exclusive:
            found.append(one)
        elif not found:
            return (one,)
    return tuple(sorted(found, key=_order))


def _order(one: Modifier) -> tuple[int, int, int, object]:
    stage = 2 if one.scope == "event" else KINDS.get(one.kind, 2)
    return (stage, SCOPES.index(one.scope), -one.priority, one.id)
