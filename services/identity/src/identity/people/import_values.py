"""Pure: the text of a cell -> its value, for each column. ValueError says why it is none."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from common.contacts import Email
from common.fields import Line
from identity.fields import Label
from identity.uids import normal_uid

YES: Final = frozenset({"true", "yes", "1", "active", "wahr", "ja", "aktiv"})
NO: Final = frozenset({"false", "no", "0", "inactive", "falsch", "nein", "inaktiv"})
KINDS: Final = ("rfid", "app", "emaid")
GROUPS_MAX: Final = 100
FOR_EVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
MONEY: Final = re.compile(r"[0-9]{1,10}(?:[.,][0-9]{1,2})?")
GERMAN_DAY: Final = re.compile(
    r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})(?: +([0-9]{2}:[0-9]{2}.*))?"
)
DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Reader = Callable[[str], Any]


def readers(zone: ZoneInfo) -> Mapping[str, Reader]:
    """By column. zone: of days, and of times without an offset."""
    line = _typed(Line, "has more than 200 characters, or one that cannot be printed")
    return {
        "external_id": line,
        "name": line,
        "email": _typed(Email, "is no e-mail address"),
        "active": _truth,
        "groups": lambda text: _groups(text, line),
        "uid": _uid,
        "card_kind": _kind,
        "label": _typed(Label, "has more than 80 characters, or one that cannot be printed"),
        "valid_from": lambda text: _moment(text, zone, end=False),
        "valid_until": lambda text: _moment(text, zone, end=True),
        "company": line,
        "cost_centre": line,
        "monthly_cap": _money,
        "blocked_reason": line,
    }


def _typed(kind: Any, why: str) -> Reader:
    adapter = TypeAdapter(kind)

    def reader(text: str) -> Any:
        try:
            return adapter.validate_python(text)
        except ValidationError:
            raise ValueError(why) from None

    return reader


def _truth(text: str) -> bool:
    word = text.lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise ValueError("is neither true nor false (ja, nein)")


def _groups(text: str, line: Reader) -> tuple[str, ...]:
    names = [line(name) for name in text.split("|") if name.strip()]
    if len(names) > GROUPS_MAX:
        raise ValueError(f"names more than {GROUPS_MAX} groups")
    return tuple(sorted(set(names)))


def _uid(text: str) -> str:
    uid = normal_uid(text)
    if uid is None:
        raise ValueError("is not of at most 36 characters of ASCII")
    return uid


def _kind(text: str) -> str:
    kind = text.lower()
    if kind not in KINDS:
        raise ValueError(f"is none of {', '.join(KINDS)}")
    return kind


def _money(text: str) -> Decimal:
    if not MONEY.fullmatch(text):
        raise ValueError("is no amount such as 250.00 or 250,00")
    return Decimal(text.replace(",", "."))


def _moment(text: str, zone: ZoneInfo, *, end: bool) -> datetime:
    """A day alone begins at its midnight; as an end it counts whole, so until the next one."""
    if match := GERMAN_DAY.fullmatch(text):
        day, month, year, hours = match.groups()
        text = f"{year}-{int(month):02}-{int(day):02}" + (f" {hours}" if hours else "")
    try:
        if DAY.fullmatch(text):
            return _midnight(date.fromisoformat(text), zone, end=end)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        why = "is no date such as 2026-12-31, 31.12.2026 or 2026-12-31T18:00:00+01:00"
        raise ValueError(why) from None


def _midnight(day: date, zone: ZoneInfo, *, end: bool) -> datetime:
    if end and day == date.max:
        return FOR_EVER
    day += timedelta(days=1) if end else timedelta()
    return datetime.combine(day, time(), zone).astimezone(UTC)
