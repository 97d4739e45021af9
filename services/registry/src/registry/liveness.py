"""Whether a station is online, since when, and what of many reports is news.

Pure: events come in any order and twice, and time is an argument.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
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


def news(reports: Iterable[StatusReport]) -> list[News]:
    """One item a connector, in the order of station, EVSE and connector.

    The order keeps two replicas that write the same rows from waiting for each other in a circle.
    """
    by_connector: dict[tuple[UUID, str, int, int], list[StatusReport]] = defaultdict(list)
    for report in reports:
        key = (report.operator_id, report.station_id, report.evse_id, report.connector_id)
        by_connector[key].append(report)
    return [_newest(told) for _, told in sorted(by_connector.items())]


def newest_by_station(reports: Iterable[R], newness: Callable[[R], Any]) -> list[R]:
    """The newest report of each station, in the order of the stations, as in news()."""
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
