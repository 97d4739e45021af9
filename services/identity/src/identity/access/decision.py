"""Pure: may this card charge now?

A card is refused for the first reason that holds, in the order in which staff would look: is it
known, is it or its holder blocked, is it valid today, do the rules let it, is there money, is there
a price. A session that already runs is not asked about again: a card blocked meanwhile only loses
its next start.

A card that is charging somewhere may start again elsewhere (OCPP's ConcurrentTx is never answered):
companies hand one card to several drivers, and a start refused because another's stop was lost
strands somebody, while each session is billed to the card either way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Self
from uuid import UUID

from common.authorize import AuthorizeStatus
from identity.access.rules import Judgement

MOMENT = "%Y-%m-%d %H:%M %Z"
NOTHING: Final = "Nothing against it."
UNPAID: Final = {
    "no_credit": "The account that pays has no credit left.",
    "blocked": "The account that pays is blocked.",
    "chargeback": "The account that pays is blocked: a payment was charged back.",
    "closed": "The account that pays is closed.",
}
ALLOWED: Final = Judgement(allowed=True, why="No rule is against it.")


@dataclass(frozen=True)
class Facts:
    """What is known of a card the operator has."""

    card_id: UUID | None  # None: not made yet, if its partner accepts it
    active: bool
    blocked_reason: str | None
    valid_from: datetime | None  # from this moment on
    valid_until: datetime | None  # before this moment
    user_id: UUID | None
    user_active: bool | None  # None: the card is nobody's
    has_tariff: bool  # the operator has one that is valid now
    group_id: str | None = None  # cards of one group end each other's sessions
    master_pass: bool = False  # ends any session and begins none, so it needs no price
    operator_active: bool = True
    company_active: bool | None = None  # None: of no company
    partner_active: bool | None = None  # None: no partner issued it
    monthly_cap: Decimal | None = None
    spent: Decimal = Decimal(0)  # in this month, gross
    unpaid: str | None = None  # why the account that pays may not; one of UNPAID
    judgement: Judgement = ALLOWED


@dataclass(frozen=True)
class Step:
    """One thing that was looked at."""

    check: str
    status: AuthorizeStatus  # Accepted: nothing against it
    detail: str


@dataclass(frozen=True)
class Decision:
    status: AuthorizeStatus
    why: str
    steps: tuple[Step, ...] = ()

    def then(self, step: Step) -> Self:
        """After what was looked at so far, one that decides."""
        return replace(self, status=step.status, why=step.detail, steps=(*self.steps, step))


def decide(facts: Facts | None, now: datetime) -> Decision:
    """facts: None if the operator has no such card."""
    if facts is None:
        return Decision("Invalid", "The operator has no card with this token.")
    steps = tuple(_steps(facts, now))
    refused = next((step for step in steps if step.status != "Accepted"), None)
    if refused is not None:
        return Decision(refused.status, refused.detail, steps)
    if facts.master_pass:
        why = "The card is a master pass: it ends sessions, begins none."
        return Decision("Accepted", why, steps)
    return Decision("Accepted", "The card is known, active and valid.", steps)


def _steps(facts: Facts, now: datetime) -> Iterator[Step]:
    yield _step("operator", facts.operator_active, "The operator is not active.")
    reason = f": {facts.blocked_reason}" if facts.blocked_reason else ""
    yield _step("card", facts.active, f"The card is blocked{reason}.")
    yield _step("user", facts.user_active is not False, "The card's user is not active.")
    yield _step("company", facts.company_active is not False, "The card's company is not active.")
    yield _step("partner", facts.partner_active is not False, "The card's partner is not active.")
    yield _validity(facts, now)
    if facts.master_pass:
        return
    yield _step("rules", facts.judgement.allowed, facts.judgement.why)
    within = facts.monthly_cap is None or facts.spent < facts.monthly_cap
    cap = f"The card has spent {facts.spent} of the {facts.monthly_cap} it may in a month."
    yield _step("cap", within, cap)
    yield _account(facts)
    no_price = "The operator has no valid tariff, so a session has no price."
    yield _step("tariff", facts.has_tariff, no_price)


def _validity(facts: Facts, now: datetime) -> Step:
    if facts.valid_from is not None and now < facts.valid_from:
        return Step("validity", "Invalid", f"The card is valid from {facts.valid_from:{MOMENT}}.")
    if facts.valid_until is not None and now >= facts.valid_until:
        until = f"The card was valid until {facts.valid_until:{MOMENT}}."
        return Step("validity", "Expired", until)
    return Step("validity", "Accepted", NOTHING)


def _account(facts: Facts) -> Step:
    if facts.unpaid is None:
        return Step("account", "Accepted", NOTHING)
    # OCPP has a word for want of money; the others are blocked for a reason of staff.
    status: AuthorizeStatus = "NoCredit" if facts.unpaid == "no_credit" else "Blocked"
    return Step("account", status, UNPAID.get(facts.unpaid, "The account that pays may not."))


def _step(check: str, passed: bool, detail: str) -> Step:
    return Step(check, "Accepted", NOTHING) if passed else Step(check, "Blocked", detail)
