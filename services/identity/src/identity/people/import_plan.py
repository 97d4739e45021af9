"""Pure: the rows of a file and what there is -> what an import would do, row by row.

What a file has no column for stays as it is. An empty cell empties, but for three: a name stays, so
does whether a user is active, and a card is never unblocked by a file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from common.sheet_rows import Fault, Values
from identity.people.import_cards import card_change
from identity.people.import_rows import File, Row
from identity.people.import_state import (
    CardNow,
    Change,
    Json,
    Known,
    Outcome,
    Refused,
    Result,
    UserNow,
    differences,
)

MISSING: Final = "not in the import"  # why a card is blocked that a full file does not have


def plan(file: File, known: Known, new_id: Callable[[], UUID], *, full: bool) -> list[Outcome]:
    """In the order of the lines; then, if full, what is missing."""
    people = {person: _user(person, values, known, new_id) for person, values in file.users.items()}
    told: set[str] = set()
    outcomes = list(_bad(file.faults))
    for row in file.rows:
        person = row.values.get("external_id")
        user = people.get(person) if person is not None else None
        outcome = _outcome(row, user, known, new_id, first=person not in told)
        if person is not None and outcome.result != "bad":
            told.add(person)
        outcomes.append(outcome)
    outcomes.sort(key=lambda outcome: outcome.line or 0)
    if full:
        outcomes += _missing(file, known)
    return outcomes


def _bad(faults: list[Fault]) -> Iterator[Outcome]:
    by_line: dict[int, list[Fault]] = {}
    for fault in faults:
        by_line.setdefault(fault.line, []).append(fault)
    for line, some in by_line.items():
        yield Outcome(line, "bad", None, None, faults=some)


@dataclass(frozen=True, slots=True)
class _Person:
    """The user of some rows: as they will be, or why not."""

    id: UUID | None
    change: Change | None = None
    refused: Refused | None = None


def _user(person: str, values: Values, known: Known, new_id: Callable[[], UUID]) -> _Person:
    now = known.users.get(person)
    try:
        change = _user_change(person, values, now, known, new_id)
    except Refused as refused:
        return _Person(None, refused=refused)
    if now is not None:
        return _Person(now.id, change)
    assert change is not None
    return _Person(change.id, change)


def _user_change(
    person: str, values: Values, now: UserNow | None, known: Known, new_id: Callable[[], UUID]
) -> Change | None:
    name = values.get("name") or (now.name if now else None)
    if name is None:
        raise Refused("name", None, "is needed, for the user is new")
    active = values.get("active")
    row: Json = {
        "id": now.id if now else new_id(),
        "external_id": person,
        "name": name,
        "email": values.get("email", now.email if now else None),
        "active": (now.active if now else True) if active is None else active,
    }
    groups = _groups(values, known)
    fields = differences(now, row, ("name", "email", "active"))
    if groups is not None and groups != (now.groups if now else frozenset()):
        names = {group: name for name, group in known.groups.items()}
        before = sorted(names[one] for one in now.groups) if now else None
        fields["groups"] = (before, sorted(names[one] for one in groups))
    else:
        groups = None
    if now is not None and not fields:
        return None
    return Change(
        "change" if now else "make",
        row["id"],
        now.version if now else 0,
        row,
        fields,
        None if groups is None else sorted(groups),
    )


def _groups(values: Values, known: Known) -> frozenset[UUID] | None:
    """None if the file does not say."""
    if "groups" not in values:
        return None
    names = values["groups"] or ()
    if unknown := [name for name in names if name not in known.groups]:
        raise Refused("groups", unknown[0], "there is no user group with this name")
    return frozenset(known.groups[name] for name in names)


def _outcome(
    row: Row, person: _Person | None, known: Known, new_id: Callable[[], UUID], *, first: bool
) -> Outcome:
    """first: the row that shows the change of its user."""
    external_id, uid = row.values.get("external_id"), row.values.get("uid")
    try:
        if person is not None and person.refused is not None:
            raise person.refused
        user_id = person.id if person else None
        card = None if uid is None else card_change(uid, row.values, user_id, known, new_id)
    except Refused as refused:
        fault = Fault(row.line, refused.column, refused.value, refused.why)
        return Outcome(row.line, "bad", external_id, uid, faults=[fault])
    user = person.change if person and first else None
    actions = {change.action for change in (user, card) if change}
    result: Result = "unchanged"
    if actions:
        result = "make" if "make" in actions else "change"
    return Outcome(row.line, result, external_id, uid, user_id, user, card)


def _missing(file: File, known: Known) -> Iterator[Outcome]:
    """Users with an external id that the file has not, and cards of such users."""
    for person, user in known.users.items():
        if person not in file.named and user.active:
            row = {"id": user.id, "external_id": person, "name": user.name, "email": user.email}
            change = Change(
                "deactivate", user.id, user.version, row | {"active": False},
                {"active": (True, False)},
            )  # fmt: skip
            yield Outcome(None, "deactivate", person, None, user.id, user=change)
    for uid, card in known.cards.items():
        kept = uid in file.uids or card.person is None or card.partner_id is not None
        if not kept and (card.active or card.own_block):
            yield _missing_card(card)


def _missing_card(card: CardNow) -> Outcome:
    names = (
        "id", "uid", "kind", "label", "valid_from", "valid_until", "monthly_cap", "user_id",
        "company_id", "cost_centre_id",
    )  # fmt: skip
    row = {name: getattr(card, name) for name in names}
    row |= {"active": False, "blocked_reason": MISSING}
    fields: dict[str, tuple[Any, Any]] = {"blocked_reason": (card.blocked_reason, MISSING)}
    if card.active:
        fields = {"active": (True, False)} | fields
    change = Change("deactivate", card.id, card.version, row, fields)
    return Outcome(None, "deactivate", card.person, card.uid, card.user_id, card=change)


def counted(outcomes: list[Outcome]) -> dict[str, dict[str, int]]:
    """How many rows, users and cards have which outcome."""
    rows = dict.fromkeys(("bad", "make", "change", "unchanged", "deactivate"), 0)
    users = dict.fromkeys(("make", "change", "deactivate"), 0)
    cards = dict(users)
    for outcome in outcomes:
        rows[outcome.result] += 1
        for counts, change in ((users, outcome.user), (cards, outcome.card)):
            if change is not None:
                counts[change.action] += 1
    return {"rows": rows, "users": users, "cards": cards}
