"""A gateway on real sockets, with a small stand-in for identity that answers over NATS."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import nats
import pytest
from sqlalchemy import select, text
from stack import WAIT_S, Issuer, Running, Servers, eventually, one_service
from websockets.asyncio.client import ClientConnection, connect

from common import bus, credentials
from common.authorize import SUBJECT, AuthorizeAnswer, AuthorizeQuestion, AuthorizeStatus
from common.events import EVENTS, Event, Evse, StationChanged, StationCredentialSet
from common.tasks import cancelled
from csms_gateway import authorizing, tariffs_told, transaction_endings
from csms_gateway.tables import Station
from local_stack.servers import free_port

OPERATOR = uuid4()
DECISIONS: dict[str, AuthorizeStatus] = {"GOOD": "Accepted", "BAD": "Blocked"}
PASSWORD = credentials.new_secret()
EVSE = {"id": 1, "connectorId": 1}  # as OCPP 2.x has it
V21 = "ocpp2.1"


@dataclass
class Identity:
    """Decides as it is told; unknown tokens are Invalid."""

    decisions: dict[str, AuthorizeStatus] = field(
        default_factory=lambda: {"GOOD": "Accepted", "BAD": "Blocked"}
    )
    # What else is answered, by token: its group, its end, whether it is a master pass.
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    silent: bool = False
    card_id: UUID = field(default_factory=uuid4)
    groups: dict[str, str] = field(default_factory=dict)  # by token: its group's

    async def answer(self, data: bytes) -> AuthorizeAnswer:
        question = AuthorizeQuestion.model_validate_json(data)
        if self.silent:
            await asyncio.sleep(60)
        key = question.id_token.upper()
        more = self.more.get(key, {})
        if key in self.groups:
            more = {"parent_id_token": self.groups[key]} | more
        return AuthorizeAnswer(
            status=self.decisions.get(key, "Invalid"),
            why="as the test says",
            card_id=self.card_id,
            **more,
        )


@dataclass
class Gateway:
    service: Running
    url: str
    identity: Identity
    events: list[Event]

    async def add_station(
        self, station_id: str | None = None, operator: UUID = OPERATOR, *, hand_over: bool = False
    ) -> str:
        station_id = station_id or f"S-{uuid4().hex[:8]}"
        evses = (
            Evse(evse_id=1, code=None, max_power_w=22_000),
            Evse(evse_id=2, code=None, max_power_w=None),
        )
        await self.service.publish(
            StationChanged(
                operator_id=operator, station_id=station_id, version=1, name="x",
                location_id=None, active=True, evses=evses,
            ),
            StationCredentialSet(
                operator_id=operator, station_id=station_id, version=1,
                password_hash=credentials.fast_hash(PASSWORD), hand_over=hand_over,
            ),
        )  # fmt: skip
        pool = self.service.app.state.parts.connections

        async def known() -> Any:
            async with pool.begin("*") as db:
                row = await db.get(Station, station_id)
                return row and row.active and row.password_hash

        await eventually(known)
        return station_id

    def connect(self, station_id: str, password: str = PASSWORD, **options: Any) -> connect:
        basic = base64.b64encode(f"{station_id}:{password}".encode()).decode()
        options.setdefault("subprotocols", ["ocpp1.6"])
        headers = {"Authorization": f"Basic {basic}"} if password else {}
        return connect(
            f"{self.url}/{station_id}", additional_headers=headers, compression=None, **options
        )

    @asynccontextmanager
    async def connected(self, station_id: str, protocol: str) -> AsyncIterator[ClientConnection]:
        """Within, the gateway holds the socket: what the station speaks is written down. The
        handshake is over before that.
        """
        beside = self.service.app.state.beside
        before = beside.get(station_id)
        async with self.connect(station_id, subprotocols=[protocol]) as socket:

            async def held() -> bool:
                return beside.get(station_id) not in (None, before)

            await eventually(held, every_s=0.002)
            yield socket

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.service.app.state.parts.connections.begin("*") as db:
            await db.execute(text(statement), values)

    async def rows(self, table: Any, station_id: str) -> list[Any]:
        async with self.service.app.state.parts.connections.begin("*") as db:
            found = await db.scalars(select(table).where(table.station_id == station_id))
            return list(found.all())

    async def held(self, station_id: str, *, reachable_for_s: float) -> None:
        """As if the charger had been connected, and nothing refused, for so long."""
        charger = self.service.app.state.beside.get(station_id)
        charger.reachable_since -= timedelta(seconds=reachable_for_s)

    async def sweep_untold(self, station_id: str) -> None:
        """What the replica does now and then, now; the station must be connected."""
        charger = self.service.app.state.beside.get(station_id)
        await transaction_endings.tell_untold(charger.gateway)

    def of(self, kind: type[Event], **members: Any) -> list[Any]:
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in members.items())
        ]

    async def told(self, kind: type[Event], count: int = 1, **members: Any) -> list[Any]:
        async def enough() -> Any:
            found = self.of(kind, **members)
            return found if len(found) >= count else None

        found: list[Any] = await eventually(enough)
        return found

    async def reported(self, kind: type[Event], station_id: str, count: int = 1) -> list[Any]:
        """The reports about a station, of events that carry those of many."""

        async def enough() -> Any:
            found = [
                report
                for event in self.events
                if isinstance(event, kind)
                for report in event.reports  # type: ignore[attr-defined]
                if report.station_id == station_id
            ]
            return found if len(found) >= count else None

        found: list[Any] = await eventually(enough)
        return found

    async def transactions(self, **filters: Any) -> list[dict[str, Any]]:
        async with self.service.as_(OPERATOR, "sessions:read") as api:
            response = await api.get("/v1/transactions", params=filters)
            assert response.status_code == 200, response.text
            items: list[dict[str, Any]] = response.json()["items"]
            return items


class Wire:
    """A charger's end of a socket, spoken by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._count = 0

    async def send(self, action: str, payload: dict[str, Any], message_id: str = "") -> Any:
        """Call; return the answer's payload, or [code, description] of a CALLERROR."""
        self._count += 1
        message_id = message_id or f"m{self._count}"
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        while True:
            async with asyncio.timeout(WAIT_S):
                frame = json.loads(await self.socket.recv())
            if frame[0] in (3, 4) and frame[1] == message_id:
                return frame[2] if frame[0] == 3 else frame[2:4]

    async def start(self, tag: str = "GOOD", **changes: Any) -> Any:
        payload = {"connectorId": 1, "idTag": tag, "meterStart": 1000, "timestamp": stamp()}
        return await self.send("StartTransaction", payload | changes)

    async def stop(self, transaction_id: int, **changes: Any) -> Any:
        payload = {"transactionId": transaction_id, "meterStop": 1500, "timestamp": stamp()}
        return await self.send("StopTransaction", payload | changes)

    async def event(self, kind: str, seq_no: int, trigger: str, **changes: Any) -> Any:
        """A TransactionEvent of OCPP 2.x. `transaction`, `info`, `wh` and `token` are short for
        their places in it.
        """
        transaction = changes.pop("transaction")
        info = {"transactionId": transaction} | changes.pop("info", {})
        payload = {
            "eventType": kind,
            "timestamp": stamp(),
            "triggerReason": trigger,
            "seqNo": seq_no,
            "transactionInfo": info,
        }
        if (wh := changes.pop("wh", None)) is not None:
            context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
            sampled = {"value": wh, "context": context.get(kind, "Sample.Periodic")}
            payload["meterValue"] = [{"timestamp": stamp(), "sampledValue": [sampled]}]
        if token := changes.pop("token", None):
            payload["idToken"] = {"idToken": token, "type": "ISO14443"}
        return await self.send("TransactionEvent", payload | changes)

    async def meter(self, value: str = "1250", **changes: Any) -> Any:
        sampled = [{"value": value}]
        payload = {
            "connectorId": 1,
            "meterValue": [{"timestamp": stamp(), "sampledValue": sampled}],
        }
        return await self.send("MeterValues", payload | changes)


