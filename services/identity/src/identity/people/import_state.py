"""Pure: what there is and what an import would do, as they are passed on."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from common.sheet_rows import Fault, shown

Json = dict[str, Any]
Result = Literal["bad", "make", "change", "unchanged", "deactivate"]


@dataclass(frozen=True, slots=True)
class UserNow:
    id: UUID
    version: int
    external_id: str
    name: str
    email: str | None
    active: bool
    groups: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class CardNow:
    """person, company and centre: what user_id, company_id and cost_centre_id are called."""

    id: UUID
    version: int
    uid: str
    kind: str
    label: str
    active: bool
    blocked_reason: str | None
    valid_from: datetime | None
    valid_until: datetime | None
    monthly_cap: Decimal | None
    user_id: UUID | None
    person: str | None
    company_id: UUID | None
    company: str | None
    company_master: bool
    cost_centre_id: UUID | None
    centre: str | None
    accounting_strategy_id: UUID | None
    partner_id: UUID | None
    own_block: bool = False  # blocked by its holder, who could unblock it


@dataclass
class Known:
    """What the operator has of what the file names; in a full import, everything."""

    users: dict[str, UserNow] = field(default_factory=dict)  # by external id
    cards: dict[str, CardNow] = field(default_factory=dict)  # by uid
    groups: dict[str, UUID] = field(default_factory=dict)  # by name
    companies: dict[str, UUID] = field(default_factory=dict)  # by external id
    centres: dict[tuple[UUID, str], UUID] = field(default_factory=dict)  # by company and code


@dataclass(slots=True)
class Change:
    """row: the whole of it as it shall be. version: the one that is changed. groups: null: stay."""

    action: Literal["make", "change", "deactivate"]
    id: UUID
    version: int
    row: Json
    fields: dict[str, tuple[Any, Any]]  # before and after
    groups: list[UUID] | None = None


@dataclass(slots=True)
class Outcome:
    """Of a line, or (None) of what a full file does not have."""

    line: int | None
    result: Result
    external_id: str | None
    uid: str | None
    user_id: UUID | None = None
    user: Change | None = None
    card: Change | None = None
    faults: list[Fault] = field(default_factory=list)


class Refused(Exception):
    def __init__(self, column: str | None, value: object, why: str) -> None:
        super().__init__(why)
        self.column = column
        self.value = "" if value is None else shown(value)
        self.why = why


def differences(
    now: UserNow | CardNow | None, row: Json, names: tuple[str, ...]
) -> dict[str, tuple[Any, Any]]:
    """Of what is new, what is not empty."""
    if now is None:
        return {name: (None, row[name]) for name in names if row[name] not in (None, "")}
    pairs = ((name, getattr(now, name), row[name]) for name in names)
    return {name: (before, after) for name, before, after in pairs if before != after}
