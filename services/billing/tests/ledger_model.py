"""Pure: what the ledger must have after what happened, reckoned in the plainest way.

Nothing of the product's is used, so that both are wrong only if two people were. Each method is a
thing that happens; its namesake in ledger_steps has the product do it, and must answer the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

ZERO = Decimal(0)
CENT = Decimal("0.01")
NEVER = 10**9
# Who, and which purse: "wallet", "money"; the operator's own are "kind/detail/currency".
Postings = Mapping[tuple[str, str], Decimal]


class Step(NamedTuple):
    """What happens, by the name of a method here and in ledger_steps."""

    name: str
    said: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.said.items())})"


@dataclass
class Account:
    currency: str = "EUR"
    method: str = "prepaid"
    limit: Decimal | None = ZERO  # None: none
    floor: Decimal | None = ZERO
    state: str = "open"

    @property
    def lowest(self) -> Decimal | None:
        """None: who pays by invoice, or has no floor, owes what it costs."""
        if self.method != "prepaid" or self.limit is None or self.floor is None:
            return None
        return -self.limit - self.floor


@dataclass
class Hold:
    account: str
    amount: Decimal
    due: bool = False  # nobody has told of it for days


@dataclass
class Record:
    kind: str
    gross: Decimal
    of: int | None = None  # what it cancels


@dataclass
class Session:
    account: str
    state: str = "running"
    gross: Decimal | None = None  # None: its energy is not known
    doubted: bool = False
    void: bool = False  # the newest verdict
    records: list[Record] = field(default_factory=list)

    def standing(self) -> int | None:
        """The record that counts."""
        cancelled = {one.of for one in self.records}
        counts = [n for n, one in enumerate(self.records) if one.of is None and n not in cancelled]
        return counts[-1] if counts else None


@dataclass
class TopUp:
    account: str
    amount: Decimal
    way: str
    refunds: dict[str, tuple[Decimal, str]] = field(default_factory=dict)
    chargebacks: dict[str, tuple[Decimal, bool]] = field(default_factory=dict)

    def left(self) -> Decimal:
        back = sum((sum_ for sum_, state in self.refunds.values() if state != "failed"), ZERO)
        return (
            self.amount
            - back
            - sum((s for s, undone in self.chargebacks.values() if not undone), ZERO)
        )


@dataclass
class Bonus:
    account: str
    day: int  # on which it ends
    expired: bool = False


class Books:
    def __init__(self, accounts: dict[str, Account]) -> None:
        self.accounts = accounts
        self.journals: dict[str, Postings] = {}  # by what happened, in the order of booking
        self.holds: dict[str, Hold] = {}
        self.over: set[str] = set()  # holds that ended
        self.topups: dict[str, TopUp] = {}
        self.bonuses: dict[str, Bonus] = {}
        self.sessions: dict[str, Session] = {}
        self.decided: dict[str, str] = {}  # by the key of the decision, its answer

    def balance(self, account: str, purse: str = "money") -> Decimal:
        return sum((one.get((account, purse), ZERO) for one in self.journals.values()), ZERO)

    def held(self, account: str) -> Decimal:
        return sum((one.amount for one in self.holds.values() if one.account == account), ZERO)

    def left(self, account: str) -> Decimal | None:
        """None: as much as is wanted."""
        limit = self.accounts[account].limit
        if limit is None:
            return None
        both = self.balance(account) + self.balance(account, "bonus")
        return both - self.held(account) + limit

    def parts(self, step: Step) -> list[Step]:
        """What a step does in transactions of their own, between which others may come."""
        if step.name == "days_pass":
            day = step.said["day"]
            due = [key for key, one in self.bonuses.items() if one.day <= day and not one.expired]
            due.sort(key=lambda key: self.bonuses[key].day)
            return [Step("bonus_expires", {"key": key}) for key in due]
        if step.name == "holds_expire":
            return [
                Step("hold_expires", {"key": key}) for key, one in self.holds.items() if one.due
            ]
        return [step]

    def happens(self, step: Step) -> Any:
        """The answer; None for what has parts."""
        if step.name in ("days_pass", "holds_expire"):
            for part in self.parts(step):
                self.happens(part)
            return None
        return getattr(self, step.name)(**step.said)

    def _book(self, event: str, postings: Postings) -> None:
        assert event not in self.journals
        self.journals[event] = {of: amount for of, amount in postings.items() if amount}

    def _moves(self, event: str, account: str, sum_: Decimal, against: str) -> None:
        own = f"{against}/{self.accounts[account].currency}"
        self._book(event, {(account, "money"): sum_, (own, "money"): -sum_})

    # Money that comes and goes.

    def cash(self, key: str, account: str, sum_: Decimal) -> str:
        if key in self.topups:
            return "made before"
        self.topups[key] = TopUp(account, sum_, "cash/")
        self._moves(f"topup:{key}", account, sum_, "cash/")
        return "made"

    def online(self, key: str, account: str, sum_: Decimal) -> None:
        if key not in self.topups:
            self.topups[key] = TopUp(account, sum_, "provider/mollie")
            self._moves(f"payment:mollie:{key}", account, sum_, "provider/mollie")

    def refund(self, key: str, topup: str, sum_: Decimal) -> str:
        row = self.topups[topup]
        if key in row.refunds:
            return "made before"
        if sum_ > row.left():
            return "MoreThanWasPaid"
        of_money = max(self.held(row.account) - self.balance(row.account, "bonus"), ZERO)
        if sum_ > self.balance(row.account) - of_money:
            return "MoreThanThereIs"
        row.refunds[key] = (sum_, "confirmed")
        self._moves(f"refund:{key}", row.account, -sum_, row.way)
        return "made"

    def refund_told(self, key: str, topup: str, sum_: Decimal, status: str) -> None:
        """Somebody has made it at the provider."""
        row = self.topups[topup]
        if key not in row.refunds:
            if status == "failed":
                return
            self._moves(f"refund:{key}", row.account, -sum_, row.way)
        elif row.refunds[key][1] != "asked":
            return
        elif status == "failed":
            self._moves(f"refund:{key}:failed", row.account, sum_, row.way)
        row.refunds[key] = (sum_, status)

    def charge_back(self, key: str, topup: str, sum_: Decimal, undone: bool) -> None:
        row = self.topups[topup]
        if key not in row.chargebacks:
            row.chargebacks[key] = (sum_, False)
            self._moves(f"chargeback:{key}", row.account, -sum_, row.way)
            self.accounts[row.account].state = "blocked"
        if undone and not row.chargebacks[key][1]:
            row.chargebacks[key] = (sum_, True)
            self._moves(f"chargeback:{key}:reversed", row.account, sum_, row.way)

    def block(self, account: str) -> None:
        self.accounts[account].state = "blocked"

    def unblock(self, account: str) -> None:
        self.accounts[account].state = "open"

    # Bonus.

    def bonus(self, key: str, account: str, sum_: Decimal, day: int | None) -> str:
        if key in self.bonuses:
            return "made before"
        self.bonuses[key] = Bonus(account, NEVER if day is None else day)
        own = f"bonus_expense//{self.accounts[account].currency}"
        self._book(f"bonus:{key}", {(account, "bonus"): sum_, (own, "money"): -sum_})
        return "made"

    def bonus_expires(self, key: str) -> None:
        row = self.bonuses[key]
        if row.expired:
            return
        row.expired = True
        if left := self._lots(row.account).get(key):
            own = f"bonus_expense//{self.accounts[row.account].currency}"
            postings = {(row.account, "bonus"): -left, (own, "money"): left}
            self._book(f"bonus:{key}:expired", postings)

    def _lots(self, account: str) -> dict[str | None, Decimal]:
        """Cent for cent would be the same: the soonest to end is spent first, then the oldest.
        None: given back, which never ends.
        """
        lots: dict[str | None, Decimal] = {}
        for event, postings in self.journals.items():
            moved = postings.get((account, "bonus"), ZERO)
            what, _, key = event.partition(":")
            if what == "bonus":
                key = key.removesuffix(":expired")
                lots[key] = lots.get(key, ZERO) + moved
            elif moved > 0:
                lots[None] = lots.get(None, ZERO) + moved
            while moved < 0 and what == "record":
                there = [of for of, amount in lots.items() if amount > 0]
                first = min(there, key=lambda of: NEVER if of is None else self.bonuses[of].day)
                taken = min(lots[first], -moved)
                lots[first] -= taken
                moved += taken
        return lots

    # What is held.

    def place(self, key: str, account: str, sum_: Decimal) -> bool:
        if key in self.holds or key in self.over:
            return key in self.holds
        left = self.left(account)
        if self.accounts[account].state != "open" or (left is not None and left < sum_):
            return False
        self.holds[key] = Hold(account, sum_)
        return True

    def extend(self, key: str, upto: Decimal, due: bool) -> Decimal | None:
        if key not in self.holds:
            return None
        hold = self.holds[key]
        left = self.left(hold.account)
        more = upto - hold.amount if left is None else min(upto - hold.amount, left)
        if self.accounts[hold.account].state == "open" and more > 0:
            hold.amount += more
        hold.due = due
        return hold.amount

    def release(self, key: str) -> Decimal | None:
        if key not in self.holds:
            return None
        self.over.add(key)
        return self.holds.pop(key).amount

    def hold_expires(self, key: str) -> None:
        if key in self.holds and self.holds[key].due:
            self.release(key)

    # Sessions and their records.

    def begin(self, key: str, account: str, upto: Decimal, due: bool) -> None:
        if key in self.sessions:
            return
        self.sessions[key] = Session(account)
        if self.accounts[account].method == "prepaid":
            self.holds[key] = Hold(account, ZERO)
            self.extend(key, upto, due)

    def end(self, key: str, gross: Decimal | None, doubted: bool) -> None:
        session = self.sessions[key]
        if session.state == "running":
            session.state, session.gross = "ended", gross
            session.doubted = session.doubted or doubted
        if session.gross is not None and not session.records and not self._found_void(session):
            session.records.append(Record("session", session.gross))
        self.book(key)

    @staticmethod
    def _found_void(session: Session) -> bool:
        return session.void and not session.doubted

    def doubt(self, key: str) -> None:
        self.sessions[key].doubted = True

    def book(self, key: str) -> None:
        """Those that were not, in their order; told again they stay as they are."""
        session = self.sessions[key]
        if session.doubted:
            return
        for n, record in enumerate(session.records):
            if f"record:{key}.{n}" not in self.journals:
                self._book_record(f"record:{key}.{n}", key, record)
        if session.records:
            self.release(key)

    def _book_record(self, event: str, key: str, record: Record) -> None:
        if record.of is not None:
            for of in ("", ":floor"):
                before = self.journals.get(f"record:{key}.{record.of}{of}")
                if before is not None:
                    self._book(event + of, {one: -amount for one, amount in before.items()})
            return
        name = self.sessions[key].account
        account, before_ = self.accounts[name], self.balance(name)
        bonus = min(self.balance(name, "bonus"), record.gross)
        money = record.gross - bonus
        net = (record.gross / Decimal("1.19")).quantize(CENT, ROUND_HALF_UP)
        postings = {
            (name, "bonus"): -bonus,
            (name, "money"): -money,
            (f"revenue/19/{account.currency}", "money"): net,
            (f"vat/19/{account.currency}", "money"): record.gross - net,
        }
        self._book(event, postings)
        if account.lowest is None:
            return
        # Never lower than the floor, but for who was below it already.
        borne = max(min(before_, account.lowest) - (before_ - money), ZERO)
        if borne:
            self._moves(event + ":floor", name, borne, "write_off/")

    def decide(
        self, key: str, session: str, about: int | None, verdict: str, gross: Decimal
    ) -> str:
        """about: the record that staff correct; None: its review."""
        if key in self.decided:
            return self.decided[key]
        row = self.sessions[session]
        if (refused := self._refused(row, about, verdict, gross)) is not None:
            return refused
        made = ["record" if row.standing() is not None else ""]
        if verdict != "valid":
            made += self._ruled(row, verdict, gross)
            if verdict == "void" and made == ["", ""]:
                self.release(session)
        row.doubted, row.void = False, verdict == "void"
        self.book(session)
        self.decided[key] = " ".join(filter(None, made))
        return self.decided[key]

    def _refused(self, row: Session, about: int | None, verdict: str, gross: Decimal) -> str | None:
        standing = row.standing()
        if about is None and not row.doubted:
            return "NothingUnderReview"
        if about is not None and about != standing:
            return "RecordTakenBack"
        if about is not None and row.doubted:
            return "ReviewPending"
        before = None if standing is None else row.records[standing].gross
        unknown = before is None and row.gross is None
        wrong = {
            "valid": "CannotBeValid" if unknown and row.state == "ended" else None,
            "void": None,
            "corrected": "NothingCorrected" if before == gross else None,
        }
        return "SessionRuns" if row.state == "running" and verdict != "valid" else wrong[verdict]

    @staticmethod
    def _ruled(row: Session, verdict: str, gross: Decimal) -> Iterator[str]:
        standing = row.standing()
        if standing is not None:
            row.records.append(Record("cancellation", -row.records[standing].gross, standing))
        yield "cancellation" if standing is not None else ""
        if verdict == "corrected":
            row.records.append(Record("correction" if row.records else "session", gross))
            yield "correction"
