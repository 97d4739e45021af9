"""Pure: the row of a card and the card there is -> what an import would do to it."""

from collections.abc import Callable
from typing import Any, Final, Literal
from uuid import UUID

from common.sheet_rows import Values
from identity import uids
from identity.people.import_state import CardNow, Change, Json, Known, Refused, differences

CARD_SHOWN: Final = (
    "kind", "label", "active", "blocked_reason", "valid_from", "valid_until", "monthly_cap",
)  # fmt: skip


def card_change(
    uid: str, values: Values, user_id: UUID | None, known: Known, new_id: Callable[[], UUID]
) -> Change | None:
    now = known.cards.get(uid)
    if now is not None and now.partner_id is not None:
        raise Refused("uid", uid, "is a partner's card, which only the partner changes")
    row = _card_row(uid, values, now, new_id)
    if (why := uids.fault(row["kind"], uid)) is not None:
        raise Refused("uid", uid, why)
    if row["valid_from"] and row["valid_until"] and row["valid_from"] >= row["valid_until"]:
        raise Refused("valid_until", row["valid_until"], "is not after valid_from")
    fields = differences(now, row, CARD_SHOWN)
    _place(values, now, user_id, known, row, fields)
    if now is not None and not fields:
        return None
    action: Literal["make", "change"] = "change" if now else "make"
    return Change(action, row["id"], now.version if now else 0, row, fields)


def _card_row(uid: str, values: Values, now: CardNow | None, new_id: Callable[[], UUID]) -> Json:
    def told(column: str, before: Any) -> Any:
        return values.get(column, before)

    reason = values.get("blocked_reason")
    return {
        "id": now.id if now else new_id(),
        "uid": uid,
        "kind": values.get("card_kind") or (now.kind if now else "rfid"),
        "label": told("label", now.label if now else "") or "",
        "active": False if reason else (now.active if now else True),
        "blocked_reason": reason or (now.blocked_reason if now else None),
        "valid_from": told("valid_from", now.valid_from if now else None),
        "valid_until": told("valid_until", now.valid_until if now else None),
        "monthly_cap": told("monthly_cap", now.monthly_cap if now else None),
    }


def _place(
    values: Values,
    now: CardNow | None,
    user_id: UUID | None,
    known: Known,
    row: Json,
    fields: dict[str, tuple[Any, Any]],
) -> None:
    """Whose the card is: of a user, a company, a cost centre. Raises Refused."""
    row["user_id"] = user_id if "external_id" in values else (now.user_id if now else None)
    company, company_id = _company(values, now, known)
    centre, centre_id = _centre(values, now, company_id, known)
    row["company_id"], row["cost_centre_id"] = company_id, centre_id
    if now is not None and now.company_master and company_id != now.company_id:
        raise Refused("company", company, "the card is a company's master card")
    if now is not None and now.accounting_strategy_id and company_id and not now.company_master:
        raise Refused("company", company, "the card has an accounting strategy of its own")
    for name, before_id, before, after_id, after in (
        ("external_id", now and now.user_id, now and now.person, row["user_id"],
         values.get("external_id")),
        ("company", now and now.company_id, now and now.company, company_id, company),
        ("cost_centre", now and now.cost_centre_id, now and now.centre, centre_id, centre),
    ):  # fmt: skip
        if before_id != after_id:
            fields[name] = (before, after)


def _company(values: Values, now: CardNow | None, known: Known) -> tuple[str | None, UUID | None]:
    if "company" not in values:
        return (now.company, now.company_id) if now else (None, None)
    name = values["company"]
    if name is None:
        return None, None
    if name not in known.companies:
        raise Refused("company", name, "there is no company with this external id")
    return name, known.companies[name]


def _centre(
    values: Values, now: CardNow | None, company_id: UUID | None, known: Known
) -> tuple[str | None, UUID | None]:
    if "cost_centre" not in values:
        same = now is not None and now.company_id == company_id
        return (now.centre, now.cost_centre_id) if now and same else (None, None)
    code = values["cost_centre"]
    if code is None:
        return None, None
    if company_id is None:
        raise Refused("cost_centre", code, "needs a company")
    if (company_id, code) not in known.centres:
        raise Refused("cost_centre", code, "the company has no cost centre with this code")
    return code, known.centres[company_id, code]
