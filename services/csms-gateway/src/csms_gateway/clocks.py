"""Pure: when did it happen? A charger's own time is right unless it cannot be.

DOMAIN: meter and time of a session come from the charger. But clocks stand in 1970 or an hour off,
and an offline session is rightly delivered with times hours old. The two are told apart by the
socket: a charger that was connected at the time it claims would have sent the message then.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(seconds=60)
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # no session of ours is older; a clock that says so is


@dataclass(frozen=True, slots=True)
class Settled:
    at: datetime
    doubt: str | None  # why the charger's own time was not taken
    late: bool  # delivered long after it happened: an offline session


def read(raw: str) -> datetime | None:
    """RFC 3339 or ISO 8601; a time without an offset is UTC. None: no time at all."""
    try:
        at = datetime.fromisoformat(raw)
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def wire_time(at: datetime) -> str:
    """Milliseconds and Z: some chargers cannot read microseconds or an offset."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def settle(raw: str, received_at: datetime, reachable_since: datetime) -> Settled:
    """Choose between the charger's time and the time of receipt.

    reachable_since: since when it could have told us: connected, not refused, no backlog.
    """
    claimed = read(raw)
    if claimed is None:
        return Settled(received_at, f"the charger's time {raw!r} cannot be read", late=False)
    if claimed < EARLIEST:
        return Settled(received_at, f"the charger's clock says {raw}", late=False)
    if claimed > received_at + TOLERANCE:
        return Settled(received_at, f"the charger's clock is ahead: {raw}", late=False)
    if claimed >= received_at - TOLERANCE:
        return Settled(claimed, None, late=False)
    if claimed > reachable_since + TOLERANCE:
        # We were there all the time since, so it would have told us then.
        return Settled(received_at, f"the charger's clock is behind: {raw}", late=False)
    return Settled(claimed, None, late=True)


def settle_reading(
    raw: str, message: str | None, received_at: datetime, reachable_since: datetime
) -> datetime:
    """When a reading was taken that came in a message; message: the message's own time, if any.

    The end of a session may tell of all of it (1.6, transactionData; 2.x, J02.FR.10), hours later,
    though the charger was connected all the time. The clock that wrote both was right about how
    long before the message a reading was taken, whatever else is wrong with it.
    """
    at, told = read(raw), read(message or "")
    if at and told and (at < EARLIEST) == (told < EARLIEST):
        before = told - at
        if timedelta(0) <= before < received_at - EARLIEST:
            return settle(message or "", received_at, reachable_since).at - before
    return settle(raw, received_at, reachable_since).at
