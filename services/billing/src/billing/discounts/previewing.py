"""Pure: what a draft would have done to sessions that were, added up.

Its quota is counted as if it had been there, in the order in which the sessions ended. An offer
that lies after the time that is looked at is moved back by whole weeks, so that its days of the
week and its hours stay.
"""

import heapq
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from billing.discounts.applying import Offer, Situation, counter_of, meant, modifier_of
from billing.rating.model import Modifier
from common.money import plain

WEEK: Final = timedelta(weeks=1)
STATIONS_MAX: Final = 100
AFFECTED_MAX: Final = 20
ZERO: Final = Decimal(0)


class Amounts(NamedTuple):
    net: Decimal = ZERO
    gross: Decimal = ZERO

    def plus(self, more: "Amounts") -> "Amounts":
        return Amounts(self.net + more.net, self.gross + more.gross)


class Rated(NamedTuple):
    """One session, before and after; the same if the offer is not meant for it."""

    session_id: UUID
    station_id: str
    user_id: UUID | None
    currency: str
    before: Amounts
    after: Amounts


def moved(offer: Offer, begin: datetime, end: datetime, zone: tzinfo) -> tuple[Offer, int]:
    """The offer as it would lie between two moments, and by how many weeks it was moved.

    All of it if it is short enough, else from the beginning on. As if it had always been active.
    """
    offer = replace(offer, active_from=None, active_until=None)
    first, last = (at.astimezone(zone).replace(tzinfo=None) for at in (begin, end))
    starts, ends = offer.valid_from, offer.valid_until
    if starts is None or starts < last:
        return offer, 0
    by = starts - first
    if ends is not None and ends - starts <= last - first:
        by = ends - last
    weeks = -(-by // WEEK)
    if ends is not None:
        ends -= weeks * WEEK
    return replace(offer, valid_from=starts - weeks * WEEK, valid_until=ends), weeks


@dataclass
class Counters:
    """What of the offer's quota the sessions so far would have used up, by whose and month."""

    offer: Offer
    used: dict[tuple[UUID, str], Decimal] = field(default_factory=dict)

    def modifier(self, now: Situation) -> Modifier | None:
        """As the session would get it; None: it is not meant, or used up."""
        if not meant(self.offer, now):
            return None
        size = self.offer.quota
        if size is None:
            return modifier_of(self.offer, now, None)
        left = size.size
        if size.counted:
            left -= self.used.get(counter_of(size, now.subject, now.at, now.zone), ZERO)
        return modifier_of(self.offer, now, left) if left > 0 else None

    def count(self, now: Situation, quantity: Decimal, *, changed: bool) -> None:
        """quantity: of its quota, in the unit that is reckoned with; a session counts as one."""
        size = self.offer.quota
        if size is None or not size.counted:
            return
        key = counter_of(size, now.subject, now.at, now.zone)
        taken = Decimal(changed) if size.unit == "sessions" else quantity
        self.used[key] = self.used.get(key, ZERO) + taken


@dataclass
class _Sum:
    sessions: int = 0
    concerned: int = 0
    before: Amounts = field(default_factory=Amounts)
    after: Amounts = field(default_factory=Amounts)

    def add(self, one: Rated) -> None:
        self.sessions += 1
        self.concerned += one.before != one.after
        self.before = Amounts(
            self.before.net + one.before.net, self.before.gross + one.before.gross
        )
        self.after = Amounts(self.after.net + one.after.net, self.after.gross + one.after.gross)

    def told(self) -> dict[str, Any]:
        return {
            "sessions": self.sessions,
            "sessions_concerned": self.concerned,
            "net_before": plain(self.before.net),
            "net_after": plain(self.after.net),
            "gross_before": plain(self.before.gross),
            "gross_after": plain(self.after.gross),
        }


@dataclass
class Tally:
    """By currency, by station, by user; memory by the number of stations and of users."""

    sums: dict[str, _Sum] = field(default_factory=dict)
    stations: dict[tuple[str, str], _Sum] = field(default_factory=dict)
    users: dict[tuple[UUID, str], Decimal] = field(default_factory=dict)
    # The smallest of the largest differences first.
    sessions: list[tuple[Decimal, str, Rated]] = field(default_factory=list)

    def add(self, one: Rated) -> None:
        self.sums.setdefault(one.currency, _Sum()).add(one)
        self.stations.setdefault((one.station_id, one.currency), _Sum()).add(one)
        change = one.after.gross - one.before.gross
        if not change:
            return
        if one.user_id is not None:
            key = (one.user_id, one.currency)
            self.users[key] = self.users.get(key, ZERO) + change
        entry = (abs(change), str(one.session_id), one)
        if len(self.sessions) < AFFECTED_MAX:
            heapq.heappush(self.sessions, entry)
        else:
            heapq.heappushpop(self.sessions, entry)

    def told(self) -> dict[str, Any]:
        """As JSON: totals by currency; of stations, users and sessions the most affected."""
        stations = heapq.nlargest(STATIONS_MAX, self.stations.items(), key=_station_change)
        users = heapq.nlargest(AFFECTED_MAX, self.users.items(), key=_user_change)
        return {
            "totals": [
                {"currency": currency} | one.told() for currency, one in sorted(self.sums.items())
            ],
            "stations": [
                {"station_id": station_id, "currency": currency} | one.told()
                for (station_id, currency), one in stations
                if one.concerned
            ],
            "users": [
                {"user_id": str(user_id), "currency": currency, "gross_change": plain(change)}
                for (user_id, currency), change in users
            ],
            "most_affected": [
                {
                    "session_id": str(one.session_id),
                    "station_id": one.station_id,
                    "user_id": str(one.user_id) if one.user_id else None,
                    "currency": one.currency,
                    "gross_before": plain(one.before.gross),
                    "gross_after": plain(one.after.gross),
                }
                for _, _, one in sorted(self.sessions, reverse=True)
            ],
        }


def _station_change(item: tuple[tuple[str, str], _Sum]) -> tuple[Decimal, str]:
    (station_id, _), one = item
    return abs(one.after.gross - one.before.gross), station_id


def _user_change(item: tuple[tuple[UUID, str], Decimal]) -> tuple[Decimal, UUID]:
    (user_id, _), change = item
    return abs(change), user_id
