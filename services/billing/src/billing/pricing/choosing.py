"""Pure: whose price counts for a card, which tariff is meant where and when, and who pays.

Each decision says in a sentence what it looked at, for people.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Literal
from uuid import UUID

from billing.rating.model import TaxTreatment
from billing.terms import Method, Source
from common.authorize import Holder
from common.places import Names

# Who may be given a strategy; a card carries its own, which identity keeps.
HolderKind = Literal["company", "user", "user_group", "everybody"]
PayerKind = Literal["company", "user", "card"]


@dataclass(frozen=True)
class Agreed:
    id: UUID
    places: Names
    valid_from: date | None
    valid_until: date | None
    tariff_id: UUID | None  # None: the operator's own price
    name: str = ""


@dataclass(frozen=True)
class Entry:
    """One of a strategy's tariffs. id: its number in the strategy's list; places: one."""

    id: int
    places: Names
    valid_from: date | None
    valid_until: date | None
    tariff_id: UUID | None  # None: the operator's own price


def overlapping(entries: Iterable[Entry]) -> tuple[Entry, Entry] | None:
    """Two for one place on one day, of which neither is the closer; None: there are none."""
    in_order = sorted(entries, key=lambda one: (*one.places, one.valid_from or date.min))
    for one, later in pairwise(in_order):
        over = one.valid_until is not None and one.valid_until < (later.valid_from or date.min)
        if one.places == later.places and not over:
            return one, later
    return None


@dataclass(frozen=True)
class Strategy:
    """An accounting strategy as it is now. entries: its tariffs by place."""

    id: UUID
    name: str
    active: bool
    method: Method
    tax: TaxTreatment
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Assigned:
    """A strategy that somebody has been given. priority: among user groups, the higher counts."""

    id: UUID
    holder_id: UUID | None  # None: everybody
    priority: int
    strategy: Strategy


@dataclass(frozen=True)
class Customer:
    """Who holds the card. card_id None: nobody whom the operator knows."""

    card_id: UUID | None = None
    user_id: UUID | None = None
    company_id: UUID | None = None
    company_master: bool = False
    partner_id: UUID | None = None
    user_group_ids: tuple[UUID, ...] = ()
    card_strategy_id: UUID | None = None


@dataclass(frozen=True)
class Asked:
    """Who would charge where and when. evse_id None: any of the station's."""

    operator_id: UUID
    station_id: str
    at: datetime
    evse_id: int | None = None
    card_id: UUID | None = None
    user_id: UUID | None = None
    holder: Holder | None = None  # None: nobody is known to hold it

    @property
    def customer(self) -> Customer:
        holder = self.holder or Holder()
        return Customer(
            card_id=self.card_id,
            user_id=self.user_id,
            company_id=holder.company_id,
            company_master=holder.company_master,
            partner_id=holder.partner_id,
            user_group_ids=holder.user_group_ids,
            card_strategy_id=holder.accounting_strategy_id,
        )


@dataclass(frozen=True)
class Step:
    """One source of a price that was looked at."""

    source: Source
    taken: bool
    why: str


@dataclass(frozen=True)
class Choice:
    """strategy None: none applies. default: everybody's, whose tariffs are the operator's own price
    where the closest source names none.
    """

    source: Source
    strategy: Strategy | None
    default: Strategy | None
    steps: tuple[Step, ...]


