"""Stations on the public map, each test's in a neighbourhood of its own."""

from itertools import count
from typing import Any
from uuid import UUID

import httpx
from stack import eventually

from common.clock import now
from common.events import (
    ConnectionReport,
    ConnectionsReported,
    GatewayBeat,
    StatusesReported,
    StatusReport,
)
from common.ids import uuid7
from services.registry.tests.conftest import Operator

# Of a country that has places almost everywhere.
ADDRESS = {"street": "1 Lake St", "postal_code": "96950", "city": "Garapan", "country": "US"}
FRESH_S = 2.0  # what happened is on the map by then
TYPE_2 = {"standard": "IEC_62196_T2"}
_places = count()
CCS = {"standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC"}


def somewhere() -> tuple[float, float]:
    """400 km and more from every other test's; a degree of longitude is over 70 km there."""
    row, column = divmod(next(_places), 56)
    assert row < 20, "there is no room for more"
    return -49.5 + 5 * row, -169.5 + 6 * column


async def located(operator: Operator, at: tuple[float, float], **more: Any) -> str:
    body = {"name": "P20", "address": ADDRESS, "latitude": str(at[0]), "longitude": str(at[1])}
    made = await operator.http.post("/v1/locations", json=body | more)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def placed(operator: Operator, at: tuple[float, float], **more: Any) -> str:
    return await operator.station(location_id=await located(operator, at), **more)


async def online(operator: Operator, *stations: str, replica: UUID | None = None) -> UUID:
    replica = replica or uuid7()
    await operator.registry.publish(
        GatewayBeat(replica=replica),
        ConnectionsReported(
            reports=tuple(
                ConnectionReport(
                    operator_id=operator.id, station_id=station, generation=1, replica=replica,
                    connected=True, protocol="ocpp1.6", at=now(),
                )
                for station in stations
            )
        ),
    )  # fmt: skip
    return replica


async def reported(
    operator: Operator, station: str, status: str, *, evse_id: int = 1, connector_id: int = 1
) -> None:
    report = StatusReport.model_validate({
        "operator_id": operator.id, "station_id": station, "generation": 1, "evse_id": evse_id,
        "connector_id": connector_id, "status": status, "reported_at": now(), "received_at": now(),
    })  # fmt: skip
    await operator.registry.publish(StatusesReported(reports=(report,)))


async def nearby(
    http: httpx.AsyncClient, at: tuple[float, float] | None, **params: Any
) -> dict[str, Any]:
    if at is not None:
        params = {"latitude": at[0], "longitude": at[1], "radius_m": 20_000} | params

    async def asked() -> httpx.Response | None:
        """Once the map has been read."""
        answer = await http.get("/v1/nearby", params=params)
        return answer if answer.status_code != 503 else None

    answer = await eventually(asked)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def names(
    http: httpx.AsyncClient, at: tuple[float, float] | None, **params: Any
) -> list[str]:
    return [one["id"] for one in (await nearby(http, at, **params))["items"]]


async def until_there(
    http: httpx.AsyncClient, at: tuple[float, float], *stations: str, **params: Any
) -> None:
    """On the map, and nothing else."""

    async def there() -> bool:
        return set(await names(http, at, **params)) == set(stations)

    await eventually(there)
