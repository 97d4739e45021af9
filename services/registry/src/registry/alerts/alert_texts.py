"""Pure: what the mails about alerts say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from common.events import AlertKind, AlertSeverity
from common.mail import MailText, Voice

LISTED_MAX: Final = 50

GERMAN: Final[dict[AlertKind | AlertSeverity, str]] = {
    "offline": "offline", "faulted": "gestört", "unused": "nicht benutzt",
    "failing": "fällt oft aus", "info": "Hinweis", "warning": "Warnung", "critical": "Kritisch",
}  # fmt: skip
ENGLISH: Final[dict[AlertKind | AlertSeverity, str]] = {
    "offline": "offline", "faulted": "faulted", "unused": "not used", "failing": "often failing",
    "info": "Note", "warning": "Warning", "critical": "Critical",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """An alert, as a mail lists it."""

    kind: AlertKind
    station_id: str
    station_name: str
    location: str | None
    evse_id: int
    detail: str | None
    since_at: datetime


@dataclass(frozen=True)
class Part:
    """Alerts of which the same is told. lines: the first of them."""

    lines: Sequence[Line] = ()
    count: int = 0


@dataclass(frozen=True)
class Notice:
    rule: str
    severity: AlertSeverity
    raised: Part
    reminded: Part
    resolved: Part


def mail(voice: Voice, zone: str, notice: Notice) -> MailText:
    german = voice.language.partition("-")[0] == "de"
    words = GERMAN if german else ENGLISH
    heads = (
        ("Neu", "Noch offen und unbestätigt", "Behoben")
        if german
        else ("New", "Still open and not acknowledged", "Resolved")
    )
    told = zip(heads, (notice.raised, notice.reminded, notice.resolved), strict=True)
    parts = {head: part for head, part in told if part.count}
    counts = ", ".join(f"{part.count} {head.lower()}" for head, part in parts.items())
    subject = f"{words[notice.severity]}: {notice.rule}, {counts}"
    lines = [line for part in parts.values() for line in part.lines]
    if len(lines) == 1:
        over = (" behoben" if german else " resolved") if notice.resolved.count else ""
        subject = f"{words[notice.severity]}: {lines[0].station_id} {words[lines[0].kind]}{over}"
    rule = f"Regel „{notice.rule}“" if german else f"Rule “{notice.rule}”"
    sections = "\n".join(
        f"{head} ({part.count}):\n{_listed(part, ZoneInfo(zone), german=german)}"
        for head, part in parts.items()
    )
    return MailText(subject, f"{voice.name}\n{rule}\n\n{sections}")


def _listed(part: Part, zone: ZoneInfo, *, german: bool) -> str:
    listed = [_line(one, zone, german=german) for one in part.lines[:LISTED_MAX]]
    if more := part.count - len(listed):
        listed.append(f"- und {more} weitere\n" if german else f"- and {more} more\n")
    return "".join(listed)


def _line(line: Line, zone: ZoneInfo, *, german: bool) -> str:
    where = f", {line.location}" if line.location else ""
    evse = f", EVSE {line.evse_id}" if line.evse_id else ""
    detail = f" ({line.detail})" if line.detail else ""
    since = line.since_at.astimezone(zone)
    if german:
        what = f"{GERMAN[line.kind]} seit {since:%d.%m.%Y %H:%M}"
    else:
        what = f"{ENGLISH[line.kind]} since {since:%Y-%m-%d %H:%M}"
    return f"- {line.station_id} {line.station_name}{where}{evse}: {what}{detail}\n"
