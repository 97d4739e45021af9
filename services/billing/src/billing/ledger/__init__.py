"""The ledger: double entry, balances, and what sessions hold of them."""

from billing.ledger.entries import Amount, Entry, Own
from billing.ledger.opening import account_for
from billing.ledger.posting import post
from billing.ledger.recording import book_record, book_records

__all__ = ["Amount", "Entry", "Own", "account_for", "book_record", "book_records", "post"]
