"""Pure: the terms of a session: who pays, how, by which price and with which discounts.

Fixed when it begins and kept with it; what is changed later never re-prices it.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import TypeAdapter

from billing.rating.model import Modifier, TaxTreatment

# Where a price came from, the closest first.
Source = Literal["card", "company", "user", "user_group", "partner", "ad_hoc"]
# How an account pays; none: nobody is billed here (a partner settles with its customers).
Method = Literal["prepaid", "per_session", "monthly", "yearly", "free", "none"]


@dataclass(frozen=True, slots=True)
class Terms:
    source: Source = "ad_hoc"
    method: Method = "none"
    tax: TaxTreatment = "as_tariff"
    account_id: UUID | None = None
    strategy_id: UUID | None = None
    modifiers: tuple[Modifier, ...] = ()
    why: tuple[str, ...] = ()  # for people: how the price was found, step by step


ADAPTER: Final = TypeAdapter(Terms)


def to_json(terms: Terms) -> dict[str, Any]:
    """Decimals and ids as text, so that they come back as they were."""
    kept: dict[str, Any] = ADAPTER.dump_python(terms, mode="json")
    return kept


def from_json(kept: dict[str, Any] | None) -> Terms:
    """None: of a session from before terms were kept."""
    return Terms() if kept is None else ADAPTER.validate_python(kept)
