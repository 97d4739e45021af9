"""Any order of what happens to several accounts, some of it at once, leaves the ledger right.

A model in plain Python says what each journal, balance and hold must be. Where steps happen at the
same time there must be one order of them that explains every answer and all that is there then.
`make fuzz` runs it with more examples.
"""

import asyncio
import copy
import os
from collections.abc import Coroutine, Iterator
from decimal import Decimal
from random import Random
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from stack import Running

from billing.ledger.check import check
from billing.settings import Settings
from common.database import Connections, engine

from .ledger_chances import COSTS, LAST_DAY, Chances
from .ledger_model import Account, Books, Step
from .ledger_steps import Seen, World

T = TypeVar("T")
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
STEPS = 25
AT_ONCE_MAX = 4
NAMES = st.sampled_from(["wallet", "tab", "francs", "company"])
SEEDS = st.integers(0, 2**32)
FLOORS = st.sampled_from([Decimal(0), Decimal("2.50"), None])


class Ledger(RuleBasedStateMachine):
    settings_: ClassVar[Settings]
    connections: ClassVar[Connections]
    loop: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.settings_, self.connections)
        self.books = Books({})
        self.done: list[Step] = []
        self.told: list[str] = []
        self.keys = 0
        self.agrees = True

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(act)

    @initialize(of_wallet=FLOORS, of_tab=FLOORS, busy=NAMES)
    def open(self, of_wallet: Decimal | None, of_tab: Decimal | None, busy: str) -> None:
        those = {
            "wallet": Account(floor=of_wallet),
            "tab": Account(limit=Decimal(5), floor=of_tab),
            "francs": Account(currency="CHF", floor=Decimal(2)),
            "company": Account(method="monthly", limit=None, floor=Decimal(2)),
        }
        self.books = Books(copy.deepcopy(those))
        self.run(self.world.open(those))
        self.done = before(busy)
        for step in self.done:
            self.happens(step)

    @rule(seed=SEEDS)
    def one_thing(self, seed: int) -> None:
        step = self.chances(Random(seed)).step()
        self.happens(step)
        self.done.append(step)

    @rule(seed=SEEDS)
    def told_again(self, seed: int) -> None:
        self.happens(Random(seed).choice(self.done))

    @rule(seed=SEEDS, count=st.integers(2, AT_ONCE_MAX), only=NAMES | st.none())
    def at_once(self, seed: int, count: int, only: str | None) -> None:
        """Mostly to one account; now and then the same twice."""
        dice = Random(seed)
        chances = self.chances(dice, only)
        steps = [chances.step()]
        while len(steps) < count:
            steps.append(dice.choice(steps) if chances.seldom() else chances.step())
        self.together([one for n, one in enumerate(steps) if apart(one, steps[:n])])

    @rule(seed=SEEDS, account=NAMES)
    def sessions_of_an_account_end_at_once(self, seed: int, account: str) -> None:
        dice = Random(seed)
        running = self.chances(dice, account).running[:AT_ONCE_MAX]
        said = [{"key": key, "gross": dice.choice(COSTS), "doubted": False} for key in running]
        self.together([Step("end", one) for one in said])

    def chances(self, dice: Random, only: str | None = None) -> Chances:
        return Chances(dice, self.books, self.fresh, only)

    def happens(self, step: Step) -> None:
        self.agrees = False
        answer = self.run(self.world.happens(step))
        self.told.append(f"{step}: {answer}")
        expected = self.books.happens(step)
        seen = self.run(self.world.seen())
        differ = differences(self.books, seen)
        self.require(answer == expected and not differ, f"expected {expected}; {differ}")
        in_their_order(self.books, seen)

    def together(self, steps: list[Step]) -> None:
        self.agrees = False
        answers = self.run(self.all_of(steps))
        self.told.append(f"at once {steps}: {answers}")
        seen = self.run(self.world.seen())
        found, differ = None, []
        for one in orders(self.books, steps, answers):
            differ.append(differences(one, seen))
            if not differ[-1]:
                found = one
                break
        self.require(found is not None, f"no order of {len(differ)} explains it; {differ[:1]}")
        assert found is not None
        in_their_order(found, seen)
        self.books = found
        self.done += steps

    def require(self, right: bool, what: str) -> None:
        """What was at once may not come again when hypothesis repeats it, so all is told now."""
        if not right:
            raise AssertionError("\n".join([*self.told, what]))
        self.agrees = True

    async def all_of(self, steps: list[Step]) -> list[Any]:
        return await asyncio.gather(*(self.world.happens(step) for step in steps))

    def fresh(self, what: str) -> str:
        self.keys += 1
        return f"{what}{self.keys}"

    def teardown(self) -> None:
        """What is left over ends, so that no other test meets it."""
        left = [Step("days_pass", {"day": LAST_DAY})]
        left += [Step("release", {"key": key}) for key in self.books.holds]
        if not self.agrees:
            for step in left:
                self.run(self.world.happens(step))
            return
        for step in left:
            self.happens(step)
        assert self.run(self.world.wrong()) == []
        found = self.run(check(self.world.connections))
        assert [one for one in found if one.operator_id == self.world.operator] == []


