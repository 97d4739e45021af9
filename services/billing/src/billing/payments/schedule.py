"""Pure: when a payment provider is asked about a payment again, if it does not tell by itself."""

from datetime import datetime, timedelta
from typing import Final

SOONEST: Final = timedelta(seconds=5)
DAY: Final = timedelta(days=1)
# Banks take days for it; a provider that was away may be back.
REFUNDING: Final = timedelta(minutes=15)
# Cardholders may charge back for some 13 months (SEPA direct debits that nobody allowed).
WATCHED: Final = timedelta(days=400)
# Two notices of one payment within this are one question.
APART: Final = timedelta(seconds=1)


def next_ask(state: str, made_at: datetime, at: datetime, *, refunding: bool) -> datetime | None:
    """In ever longer pauses, for what happens to a payment happens soon. None: never again.

    refunding: a refund is under way; its money has left the account, so it has no last question.
    """
    age = max(at - made_at, timedelta(0))
    if age > WATCHED and not refunding:
        return None
    if state == "open":
        return at + min(max(age / 4, SOONEST), DAY)
    if refunding:
        return at + REFUNDING
    if state == "paid":
        return at + max(age, DAY)
    return None
