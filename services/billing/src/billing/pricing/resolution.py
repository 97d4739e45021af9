"""The price of a session: asked at its start, by who wants to know beforehand, and for displays.

The first source that has one counts: the card's strategy, its company's, its user's, a group's of
the user, the agreement with the partner that issued it, the default for everybody. Where a strategy
names no tariff the operator's own one counts.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables, tariffs, terms
from billing.discounts.finding import Found, applicable
from billing.pricing import known
from billing.pricing.choosing import (
    Agreed,
    Asked,
    Choice,
    Customer,
    PayerKind,
    Step,
    Strategy,
    choose,
    payer,
)
from billing.pricing.payers import account_of
from billing.rating.model import Dimension, Modifier, TaxTreatment
from billing.terms import Method, Terms
from common.closest import chosen

__all__ = ["Asked", "Price", "resolve"]

# Above whatever people may give a discount: what is free needs no discount.
FREE_PRIORITY: Final = 2**31
EVERYTHING: Final = frozenset[Dimension]({"ENERGY", "TIME", "PARKING_TIME", "FLAT"})


@dataclass(frozen=True)
class Price:
    """What a session is priced by. tariff None: none is valid, so it waits for one."""

    tariff: tables.Tariff | None
    agreement_id: UUID | None
    terms: Terms
    strategy_name: str | None = None
    steps: tuple[Step, ...] = ()
    payer: tuple[PayerKind, UUID] | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """Of a session's row."""
        return {
            "tariff_id": self.tariff.id if self.tariff else None,
            "agreement_id": self.agreement_id,
            "terms": terms.to_json(self.terms),
        }


async def resolve(db: AsyncSession, asked: Asked, *, begins: bool = True) -> Price:
    """The price that a session which begins so has, with why.

    begins: the payer's account is opened if there is none; not if somebody merely asks.
    """
    where = await known.situation(db, asked)
    customer = asked.customer
    agreed = await known.agreed(db, asked, where)
    choice = choose(
        customer,
        await known.of_card(db, asked),
        await known.assigned(db, asked.operator_id, customer),
        agreed,
    )
    agreement = agreed if choice.source == "partner" else None
    tariff, whence = await _tariff(db, asked, where, choice, agreement)
    who = payer(customer, choice)
    method = _method(choice, paid=who is not None)
    account_id = await _account(db, asked, choice, who, tariff) if begins else None
    tax, taxed = await _tax(db, asked.operator_id, customer, choice)
    offers = await _offers(db, asked, where, choice.strategy, tariff)
    why = (
        *(step.why for step in choice.steps),
        *whence,
        _paying(choice, method, who),
        *taxed,
        *offers.why,
    )
    found = Terms(
        source=choice.source,
        method=method,
        tax=tax,
        account_id=account_id,
        strategy_id=choice.strategy.id if choice.strategy else None,
        modifiers=offers.modifiers,
        why=why,
    )
    name = choice.strategy.name if choice.strategy else None
    return Price(tariff, agreement.id if agreement else None, found, name, choice.steps, who)


async def _tariff(
    db: AsyncSession, asked: Asked, where: known.Situation, choice: Choice, agreement: Agreed | None
) -> tuple[tables.Tariff | None, tuple[str, ...]]:
    """The version that is valid at the moment, and in sentences where it comes from.

    A session may be told late and have begun before there was the tariff that is named now: then it
    costs what the operator's own price was, and the sentences say so.
    """
    named: list[tuple[UUID | None, str]] = []
    if agreement is not None:
        named.append((agreement.tariff_id, "the agreement's"))
    for strategy, whose in ((choice.strategy, "the strategy's"), (choice.default, "everybody's")):
        entry = chosen(strategy.entries, where.names, where.day) if strategy else None
        named.append((entry.tariff_id if entry else None, f"{whose} for this place"))
    early: dict[UUID, str] = {}
    for tariff_id, whose in named:
        if tariff_id is not None and tariff_id not in early:
            tariff = await tariffs.find_of_series(db, asked.operator_id, tariff_id, asked.at)
            if tariff is not None:
                return tariff, (*early.values(), f"Tariff: {tariff.name!r}, {whose}.")
            early[tariff_id] = f"Tariff: {whose} is not valid yet when the session begins."
    tariff = await tariffs.find_valid(db, asked.operator_id, asked.at)
    if tariff is None:
        return None, (*early.values(), "Tariff: none is valid, so there is no price.")
    return tariff, (*early.values(), f"Tariff: {tariff.name!r}, the operator's own.")