def before(account: str) -> list[Step]:
    """That much is to be had, and to be paid, from the first step on."""
    to: dict[str, Any] = {"account": account}
    some = Decimal("7.50")
    return [
        Step("cash", to | {"key": "topup", "sum_": some}),
        Step("bonus", to | {"key": "bonus", "sum_": some, "day": 2}),
        Step("bonus", to | {"key": "bonus0", "sum_": Decimal(5), "day": 1}),
        *(Step("begin", to | {"key": f"session-{n}", "upto": Decimal(5), "due": n == 0})
          for n in range(3)),
    ]  # fmt: skip


def apart(step: Step, others: list[Step]) -> bool:
    """Whether it is explained by an order of whole steps. Those that look first and then do one
    after the other may or may not see what comes meanwhile.
    """
    names = {one.name for one in others}
    if step.name == "days_pass":
        return "bonus" not in names
    if step.name == "bonus":
        return "days_pass" not in names
    if step.name == "holds_expire":
        return names.isdisjoint({"begin", "extend"})
    return step.name not in {"begin", "extend"} or "holds_expire" not in names


def differences(books: Books, seen: Seen) -> list[Any]:
    """Where the database has something else than the model: what, expected, found."""
    found: list[Any] = []
    for name, account in books.accounts.items():
        balance = (
            books.balance(name), books.balance(name, "bonus"), books.held(name), account.state
        )  # fmt: skip
        if seen.balances[name] != balance:
            found.append((name, balance, seen.balances[name]))
    for event in sorted(books.journals.keys() | seen.journals.keys()):
        both = books.journals.get(event), seen.journals.get(event)
        if both[0] != both[1]:
            found.append((event, *both))
    holds = {key: (one.account, one.amount, one.due) for key, one in books.holds.items()}
    if holds != seen.holds:
        found.append(("holds", holds, seen.holds))
    for key, session in books.sessions.items():
        # Also what is not booked yet: it says which of several at once was the first.
        gross = [one.gross for one in session.records]
        has = (session.state, session.doubted, session.void, gross)
        if has != seen.sessions[key]:
            found.append((key, has, seen.sessions[key]))
    return found


def orders(books: Books, steps: list[Step], told: list[Any]) -> Iterator[Books]:
    """What each order of steps leaves in which every step gets the answer that was told."""
    return _from_here(books, [books.parts(step) for step in steps], steps, told)


def _from_here(
    books: Books, left: list[list[Step]], steps: list[Step], told: list[Any]
) -> Iterator[Books]:
    """left: of each step the parts that are still to come."""
    left = [[one for one in parts if not over(books, one)] for parts in left]
    if not any(left):
        yield books
    for n, parts in enumerate(left):
        if not parts or (parts in left[:n] and parts[0] is not steps[n]):
            continue  # the same is done by another
        for part in next_of(books, parts):
            then = copy.deepcopy(books)
            answer = then.happens(part)
            if part is steps[n] and answer != told[n]:
                continue
            rest = [one for one in parts if one is not part]
            yield from _from_here(then, [*left[:n], rest, *left[n + 1 :]], steps, told)


def over(books: Books, part: Step) -> bool:
    """Whether somebody else has done it, so that it changes nothing whenever it comes."""
    if part.name == "bonus_expires":
        return books.bonuses[part.said["key"]].expired
    return part.name == "hold_expires" and part.said["key"] not in books.holds


def next_of(books: Books, parts: list[Step]) -> list[Step]:
    """The first; of an account's bonuses that end on one day any."""
    if not parts or parts[0].name != "bonus_expires":
        return parts[:1]
    ends = [(of.account, of.day) for of in (books.bonuses[one.said["key"]] for one in parts)]
    return [one for one, end in zip(parts, ends, strict=True) if end == ends[0]]


def in_their_order(books: Books, seen: Seen) -> None:
    """Journals as they were booked, holds as they expire: of several at once the model cannot know
    which was the first.
    """
    books.journals = {event: books.journals[event] for event in seen.journals}
    books.holds = {key: books.holds[key] for key in seen.holds}


@pytest.mark.timeout(3600)  # FUZZ_EXAMPLES says how long it takes
def test_the_ledger_is_right_after_any_order_of_what_happens(service: Running) -> None:
    Ledger.settings_ = service.app.state.parts.settings
    made = engine(str(Ledger.settings_.database_url), "billing", pool_size=AT_ONCE_MAX)
    Ledger.connections = Connections(made)
    at_length = "FUZZ_EXAMPLES" in os.environ  # then what is found is made small, too
    phases = [Phase.generate, Phase.shrink] if at_length else [Phase.generate]
    with asyncio.Runner() as Ledger.loop:
        try:
            run_state_machine_as_test(
                Ledger,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    phases=phases,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            Ledger.loop.run(made.dispose())
