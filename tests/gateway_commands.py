"""Commands as staff send them, with the charger's end of the socket spoken by hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from gateway_wire import OPERATOR, Gateway, Wire

WAIT_S = 10.0
V16, V201, V21 = "ocpp1.6", "ocpp2.0.1", "ocpp2.1"
ACCEPTED = {"status": "Accepted"}


class Staffed:
    """A station on its socket, and staff that commands it."""

    def __init__(self, gateway: Gateway, station_id: str, wire: Wire) -> None:
        self.gateway = gateway
        self.station_id = station_id
        self.wire = wire

    async def command(self, command: dict[str, Any], wait_s: float = WAIT_S) -> dict[str, Any]:
        async with self.gateway.service.as_(OPERATOR, "commands:write") as api:
            answer = await api.post(
                f"/v1/stations/{self.station_id}/commands",
                json=command,
                headers={"Idempotency-Key": uuid4().hex},
                params={"wait_s": wait_s},
            )
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def asked(self, answer: dict[str, Any] | str | None = None) -> tuple[str, dict[str, Any]]:
        """The next call to the station, answered; a text is the code of a CALLERROR."""
        call = json.loads(await asyncio.wait_for(self.wire.socket.recv(), WAIT_S))
        assert call[0] == 2, call
        said: list[Any] = [3, call[1], answer or ACCEPTED]
        if isinstance(answer, str):
            said = [4, call[1], answer, "", {}]
        await self.wire.socket.send(json.dumps(said))
        return call[2], call[3]

    async def quiet(self, wait_s: float = 0.7) -> None:
        """Nothing is asked of the station, though there was time for it."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.wire.socket.recv(), wait_s)

    async def send(
        self, command: dict[str, Any], *answers: dict[str, Any]
    ) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
        """A command whose calls are answered so (or once Accepted): it, and its calls."""
        sending = asyncio.ensure_future(self.command(command))
        calls = [await self.asked(answer) for answer in answers or (ACCEPTED,)]
        return await sending, calls

    async def get(self, what: str, *scopes: str, **params: Any) -> Any:
        async with self.gateway.service.as_(OPERATOR, *scopes) as api:
            answer = await api.get(f"/v1/stations/{self.station_id}/{what}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def variables(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get("variables", "stations:read", **params))[
            "items"
        ]
        return found

    async def notifications(self, **params: Any) -> list[dict[str, Any]]:
        page = await self.get("notifications", "messages:read", **params)
        found: list[dict[str, Any]] = page["items"]
        return found

    async def register(self, registration: str) -> dict[str, Any]:
        async with self.gateway.service.as_(OPERATOR, "stations:write") as api:
            answer = await api.patch(
                f"/v1/stations/{self.station_id}/registration",
                json={"registration": registration},
                headers={"If-Match": "*"},
            )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def boot(self, reason: str = "PowerUp", firmware: str = "1.0") -> Any:
        """BootNotification in the words of the socket's version."""
        if self.wire.socket.subprotocol == V16:
            station = {"chargePointVendor": "V", "chargePointModel": "M"}
            return await self.wire.send("BootNotification", station)
        station = {"vendorName": "V", "model": "M", "firmwareVersion": firmware}
        return await self.wire.send(
            "BootNotification", {"reason": reason, "chargingStation": station}
        )


@asynccontextmanager
async def staffed(gateway: Gateway, version: str, station_id: str = "") -> AsyncIterator[Staffed]:
    station_id = station_id or await gateway.add_station()
    async with gateway.connected(station_id, version) as socket:
        yield Staffed(gateway, station_id, Wire(socket))
