"""Pure: which cards may charge where and when.

Without rules every good card charges everywhere. A rule names holders, places and times, and what
it does to them:

- deny: these holders may not charge at these places in these times. It wins over all others.
- reserve: these places are, in these times, for the holders of such rules only.
- confine: these holders may charge only where and when one of the confining rules that name them
  says so.

Times are the operator's own. A window that ends before it begins goes on after midnight; one whose
end is its beginning lasts a whole day.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal

Effect = Literal["deny", "reserve", "confine"]
HolderKind = Literal["everybody", "card", "user", "user_group", "company", "partner"]
# What a rule names: a kind and an id, which is empty for everybody and everywhere.
Names = frozenset[tuple[str, str]]

DAY_MIN: Final = 24 * 60


@dataclass(frozen=True)
class Window:
    days: frozenset[int]  # 0: Monday
    begin: int  # minutes after midnight
    end: int


@dataclass(frozen=True)
class Rule:
    name: str
    effect: Effect
    holders: Names
    places: Names
    windows: tuple[Window, ...] = ()  # none: always
    valid_from: date | None = None
    valid_until: date | None = None  # the last day


@dataclass(frozen=True)
class Judgement:
    allowed: bool
    why: str  # a sentence


class RuleBook:
    """An operator's rules, found by the names in them: a card is meant by few of hundreds."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules
        self._by_holder: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self._reserves_by_place: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for number, rule in enumerate(rules):
            for name in rule.holders:
                self._by_holder[name].append(number)
            for name in rule.places if rule.effect == "reserve" else ():
                self._reserves_by_place[name].append(number)

    def meaning(self, holder: Names) -> list[Rule]:
        """In their order."""
        return self._found(self._by_holder, holder)

    def reserving(self, place: Names) -> list[Rule]:
        """In their order."""
        return self._found(self._reserves_by_place, place)

    def _found(self, index: Mapping[tuple[str, str], list[int]], names: Names) -> list[Rule]:
        numbers = {number for name in names for number in index.get(name, ())}
        return [self._rules[number] for number in sorted(numbers)]


def judge(rules: RuleBook, holder: Names, place: Names, local: datetime) -> Judgement:
    """local: the operator's wall clock."""
    meant = rules.meaning(holder)
    for rule in meant:
        if rule.effect == "deny" and rule.places & place and in_force(rule, local):
            return Judgement(False, f"The rule “{rule.name}” denies it.")
    reserved = [rule for rule in rules.reserving(place) if in_force(rule, local)]
    if reserved and not any(rule.holders & holder for rule in reserved):
        return Judgement(False, f"The rule “{reserved[0].name}” reserves the place for others.")
    # All that name the holder, in force or not: outside their times nothing is allowed.
    confining = [rule for rule in meant if rule.effect == "confine"]
    if confining and not any(rule.places & place and in_force(rule, local) for rule in confining):
        return Judgement(False, f"The rule “{confining[0].name}” allows other places or times.")
    return Judgement(True, "No rule is against it.")


def in_force(rule: Rule, local: datetime) -> bool:
    today = local.date()
    if not rule.windows:
        return _valid(rule, today)
    minute = local.hour * 60 + local.minute
    yesterday = today - timedelta(days=1)
    return any(
        (window_today(window, today, minute) and _valid(rule, today))
        or (since_yesterday(window, yesterday, minute) and _valid(rule, yesterday))
        for window in rule.windows
    )


def window_today(window: Window, today: date, minute: int) -> bool:
    end = window.end if window.end > window.begin else DAY_MIN
    return today.weekday() in window.days and window.begin <= minute < end


def since_yesterday(window: Window, yesterday: date, minute: int) -> bool:
    """In the part of a window after the midnight that it goes over."""
    over = window.end <= window.begin
    return over and yesterday.weekday() in window.days and minute < window.end


def _valid(rule: Rule, day: date) -> bool:
    begun = rule.valid_from is None or rule.valid_from <= day
    return begun and (rule.valid_until is None or day <= rule.valid_until)
