"""Local authorization lists on their way to stations, and what is known to be there.

What is known comes from the answers to SendLocalList and GetLocalListVersion, so a raw one keeps
it true as well. The way from one to the other is worked out when the command is sent, not when it
is asked for: what waits for a station that is away sends what is wanted by then.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from csms_gateway import variables
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands import ours
from csms_gateway.commands.kinds import LocalListEntry, SendLocalList
from csms_gateway.integers import INTEGER_END
from csms_gateway.local_list_difference import (
    Entry,
    Limits,
    Part,
    applied,
    key,
    parts,
    plan,
    same,
)

# Small enough for every station that tells no limit: 1.6 requires SendLocalListMaxLength, but no
# least value of it; 2.x the same of ItemsPerMessage.
ITEMS_MAX: Final = 20
FRAME_BYTES: Final = 150  # of BytesPerMessage: the frame around the entries
CONTROLLER: Final = "LocalAuthListCtrlr"

KNOWN: Final = "select * from local_list where station_id = $1"
SENDING: Final = """
insert into local_list as l (
    station_id, operator_id, changed_at, last_version, pending_version
) values ($1, $2, now(), $3, $3)
on conflict (station_id) do update set
    last_version = greatest(l.last_version, $3), pending_version = $3,
    state = case when $4 then 'sending' else l.state end
"""
# Nothing was sent, or it was answered: state, installed, its protocol, its number, what is pending.
TOLD: Final = """
insert into local_list as l (
    station_id, operator_id, changed_at, state, installed, installed_protocol, installed_version,
    installed_at, last_version, pending_version
) values ($1, $2, now(), $3, $4, $5, $6, now(), greatest($6::int, 0), $7)
on conflict (station_id) do update set
    state = $3, installed = $4, installed_protocol = $5, installed_version = $6,
    installed_at = now(), last_version = greatest(l.last_version, $6::int), pending_version = $7
"""
# A command of the wanted list that had to send all of it, not the shorter way.
WAS_FULL: Final = "select parameters->>'update' = 'full' from command where id = $1"
RETRY: Final = "update local_list set state = 'sending', command_id = $2 where station_id = $1"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a version of OCPP writes what is neutral here."""

    protocol: str  # lists of one are compared with lists of the same only
    entry: Callable[[LocalListEntry], Entry]  # raises Unsupported
    payload: Callable[[Part], dict[str, Any]]


async def limits(charger: Charger, unknown: int) -> Limits:
    """What a SendLocalList may have (1.6, 9.2.3; 2.0.1, D01.FR.11); unknown: as many entries, if
    the station has not told.
    """
    if charger.version.schemas == "v16":
        told = await variables.number(charger, "", "SendLocalListMaxLength", "")
        return Limits(told or unknown)
    told = await variables.number(charger, CONTROLLER, "ItemsPerMessage", "")
    size = await variables.number(charger, CONTROLLER, "BytesPerMessage", "")
    return Limits(told or unknown, size and max(size - FRAME_BYTES, 0))


async def calls(charger: Charger, command: SendLocalList, spelling: Spelling) -> list[Call]:
    """The translation of send_local_list. Raises Unsupported."""
    row: Any = await charger.gateway.pool.fetchrow(KNOWN, charger.station_id)
    last = row["last_version"] if row else 0
    if command.entries is not None:
        found = await _given(charger, command, last, spelling)
    else:
        wanted = _wanted(row, spelling)
        if wanted is None:
            raise Unsupported(f"no local list is kept for {charger.station_id}")
        installed = _installed(row, spelling)
        if command.update == "differential" and installed is None:
            raise Unsupported("it is not known what is on the station; send the full list")
        found = plan(
            installed, wanted, last, await limits(charger, ITEMS_MAX), full=command.update == "full"
        )
        if not found:
            await _told(charger, row, "in_sync", installed, spelling, row["installed_version"])
            return []
    await charger.gateway.pool.execute(
        SENDING, charger.station_id, charger.operator_id, found[-1].version,
        command.entries is None,
    )  # fmt: skip
    return [
        Call("SendLocalList", spelling.payload(part), needs_previous=n > 0)
        for n, part in enumerate(found)
    ]


