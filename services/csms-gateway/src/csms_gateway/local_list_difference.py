"""Pure: from the list that is on a station to the one that is wanted there (OCPP 2.0.1, D01).

Entries are AuthorizationData as the station's version of OCPP writes them: in 1.6 {idTag,
idTagInfo}, in 2.x {idToken: {idToken, type}, idTokenInfo}. One without info takes a token off.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from csms_gateway.device_model import batches

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """One SendLocalList."""

    full: bool
    version: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a station takes in one SendLocalList: entries, and bytes of their JSON."""

    items: int
    size_bytes: int | None = None


def key(entry: Entry) -> str:
    """Tokens compare without case; in 2.x those of another type are others."""
    if "idTag" in entry:
        return str(entry["idTag"]).upper()
    token = entry["idToken"]
    return f"{token['type']} {token['idToken']}".upper()


def _info(entry: Entry) -> Any:
    return entry.get("idTagInfo", entry.get("idTokenInfo"))


def applied(installed: Iterable[Entry], entries: Iterable[Entry], *, full: bool) -> list[Entry]:
    """The list after a SendLocalList (D01.FR.15 to D01.FR.17)."""
    found = {} if full else {key(entry): entry for entry in installed}
    for entry in entries:
        if _info(entry) is None:
            found.pop(key(entry), None)
        else:
            found[key(entry)] = entry
    return list(found.values())


def difference(installed: Iterable[Entry], wanted: Iterable[Entry]) -> list[Entry]:
    """The entries of a differential update: what is to be added or changed, then what goes."""
    before = {key(entry): entry for entry in installed}
    after = {key(entry): entry for entry in wanted}
    changed = [entry for name, entry in after.items() if before.get(name) != entry]
    gone = [_bare(entry) for name, entry in before.items() if name not in after]
    return changed + gone


def _bare(entry: Entry) -> Entry:
    return {name: entry[name] for name in ("idTag", "idToken") if name in entry}


def same(one: Iterable[Entry], other: Iterable[Entry]) -> bool:
    return {key(entry): entry for entry in one} == {key(entry): entry for entry in other}


def plan(
    installed: list[Entry] | None,
    wanted: list[Entry],
    last_version: int,
    most: Limits,
    *,
    full: bool = False,
) -> list[Part]:
    """The messages that make a station's list the wanted one; none if it is so already.

    installed: None if it is not known. The shorter way is taken; a full list that is too large for
    one message goes on with differential ones (D01.FR.03, D01.FR.11).
    """
    if installed is not None and not full:
        changes = difference(installed, wanted)
        if not changes:
            return []
        if len(changes) <= len(wanted):
            return parts(changes, last_version, most, full=False)
    return parts(wanted, last_version, most, full=True)


def parts(entries: list[Entry], last_version: int, most: Limits, *, full: bool) -> list[Part]:
    """At least one part: an empty full list empties the station's (D01.FR.04)."""
    pieces = list(batches(entries, most.items, most.size_bytes)) or [[]]
    return [
        Part(full=full and n == 0, version=last_version + 1 + n, entries=piece)
        for n, piece in enumerate(pieces)
    ]
