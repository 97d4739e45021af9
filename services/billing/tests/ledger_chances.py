"""What may happen next to a ledger, by dice; not all of it is allowed.

Dice with a seed of hypothesis's: what may happen depends on what came of steps at the same time,
and hypothesis wants to draw the same again.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from .ledger_model import Books, Step

# Few and alike, so that sums often just fit, or just do not.
SUMS = [Decimal(sum_) for sum_ in ("0.01", "4.99", "5", "7.50", "25")]
COSTS = [*SUMS, Decimal(0)]
DAYS = [1, 2, 3]
LAST_DAY = 4
SELDOM = 0.2


class Chances:
    """Each method is one of ledger_model's: what is said to it."""

    def __init__(
        self,
        dice: Random,
        books: Books,
        fresh: Callable[[str], str],
        only: str | None = None,
    ) -> None:
        """only: of this account."""
        self.dice, self.books, self.fresh = dice, books, fresh
        self.accounts = {key: of for key, of in books.accounts.items() if only in (None, key)}

        def known(those: Mapping[str, Any]) -> dict[str, Any]:
            return {key: of for key, of in those.items() if of.account in self.accounts}

        self.sessions, self.holds = known(books.sessions), known(books.holds)
        self.topups, self.bonuses = known(books.topups), known(books.bonuses)
        self.running = [key for key, one in self.sessions.items() if one.state == "running"]
        self.ended = [key for key in self.sessions if key not in self.running]
        self.at_counter = [key for key, one in self.topups.items() if one.way == "cash/"]
        self.online_paid = [key for key in self.topups if key not in self.at_counter]

    def step(self) -> Step:
        name = self.dice.choice(self._possible())
        return Step(name, getattr(self, name)())

    def _possible(self) -> list[str]:
        """As often as it is named."""
        blocked = [one for one in self.accounts.values() if one.state == "blocked"]
        found = ["cash", "online", "bonus", "place", "begin", "begin", "begin", "block"]
        found += ["unblock"] * len(blocked)
        found += ["end"] * 3 * bool(self.running) + ["decide"] * 3 * bool(self.ended)
        found += ["end", "doubt", "book"] * bool(self.sessions)
        found += ["extend", "extend", "release", "holds_expire"] * bool(self.holds)
        found += ["days_pass"] * bool(self.bonuses)
        found += ["charge_back", "refund_told"] * bool(self.online_paid)
        return found + ["refund"] * 2 * bool(self.at_counter)

    def one_of(self, those: Iterable[str]) -> str:
        return self.dice.choice(sorted(those))

    def seldom(self) -> bool:
        return self.dice.random() < SELDOM

    def _paid(self, what: str) -> dict[str, Any]:
        account = self.one_of(self.accounts)
        return {"key": self.fresh(what), "account": account, "sum_": self.dice.choice(SUMS)}

    def cash(self) -> dict[str, Any]:
        return self._paid("topup")

    def online(self) -> dict[str, Any]:
        return self._paid("topup")

    def place(self) -> dict[str, Any]:
        return self._paid("hold")

    def bonus(self) -> dict[str, Any]:
        return self._paid("bonus") | {"day": self.dice.choice([*DAYS, None])}

    def days_pass(self) -> dict[str, Any]:
        return {"day": self.dice.choice(DAYS)}

    def block(self) -> dict[str, Any]:
        return {"account": self.one_of(self.accounts)}

    unblock = block

    def refund(self) -> dict[str, Any]:
        topup = self.one_of(self.at_counter)
        return {"key": self.fresh("refund"), "topup": topup, "sum_": self.dice.choice(SUMS)}

    def charge_back(self) -> dict[str, Any]:
        topup = self.one_of(self.online_paid)
        told = {key: sum_ for key, (sum_, _) in self.topups[topup].chargebacks.items()}
        return self._of_payment("chargeback", topup, told) | {"undone": self.dice.random() < 0.5}

    def refund_told(self) -> dict[str, Any]:
        topup = self.one_of(self.online_paid)
        told = {key: sum_ for key, (sum_, _) in self.topups[topup].refunds.items()}
        status = self.one_of(["asked", "confirmed", "failed"])
        return self._of_payment("refund", topup, told) | {"status": status}

    def _of_payment(self, what: str, topup: str, told: dict[str, Decimal]) -> dict[str, Any]:
        """Half of the time what the provider told before, with news of it."""
        if told and self.dice.random() < 0.5:
            key = self.one_of(told)
            return {"key": key, "topup": topup, "sum_": told[key]}
        return {"key": self.fresh(what), "topup": topup, "sum_": self.dice.choice(SUMS)}

    def holds_expire(self) -> dict[str, Any]:
        return {}

    def release(self) -> dict[str, Any]:
        return {"key": self.one_of(self.holds)}

    def extend(self) -> dict[str, Any]:
        return self.release() | {"upto": self.dice.choice(SUMS), "due": self.dice.random() < 0.5}

    def begin(self) -> dict[str, Any]:
        return {
            "key": self.fresh("session"), "account": self.one_of(self.accounts),
            "upto": self.dice.choice(SUMS), "due": self.dice.random() < 0.5,
        }  # fmt: skip

    def end(self) -> dict[str, Any]:
        key = self.one_of(self.running or self.ended)
        gross = self.dice.choice([*COSTS, None])
        return {"key": key, "gross": gross, "doubted": gross is None or self.seldom()}

    def doubt(self) -> dict[str, Any]:
        return {"key": self.one_of(self.sessions)}

    book = doubt

    def decide(self) -> dict[str, Any]:
        """Mostly about the record that counts, and the review if there is one."""
        key = self.one_of(self.ended)
        session = self.sessions[key]
        about = None if session.doubted else session.standing()
        if session.records and self.seldom():
            about = self.dice.randrange(len(session.records))
        verdicts = ["corrected", "void"] + ["valid"] * (about is None)
        return {
            "key": self.fresh("decision"), "session": key, "about": about,
            "verdict": self.one_of(verdicts), "gross": self.dice.choice(COSTS),
        }  # fmt: skip
