"""One running billing for all of its tests, and events as the gateway sends them."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import httpx
import nats
import pytest
from stack import WAIT_S, Issuer, Running, Servers, eventually, one_service

from billing.ledger import prepaid
from billing.signed import keeping
from common import inbox, privacy
from common.clock import now
from common.events import (
    Event,
    LocationChanged,
    MeterReport,
    MeterSample,
    SessionEnded,
    SessionStarted,
)
from common.ids import uuid7

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
WRITE = ("tariffs:read", "tariffs:write")
READ = ("tariffs:read", "sessions:read", "records:read")


class Billing(Running):
    """A running billing with an operator of the test's own."""

    operator_id: UUID

    @classmethod
    def of(cls, service: Running) -> "Billing":
        new = cls.__new__(cls)
        new.__dict__.update(service.__dict__)
        new.operator_id = uuid7()
        return new

    async def handle(self, *events: Event) -> None:
        """As the consumer does, in this order, in one batch."""
        received = [(event.subject, event.model_dump_json().encode()) for event in events]
        assert all(
            await inbox.handle(self.app.state.connections, self.app.state.handlers, received)
        )

    async def told(self, kind: type[Event]) -> list[dict[str, Any]]:
        """What was published of this operator, oldest first: all that is committed by now."""
        await eventually(self._nothing_to_send)
        client = await nats.connect(self.nats_url)
        stream = client.jetstream()
        name = await stream.find_stream_name_by_subject(kind.subject)
        state = (await stream.stream_info(name, kind.subject)).state
        found = []
        if state.subjects:
            source = await stream.subscribe(kind.subject, ordered_consumer=True)
            pending = 1
            while pending:
                message = await source.next_msg(timeout=WAIT_S)
                pending = message.metadata.num_pending
                found.append(json.loads(message.data))
        await client.close()
        return [body for body in found if body["operator_id"] == str(self.operator_id)]

    async def _nothing_to_send(self) -> bool:
        """Others' events may always be on their way. A row is gone once its event has arrived."""
        mine = "dead_at is null and cast(body as jsonb)->>'operator_id' = $1"
        waiting = await self.stored(f"select from outbox where {mine}", str(self.operator_id))
        return not waiting

    async def stored(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of any operator's, as the owner of the tables sees them."""
        url = str(self.app.state.parts.settings.database_url)
        db = await asyncpg.connect(url, server_settings={"search_path": "billing"})
        rows = await db.fetch(query, *values)
        await db.close()
        return [dict(row) for row in rows]

    async def tariff(self, **fields: Any) -> dict[str, Any]:
        body = {
            "name": "house",
            "currency": "EUR",
            "vat_percent": "19",
            "energy_price": "0.49",
            "valid_from": "2026-01-01T00:00:00Z",
        }
        headers = self.issuer.headers(self.operator_id, *WRITE)
        answer = await self.http.post("/v1/tariffs", json=body | fields, headers=headers)
        assert answer.status_code == 201, answer.text
        tariff: dict[str, Any] = answer.json()
        return tariff

    async def withdraw(self, tariff_id: object) -> httpx.Response:
        headers = self.issuer.headers(self.operator_id, *WRITE)
        return await self.http.delete(f"/v1/tariffs/{tariff_id}", headers=headers)

    @property
    def here(self) -> UUID:
        """A location of the operator's; told of by `opened`."""
        return uuid5(self.operator_id, "here")

    def opened(self) -> LocationChanged:
        of: dict[str, Any] = {"operator_id": self.operator_id, "location_id": self.here}
        return LocationChanged(**of, version=1, name="Here", time_zone="Europe/Berlin")

    async def get(self, path: str, operator_id: UUID | None = None, **query: Any) -> Any:
        headers = self.issuer.headers(operator_id or self.operator_id, *READ)
        answer = await self.http.get(f"/v1/{path}", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(
        self, path: str, body: dict[str, Any], key: str | None = None, **claims: Any
    ) -> httpx.Response:
        """As staff who decide about records. key: None is a new one."""
        headers = self.issuer.headers(self.operator_id, *READ, "records:write", **claims)
        key = key or uuid7().hex
        return await self.http.post(
            f"/v1/{path}", json=body, headers=headers | {"Idempotency-Key": key}
        )

    async def posted(self, path: str, body: dict[str, Any], key: str | None = None) -> Any:
        answer = await self.post(path, body, key)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def refused(self, path: str, body: dict[str, Any], status: int, problem: str) -> Any:
        answer = await self.post(path, body)
        told = (answer.status_code, answer.json()["type"].rpartition(":")[2])
        assert told == (status, problem), answer.text
        return answer.json()

    async def record(self, session_id: UUID) -> dict[str, Any] | None:
        """The one record of a session; None if there is none."""
        items = (await self.get("records", session_id=session_id))["items"]
        assert len(items) <= 1
        return items[0] if items else None

    def started(self, **fields: Any) -> SessionStarted:
        return SessionStarted.model_validate(self._facts() | fields)

    def ended(self, **fields: Any) -> SessionEnded:
        """10 kWh in two hours."""
        more = {
            "ended_at": START + timedelta(hours=2),
            "meter_stop_wh": 11_000,
            "energy_wh": 10_000,
            "stop_reason": "EVDisconnected",
        }
        return SessionEnded.model_validate(self._facts() | more | fields)

    def _facts(self) -> dict[str, Any]:
        return {
            "operator_id": self.operator_id,
            "session_id": uuid7(),
            "transaction_id": "17",
            "station_id": "CP-1",
            "evse_id": 1,
            "connector_id": 1,
            "id_token": "04A2B3C4",
            "card_id": None,
            "user_id": None,
            "token_status": "Accepted",
            "started_at": START,
            "meter_start_wh": 1_000,
        }

    def report(self, session_id: UUID | None, samples: Sequence[MeterSample]) -> MeterReport:
        return MeterReport(
            operator_id=self.operator_id,
            station_id="CP-1",
            evse_id=1,
            session_id=session_id,
            received_at=now(),
            samples=tuple(samples),
        )


NEVER_S = 86_400.0


@pytest.fixture(scope="session")
def no_sweeps() -> Iterator[None]:
    """What the service looks for every half minute or hour it would do amid whichever test runs
    then. Tests look by themselves.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepaid, "EXPIRED_EVERY_S", NEVER_S)
        patch.setattr(keeping, "LOOK_S", NEVER_S)
        patch.setattr(privacy, "SWEEP_EVERY_S", NEVER_S)
        yield


@pytest.fixture(scope="session")
async def service(no_sweeps: None, servers: Servers, issuer: Issuer) -> AsyncIterator[Running]:
    settings = {
        "running_cost_every_s": 0.3,
        "cost_clock_s": 0.3,
        "secret_key": "a secret key of the tests of billing",
        "allow_private_endpoints": True,
        "payment_notices_url": "https://notices.example",
        "payment_notices_per_minute": 0,
    }
    async with one_service(servers, issuer, "billing", **settings) as running:
        yield running


@pytest.fixture
def billing(service: Running) -> Billing:
    return Billing.of(service)
