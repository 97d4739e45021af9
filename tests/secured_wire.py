"""A gateway with a TLS port of its own, and chargers' ends of its sockets."""

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pki
import pytest
from gateway_wire import OPERATOR, PASSWORD, Gateway
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from csms_gateway.tables import Notification


@dataclass
class Secured:
    """A gateway with a TLS port, and who signs for whom."""

    gateway: Gateway
    url: str
    folder: Path
    servers_root: pki.Authority
    vendor: pki.Authority

    def client(self, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=pki.pem(self.servers_root.certificate).decode())
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def dial(
        self,
        station: str,
        password: str | bytes | None = PASSWORD,
        certificate: tuple[Path, Path] | None = None,
        **options: Any,
    ) -> connect:
        options.setdefault("subprotocols", ["ocpp2.0.1"])
        options.setdefault("ssl", self.client(certificate))
        headers = basic(station, password) if password is not None else {}
        return connect(
            f"{self.url}/{station}", additional_headers=headers, compression=None, **options
        )

    async def refused(self, station: str, **options: Any) -> int:
        with pytest.raises(InvalidStatus) as refusal:
            async with self.dial(station, **options):
                pass
        return refusal.value.response.status_code

    async def security(self, station: str) -> dict[str, Any]:
        async with self.gateway.service.as_(OPERATOR, "stations:read") as api:
            answer = await api.get(f"/v1/stations/{station}/security")
        found: dict[str, Any] = answer.json()
        return found

    async def seen(self, station: str) -> list[str]:
        rows = await self.gateway.rows(Notification, station)
        return [row.payload["type"] for row in rows if row.action == "SecurityEvent"]


def basic(user: str, password: str | bytes) -> dict[str, str]:
    secret = password.encode() if isinstance(password, str) else password
    return {"Authorization": "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()}
