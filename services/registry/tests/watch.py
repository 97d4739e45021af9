"""A registry that looks for alerts when it is told to, for stations that come and go by events."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from postbox import Postbox, post_office
from sqlalchemy import text
from stack import Issuer, Running, Servers, eventually, one_service

from common import inbox
from common.clock import now
from common.database import PLATFORM
from common.events import (
    ConnectionReport,
    ConnectionsReported,
    Event,
    GatewayBeat,
    SessionEnded,
    SessionStarted,
    StatusesReported,
    StatusReport,
)
from common.ids import uuid7
from registry.alerts import alert_notices
from registry.alerts.alert_conditions import HOLDS
from registry.alerts.alert_rounds import Rounds
from registry.consumers import HANDLERS

from .conftest import SCOPES, Operator

ALERTS: Final = ("alerts:read", "alerts:write")
SETTINGS: Final[dict[str, Any]] = {
    "mail_from": "OpenLade <no-reply@openlade.example>",
    "secret_key": "a secret key that is long enough, really",
    "allow_private_endpoints": True,
    "alerts_every_s": 3600,  # a first round, and then the tests'
}
LATER: Final = datetime(2999, 1, 1, tzinfo=UTC)


def ago(**length: float) -> datetime:
    return now() - timedelta(**length)


@asynccontextmanager
async def watching(servers: Servers, issuer: Issuer) -> AsyncIterator[tuple[Running, Postbox]]:
    async with (
        post_office() as box,
        one_service(servers, issuer, "registry", smtp_url=box.url, **SETTINGS) as service,
    ):

        async def first_round() -> bool:
            async with service.app.state.connections.begin(PLATFORM) as db:
                over = "select ran_at > '-infinity' from alert_round where kind = 'unused'"
                return bool(await db.scalar(text(over)))

        # Whoever looks while it does finds the kind taken, and looks at nothing.
        await eventually(first_round)
        yield service, box


class Watch(Operator):
    """An operator that watches its stations."""

    def __init__(self, registry: Running, box: Postbox) -> None:
        super().__init__(registry)
        self.http = registry.as_(self.id, *SCOPES, *ALERTS)
        self.box = box
        self.replica = uuid7()
        self.generation = 0
        self.connections = registry.app.state.connections
        self.rounds = self.one_more()

    def one_more(self) -> Rounds:
        """The rounds of another replica."""
        return Rounds(self.connections, every_s=3600, bundle_s=0, mails=True)

    def limited(self, *locations: str) -> httpx.AsyncClient:
        return self.registry.as_(self.id, *SCOPES, *ALERTS, locations=list(locations))

    async def handle(self, *events: Event) -> None:
        """Now, and in this order."""
        received = [(event.subject, event.model_dump_json().encode()) for event in events]
        assert all(await inbox.handle(self.connections, HANDLERS, received))

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.connections.begin(PLATFORM) as db:
            await db.execute(text(statement), values)

    async def beat(self, at: datetime | None = None) -> None:
        await self.handle(GatewayBeat(replica=self.replica, occurred_at=at or now()))

    async def connection(self, *stations: str, connected: bool, at: datetime | None = None) -> None:
        self.generation += connected
        reports = tuple(
            ConnectionReport(
                operator_id=self.id, station_id=station, generation=self.generation,
                replica=self.replica, connected=connected, protocol="ocpp1.6", at=at or now(),
            )
            for station in stations
        )  # fmt: skip
        await self.handle(ConnectionsReported(reports=reports))

    async def gone(self, *stations: str, since: datetime) -> None:
        """They were there until then."""
        await self.beat()
        await self.connection(*stations, connected=True, at=since - timedelta(days=1))
        await self.connection(*stations, connected=False, at=since)

    async def back(self, *stations: str) -> None:
        await self.beat()
        await self.connection(*stations, connected=True)

    def report(self, station: str, status: str, at: datetime, **more: Any) -> StatusReport:
        usual = {
            "operator_id": self.id, "station_id": station, "generation": 1, "evse_id": 1,
            "connector_id": 1, "status": status, "reported_at": at, "received_at": at,
        }  # fmt: skip
        return StatusReport.model_validate(usual | more)

    async def reports(self, *reports: StatusReport) -> StatusesReported:
        event = StatusesReported(reports=reports)
        await self.handle(event)
        return event

    def started(self, station: str, **more: Any) -> SessionStarted:
        return SessionStarted.model_validate(self._session(station) | more)

    def ended(self, station: str, **more: Any) -> SessionEnded:
        end = {
            "ended_at": now(), "meter_stop_wh": 2000, "energy_wh": 1000, "stop_reason": "Local",
        }  # fmt: skip
        return SessionEnded.model_validate(self._session(station) | end | more)

    def _session(self, station: str) -> dict[str, Any]:
        return {
            "operator_id": self.id, "session_id": uuid7(), "transaction_id": "17",
            "station_id": station, "evse_id": 1, "connector_id": 1, "id_token": "04A2B3C4",
            "card_id": None, "user_id": None, "token_status": "Accepted",
            "started_at": ago(hours=1), "meter_start_wh": 1000,
        }  # fmt: skip

    async def rule(self, kind: str = "offline", **more: Any) -> dict[str, Any]:
        """Of one kind, everywhere; an alert ends as soon as its condition does."""
        limits: dict[str, dict[str, int]] = {
            "offline": {"after_s": 300}, "faulted": {"after_s": 300}, "unused": {"days": 7},
            "failing": {"failures": 3, "hours": 24},
        }  # fmt: skip
        usual = {
            "name": f"{kind} {uuid7().hex[-6:]}", "kind": kind, "place": {"kind": "everywhere"},
            "clear_after_s": 0, **limits[kind],
        }  # fmt: skip
        made = await self.http.post("/v1/alert-rules", json=usual | more)
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def look(self) -> None:
        for kind in HOLDS:
            await self.rounds.look(kind, LATER)

    async def tell(self, bundle_s: float = 0) -> int:
        return await alert_notices.tell(self.connections, bundle_s, mails=True)

    async def alerts(self, **filters: Any) -> list[dict[str, Any]]:
        """Oldest first."""
        answer = await self.http.get("/v1/alerts", params={"limit": 500} | filters)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items[::-1]

    async def acknowledge(self, alert_id: str, note: str | None = None) -> httpx.Response:
        return await self.http.post(f"/v1/alerts/{alert_id}/acknowledge", json={"note": note})

    async def stations(self, count: int, **more: Any) -> list[str]:
        return [await self.station(**more) for _ in range(count)]


def states(alerts: Sequence[dict[str, Any]]) -> list[str]:
    return [alert["state"] for alert in alerts]


def of_stations(alerts: Sequence[dict[str, Any]]) -> set[str]:
    return {alert["station_id"] for alert in alerts}