async def _given(
    charger: Charger, command: SendLocalList, last: int, spelling: Spelling
) -> list[Part]:
    """Entries of a command: in one message, or in as many as the station has said it needs, the
    last of which has the version that was asked for. Raises Unsupported.
    """
    assert command.entries is not None
    entries = _unlike(map(spelling.entry, command.entries))
    most = await limits(charger, max(len(entries), 1))
    found = parts(entries, last, most, full=command.update != "differential")
    if command.version is None:
        return found
    before = command.version - len(found)
    if before < 0:  # D01.FR.18
        raise Unsupported(f"it takes {len(found)} messages, so the version is at least as much")
    return [replace(part, version=before + n) for n, part in enumerate(found, 1)]


def _unlike(entries: Any) -> list[Entry]:
    """Raises Unsupported (2.0.1, D01.FR.06)."""
    found = list(entries)
    if len({key(entry) for entry in found}) < len(found):
        raise Unsupported("a token is in the list twice")
    return found


def _wanted(row: Any, spelling: Spelling) -> list[Entry] | None:
    if row is None or row["entries"] is None:
        return None
    return [spelling.entry(LocalListEntry(**one)) for one in orjson.loads(row["entries"])]


def _installed(row: Any, spelling: Spelling) -> list[Entry] | None:
    """What is surely there: not while a part that was sent has not been answered."""
    if row is None or row["installed"] is None or row["pending_version"] is not None:
        return None
    if row["installed_protocol"] != spelling.protocol:
        return None
    found: list[Entry] = orjson.loads(row["installed"])
    return found


async def _told(
    charger: Charger,
    row: Any,
    state: str,
    installed: list[Entry] | None,
    spelling: Spelling,
    version: int | None,
    pending: int | None = None,
) -> None:
    if row is None or row["entries"] is None:
        state = "unmanaged"
    await charger.gateway.pool.execute(
        TOLD, charger.station_id, charger.operator_id, state,
        None if installed is None else orjson.dumps(installed).decode(), spelling.protocol,
        version, pending,
    )  # fmt: skip


async def answered(charger: Charger, part: Part, status: str, spelling: Spelling) -> None:
    """The station's answer to a SendLocalList, asked for in whatever way."""
    if abs(part.version) >= INTEGER_END:
        return  # of a raw call; no charger can have it
    row: Any = await charger.gateway.pool.fetchrow(KNOWN, charger.station_id)
    if status != "Accepted":
        await _refused(charger, row, part, status, spelling)
        return
    pending = row["pending_version"] if row else None
    before = orjson.loads(row["installed"]) if row and row["installed"] else None
    if row and row["installed_protocol"] != spelling.protocol:
        before = None
    installed = None
    if part.full or before is not None:
        installed = applied(before or [], part.entries, full=part.full)
    if pending == part.version or (part.full and (pending or 0) < part.version):
        pending = None
    wanted = _wanted(row, spelling)
    state = "differs"
    if pending is not None:
        state = row["state"]
    elif installed is not None and wanted is not None and same(installed, wanted):
        state = "in_sync"
    await _told(charger, row, state, installed, spelling, part.version, pending)


async def _refused(charger: Charger, row: Any, part: Part, status: str, spelling: Spelling) -> None:
    """A refused difference is followed by the full list (D01.FR.03); a refused full list by none,
    nor a difference that goes on with one: a station whose list is full would get it for ever.

    1.6's NotSupported is for good.
    """
    mismatch = status == "VersionMismatch"
    state = "version_mismatch" if mismatch else "failed"
    version = row["installed_version"] if row and not mismatch else None
    await _told(charger, row, state, None, spelling, version)
    if part.full or status == "NotSupported" or row is None or row["entries"] is None:
        return
    if await charger.gateway.pool.fetchval(WAS_FULL, row["command_id"]):
        return
    command_id = await ours.queue(
        charger, "send_local_list", {"update": "full"}, charger.gateway.settings.command_deadline_s
    )
    await charger.gateway.pool.execute(RETRY, charger.station_id, command_id)


async def version_told(charger: Charger, version: int, spelling: Spelling) -> None:
    """Of GetLocalListVersion: 0 there is no list, -1 (1.6) the station can hold none."""
    row: Any = await charger.gateway.pool.fetchrow(KNOWN, charger.station_id)
    if abs(version) >= INTEGER_END:
        return
    if row and row["installed_version"] == version and row["installed"] is not None:
        return
    empty = version <= 0
    state = "differs" if empty else "version_mismatch"
    if row and row["state"] == "sending":
        state = "sending"
    await _told(charger, row, state, [] if empty else None, spelling, version)
