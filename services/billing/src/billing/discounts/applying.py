"""Pure: which discounts and price events are meant for whom, where and when, and as what they
reach the price of a session.

An offer names people and places. It is meant where it names one of each; no people named means
everybody. Its clock is the place's; a repeated hour belongs to it twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from billing.rating.model import Dimension, Modifier, Quota, Window
from common.places import Names

Form = Literal["discount", "price_event"]
Kind = Literal["absolute", "percent", "price", "free"]
Scope = Literal["station", "station_group", "user_group", "user", "event"]
QuotaUnit = Literal["kwh", "minutes", "amount", "sessions"]
QuotaPer = Literal["user_month", "session", "total"]
Day = Literal["mo", "tu", "we", "th", "fr", "sa", "su"]

DAYS: Final[tuple[Day, ...]] = ("mo", "tu", "we", "th", "fr", "sa", "su")
# Sessions over a day are incidents. One that begins before an event may run into it.
RUNS_ON: Final = timedelta(days=7)
NOBODY: Final = UUID(int=0)
# The closest first.
PEOPLE: Final[tuple[tuple[str, Scope], ...]] = (("user", "user"), ("user_group", "user_group"))
PLACES: Final[tuple[tuple[str, Scope], ...]] = (
    ("station", "station"),
    ("station_group", "station_group"),
    ("location", "station_group"),
)


@dataclass(frozen=True, slots=True)
class Size:
    """Of a quota, in the unit that is reckoned with: Wh, seconds, money, sessions."""

    unit: QuotaUnit
    size: Decimal
    per: QuotaPer

    @property
    def counted(self) -> bool:
        """Whether sessions share it, so that somebody must keep count."""
        return self.per != "session"


@dataclass(frozen=True, slots=True)
class Offer:
    """A discount or a price event. people, places: kind:id."""

    id: UUID
    form: Form
    name: str
    people: frozenset[str]
    places: frozenset[str]
    kind: Kind
    amount: Decimal
    components: frozenset[Dimension]
    valid_from: datetime | None = None  # local, without a zone
    valid_until: datetime | None = None  # local; exclusive
    weekdays: frozenset[int] | None = None
    start_minute: int | None = None
    end_minute: int | None = None
    exclusive: bool = False
    priority: int = 0
    quota: Size | None = None
    active_from: datetime | None = None
    active_until: datetime | None = None  # exclusive


@dataclass(frozen=True, slots=True)
class Situation:
    """Who begins to charge where and when. who: users and user groups; where: as places name it.

    subject: whose monthly quotas count, the user or the card; None: nobody is known.
    """

    who: frozenset[str]
    where: frozenset[str]
    at: datetime
    zone: tzinfo
    subject: UUID | None


def who_names(user_id: UUID | None, group_ids: Iterable[UUID] = ()) -> frozenset[str]:
    groups = {f"user_group:{group_id}" for group_id in group_ids}
    return frozenset(groups | ({f"user:{user_id}"} if user_id else set()))


def where_names(names: Names) -> frozenset[str]:
    return frozenset(f"{kind}:{named}" for kind, named in names)


def meant(offer: Offer, now: Situation) -> bool:
    """Whether a session that begins now may get it, at once or later while it runs."""
    if offer.people and not offer.people & now.who:
        return False
    if not offer.places & now.where:
        return False
    if offer.quota is not None and offer.quota.per == "user_month" and now.subject is None:
        return False
    if offer.active_from is not None and offer.active_from > now.at:
        return False
    window = window_of(offer, now.zone)
    soon = window.from_at is None or window.from_at < now.at + RUNS_ON
    return soon and (window.until_at is None or window.until_at > now.at)


def window_of(offer: Offer, zone: tzinfo) -> Window:
    """In moments what is said in local time; never before it was activated."""
    begins = [offer.active_from] if offer.active_from else []
    if offer.valid_from is not None:
        begins.append(offer.valid_from.replace(tzinfo=zone).astimezone(UTC))
    ends = [offer.active_until] if offer.active_until else []
    if offer.valid_until is not None:
        # fold: of a time that the autumn night has twice the second one.
        ends.append(offer.valid_until.replace(tzinfo=zone, fold=1).astimezone(UTC))
    return Window(
        from_at=max(begins, default=None),
        until_at=min(ends, default=None),
        start_minute=offer.start_minute,
        end_minute=offer.end_minute,
        weekdays=offer.weekdays,
    )


def scope_of(offer: Offer, now: Situation) -> Scope:
    """By the closest of its names that found the session: of people, else of places.

    For everybody everywhere: as for a user group. A location counts as a group of its stations.
    """
    if offer.form == "price_event":
        return "event"
    for names, kinds in ((offer.people & now.who, PEOPLE), (offer.places & now.where, PLACES)):
        found = {name.partition(":")[0] for name in names}
        for kind, scope in kinds:
            if kind in found:
                return scope
    return "user_group"


def modifier_of(offer: Offer, now: Situation, left: Decimal | None) -> Modifier:
    """As one session gets it. left: of its quota, in the unit that is reckoned with.

    A number of sessions is not the price's to know: who begins reserves one.
    """
    quota = None
    if offer.quota is not None and left is not None:
        match offer.quota.unit:
            case "kwh":
                quota = Quota("wh", left)
            case "minutes":
                quota = Quota("s", left)
            case "amount":
                quota = Quota("amount", left)
    return Modifier(
        id=offer.id,
        name=offer.name,
        scope=scope_of(offer, now),
        kind=offer.kind,
        amount=offer.amount,
        components=offer.components,
        window=window_of(offer, now.zone),
        exclusive=offer.exclusive,
        priority=offer.priority,
        quota=quota,
    )


def counter_of(size: Size, subject: UUID | None, at: datetime, zone: tzinfo) -> tuple[UUID, str]:
    """Which counter of a quota a session has: whose, and of which month (of its start)."""
    if size.per == "total":
        return NOBODY, ""
    return subject or NOBODY, at.astimezone(zone).strftime("%Y-%m")