def _method(choice: Choice, *, paid: bool) -> Method:
    if choice.strategy is None:
        return "none"
    return choice.strategy.method if paid or choice.strategy.method == "free" else "none"


async def _account(
    db: AsyncSession,
    asked: Asked,
    choice: Choice,
    who: tuple[PayerKind, UUID] | None,
    tariff: tables.Tariff | None,
) -> UUID | None:
    if who is None or choice.strategy is None:
        return None
    strategy = await db.get_one(tables.AccountingStrategy, choice.strategy.id)
    return await account_of(db, strategy, *who, tariff.currency if tariff else None, asked)


async def strategy_of_user(
    db: AsyncSession, operator_id: UUID, user_id: UUID
) -> tables.AccountingStrategy | None:
    """By which a user's own account pays for sessions; None: nobody bills it."""
    person = await db.get(tables.Person, user_id)
    groups = person.group_ids if person is not None and person.operator_id == operator_id else ()
    customer = Customer(user_id=user_id, user_group_ids=tuple(groups))
    choice = choose(customer, None, await known.assigned(db, operator_id, customer), None)
    if choice.strategy is None or payer(customer, choice) is None:
        return None
    return await db.get_one(tables.AccountingStrategy, choice.strategy.id)


def _paying(choice: Choice, method: Method, who: tuple[PayerKind, UUID] | None) -> str:
    if method == "free":
        return "Payment: free of charge by the strategy."
    if who is None and choice.strategy is None:
        return "Payment: nobody is billed here, for no strategy says how."
    if who is None:
        return "Payment: nobody is billed here, for the operator has no account of theirs."
    return f"Payment: {method}, by the account of the {who[0]}."


async def _tax(
    db: AsyncSession, operator_id: UUID, customer: Customer, choice: Choice
) -> tuple[TaxTreatment, tuple[str, ...]]:
    """Reverse charge needs the customer's VAT id; without one it is net, with VAT on top."""
    if choice.strategy is None:
        return "as_tariff", ()
    wanted = choice.strategy.tax
    if wanted == "as_tariff":
        return wanted, ("VAT: as the tariff's prices are.",)
    if wanted == "net":
        return wanted, ("VAT: on top of net prices, for a company.",)
    company = await db.get(tables.Company, customer.company_id) if customer.company_id else None
    if company is None or company.operator_id != operator_id or not company.vat_id:
        return "net", ("VAT: on top of net prices; no VAT id is known for a reverse charge.",)
    return wanted, (f"VAT: reverse charge, owed by the company ({company.vat_id}).",)


async def _offers(
    db: AsyncSession,
    asked: Asked,
    where: known.Situation,
    strategy: Strategy | None,
    tariff: tables.Tariff | None,
) -> Found:
    """What is free by its strategy needs no discount; what has no price yet gets none."""
    if strategy is not None and strategy.method == "free":
        return Found((free_modifier(strategy),))
    if tariff is None:
        return Found()
    return await applicable(
        db,
        asked,
        names=where.names,
        time_zone=where.time_zone,
        strategy_id=strategy.id if strategy else None,
        currency=tariff.currency,
    )


def free_modifier(strategy: Strategy) -> Modifier:
    return Modifier(
        id=strategy.id, name=strategy.name, scope="user", kind="free", exclusive=True,
        priority=FREE_PRIORITY, components=EVERYTHING,
    )  # fmt: skip