def choose(
    customer: Customer,
    of_card: Strategy | None,
    assigned: Mapping[HolderKind, Sequence[Assigned]],
    agreed: Agreed | None,
) -> Choice:
    """card, company, user, user group, partner's agreement, the default: the first that has one.

    of_card: the strategy that the card carries; of a company's master card it is the company's.
    assigned: of this customer alone, by kind of holder.
    """
    steps: list[Step] = []
    default = _usable(assigned.get("everybody", ()))
    for source, strategy, why in _sources(customer, of_card, assigned):
        steps.append(Step(source, strategy is not None, why))
        if strategy is not None:
            return Choice(source, strategy, default, tuple(steps))
    if customer.partner_id is not None:
        steps.append(Step("partner", agreed is not None, _of_partner(agreed)))
        if agreed is not None:
            return Choice("partner", None, default, tuple(steps))
    else:
        steps.append(Step("partner", False, "No partner issued the card."))
    if default is not None:
        why = f"The default for everybody counts: strategy {default.name!r}."
    else:
        why = "No strategy is the default for everybody: the operator's own price counts."
    steps.append(Step("ad_hoc", True, why))
    return Choice("ad_hoc", default, default, tuple(steps))


_Tried = tuple[Source, Strategy | None, str]


def _sources(
    customer: Customer,
    of_card: Strategy | None,
    assigned: Mapping[HolderKind, Sequence[Assigned]],
) -> Iterable[_Tried]:
    yield _of_card(customer, of_card)
    if customer.company_id is None:
        yield "company", None, "The card is no company's."
        yield _given("user", "The card's user", customer.user_id is not None, assigned)
        yield _given("user_group", "No group of the user", bool(customer.user_group_ids), assigned)
        return
    company = _usable(assigned.get("company", ()))
    if company is not None:
        yield "company", company, f"The company's strategy {company.name!r} counts."
        return
    yield "company", None, "The card's company has no strategy."
    why = "The card is a company's: what its user has does not count."
    yield "user", None, why
    yield "user_group", None, why


def _of_card(customer: Customer, carried: Strategy | None) -> _Tried:
    # A user card of a company cannot carry one; whatever was told of it, it does not count.
    if customer.company_id is not None and not customer.company_master:
        return "card", None, "The card is a company's user card, which carries no strategy."
    if customer.card_strategy_id is None:
        return "card", None, "The card carries no strategy."
    if carried is None:
        return "card", None, "The strategy that the card carries is not known."
    if not carried.active:
        return "card", None, f"The card's strategy {carried.name!r} is switched off."
    if customer.company_master:
        return "company", carried, f"The company's master card: strategy {carried.name!r} counts."
    return "card", carried, f"The card's own strategy {carried.name!r} counts."


def _given(
    source: Literal["user", "user_group"],
    who: str,
    there: bool,
    assigned: Mapping[HolderKind, Sequence[Assigned]],
) -> _Tried:
    if not there:
        none = "The card is nobody's." if source == "user" else "The user is in no group."
        return source, None, none
    strategy = _usable(assigned.get(source, ()))
    if strategy is None:
        lacks = "has no strategy" if source == "user" else "has a strategy"
        return source, None, f"{who} {lacks}."
    whose = "user's" if source == "user" else "user group's"
    return source, strategy, f"The {whose} strategy {strategy.name!r} counts."


def _usable(assigned: Sequence[Assigned]) -> Strategy | None:
    """Of several groups' the one of the highest priority; of those the one given last."""
    active = [one for one in assigned if one.strategy.active]
    first = max(active, key=lambda one: (one.priority, one.id), default=None)
    return first.strategy if first else None


def _of_partner(agreed: Agreed | None) -> str:
    if agreed is None:
        return "No agreement with the card's partner holds here and now."
    if agreed.tariff_id is None:
        return f"The agreement {agreed.name!r} says: the operator's own price."
    return f"The agreement {agreed.name!r} with the card's partner counts."


def payer(customer: Customer, choice: Choice) -> tuple[PayerKind, UUID] | None:
    """Whose account owes it; None: nobody's."""
    if choice.strategy is None or choice.strategy.method in {"free", "none"}:
        return None
    if customer.company_id is not None:
        return "company", customer.company_id
    if customer.card_id is None and customer.user_id is None:
        return None
    if customer.partner_id is not None and choice.source != "card":
        return None
    if customer.card_id is not None and (choice.source == "card" or customer.user_id is None):
        return "card", customer.card_id
    assert customer.user_id is not None
    return "user", customer.user_id