def connect_v2(gateway: Gateway, station: str, version: str = "ocpp2.0.1") -> connect:
    return gateway.connect(station, subprotocols=[version])


async def accepted(
    gateway: Gateway,
    socket: ClientConnection,
    station: str,
    command: dict[str, Any],
    operator: UUID = OPERATOR,
) -> Any:
    """Send a command and accept the call that it becomes; that call's payload."""
    async with gateway.service.as_(operator, "commands:write") as api:
        sent = await api.post(f"/v1/stations/{station}/commands", json=command)
    assert sent.status_code == 202, sent.text
    call = json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))
    await socket.send(json.dumps([3, call[1], {"status": "Accepted"}]))
    return call[3]


def kinds(event: Any) -> list[str]:
    return [incident.kind for incident in event.incidents]


def stamp(seconds_ago: float = 0) -> str:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """What the gateway goes without when it is late, for a driver waits: not here, for the machine
    may be slow, or the database stopped for a second.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tariffs_told, "LATEST_S", 8.0)
        patched.setattr(authorizing, "TIMEOUT_S", 8.0)
        yield


@pytest.fixture(scope="session")
async def gateway(servers: Servers, issuer: Issuer) -> AsyncIterator[Gateway]:
    async with running_gateway(servers, issuer) as gateway:
        yield gateway


@asynccontextmanager
async def running_gateway(
    servers: Servers, issuer: Issuer, **settings: Any
) -> AsyncIterator[Gateway]:
    port = free_port()
    defaults = {"final_cost_wait_s": 0, "read_device_model": False, "secret_key": "t" * 40}
    settings = defaults | settings
    async with one_service(servers, issuer, "csms-gateway", ocpp_port=port, **settings) as service:
        client = await nats.connect(
            service.nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1
        )
        identity = Identity()
        events: list[Event] = []
        seen: set[UUID] = set()

        async def heard(message: Any) -> None:
            if kind := EVENTS.get(message.subject):
                event = kind.model_validate_json(message.data)
                # What NATS was slow to acknowledge is sent again; a consumer's inbox drops it.
                if event.id not in seen:
                    seen.add(event.id)
                    events.append(event)

        await client.subscribe("csms.>", cb=heard)
        responding = asyncio.ensure_future(
            bus.respond(client, "identity", SUBJECT, identity.answer)
        )
        yield Gateway(service, f"ws://127.0.0.1:{port}/ocpp", identity, events)
        await cancelled(responding)
        await client.close()
