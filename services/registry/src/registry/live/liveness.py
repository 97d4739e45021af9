"""Whether a station is online, since when, and what of many reports is news.

Pure: events come in any order and twice, and time is an argument.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar
from uuid import UUID

from common.events import BootReport, ConnectionReport, ConnectorStatus, StatusReport
from registry.fields import CONNECTOR_ID_MAX, EVSE_ID_MAX

R = TypeVar("R", BootReport, ConnectionReport)

# A dead gateway's stations must show offline within 60 s; the rest is for the beat's way here.
BEAT_AGE_MAX = timedelta(seconds=45)


@dataclass(frozen=True)
class Connection:
    """The newest connection known of a station."""

    connected: bool
    since_at: datetime
    last_beat_at: datetime | None  # of the gateway replica that holds or held the socket


@dataclass(frozen=True)
class Standing:
    online: bool
    since_at: datetime | None  # None: never connected
    last_seen_at: datetime | None


def alive_after(now: datetime) -> datetime:
    """A gateway lives if it beat after this moment."""
    return now - BEAT_AGE_MAX


def standing(
    connection: Connection | None, heard_at: Iterable[datetime | None], now: datetime
) -> Standing:
    """heard_at: when the station was heard of otherwise.

    A socket is pinged and dropped when it stays silent, so a station counts as seen for as long as
    its gateway beats; and a station whose gateway fell silent went offline at the last beat.
    """
    moments = [moment for moment in heard_at if moment]
    if connection is None:
        return Standing(online=False, since_at=None, last_seen_at=max(moments, default=None))
    moments.append(connection.since_at)
    beat_at = connection.last_beat_at
    if not connection.connected:
        return Standing(online=False, since_at=connection.since_at, last_seen_at=max(moments))
    if beat_at:
        moments.append(beat_at)
    online = beat_at is not None and beat_at > alive_after(now)
    since_at = connection.since_at
    if beat_at and not online:
        since_at = max(since_at, beat_at)
    return Standing(online=online, since_at=since_at, last_seen_at=max(moments))


@dataclass(frozen=True)
class News:
    """The newest of a connector's reports in a batch."""

    report: StatusReport
    since_at: datetime  # when, within the batch, the status became this
    previous_status: ConnectorStatus | None  # None: the batch knows no other


def plausible(report: StatusReport) -> bool:
    return report.evse_id <= EVSE_ID_MAX and report.connector_id <= CONNECTOR_ID_MAX


def newest_of_connectors(reports: Iterable[StatusReport]) -> list[News]:
    """One item a connector, in the order of station, EVSE and connector.

    The order keeps two replicas that write the same rows from waiting for each other in a circle.
    """
    by_connector: dict[tuple[UUID, str, int, int], list[StatusReport]] = defaultdict(list)
    for report in reports:
        key = (report.operator_id, report.station_id, report.evse_id, report.connector_id)
        by_connector[key].append(report)
    return [_newest(told) for _, told in sorted(by_connector.items())]


Working = Literal["working", "faulted", "unavailable"]

# Of what a connector says within a slot the last counts, so a station that floods is bounded.
SLOT: Final = timedelta(seconds=10)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stood:
    """How a connector stood; its members in the order of the table's columns."""

    operator_id: UUID
    station_id: str
    evse_id: int
    connector_id: int
    slot_at: datetime
    generation: int
    at: datetime  # when the gateway heard it: a charger's clock moves no downtime
    standing: Working
    error_code: str | None
    vendor_error_code: str | None


def standings(reports: Iterable[StatusReport]) -> list[Stood]:
    """The last of each connector and slot, in the order of these."""
    found: dict[tuple[UUID, str, int, int, datetime], Stood] = {}
    for report in reports:
        one = _stood(report)
        key = (one.operator_id, one.station_id, one.evse_id, one.connector_id, one.slot_at)
        if key not in found or _order(found[key]) < _order(one):
            found[key] = one
    return [one for _, one in sorted(found.items())]


def _order(one: Stood) -> tuple[int, datetime, str]:
    return one.generation, one.at, one.standing


def _stood(report: StatusReport) -> Stood:
    standing: Working = "working"
    if report.status in ("faulted", "unavailable"):
        standing = report.status
    faulted = standing == "faulted"
    return Stood(
        report.operator_id,
        report.station_id,
        report.evse_id,
        report.connector_id,
        report.received_at - (report.received_at - EPOCH) % SLOT,
        report.generation,
        report.received_at,
        standing,
        stored(report.error_code) if faulted else None,
        stored(report.vendor_error_code) if faulted else None,
    )


TEXT_MAX: Final = 500  # a charger's own words; OCPP allows 50 to 255


def stored(words: str | None) -> str | None:
    """Postgres cannot store NUL, and some chargers pad with it."""
    return words.replace("\0", "")[:TEXT_MAX] if words is not None else None


def newest_by_station(reports: Iterable[R], newness: Callable[[R], Any]) -> list[R]:
    """The newest report of each station, in the order of the stations for the same reason."""
    found: dict[tuple[UUID, str], R] = {}
    for report in sorted(reports, key=newness):
        found[report.operator_id, report.station_id] = report
    return [report for _, report in sorted(found.items(), key=lambda item: item[0])]


def _newest(told: list[StatusReport]) -> News:
    told = sorted(told, key=lambda report: (report.generation, report.received_at))
    newest = told[-1]
    since_at = newest.reported_at
    for earlier in reversed(told):
        if earlier.status != newest.status:
            return News(newest, since_at, earlier.status)
        since_at = earlier.reported_at
    return News(newest, since_at, None)
