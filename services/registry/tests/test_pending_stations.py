"""Unknown stations: told by the gateway, adopted or refused by staff."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from stack import Running, eventually

from common.events import (
    Event,
    StationChanged,
    StationCredentialSet,
    StationDiscovered,
    StationRefused,
)
from common.ids import uuid7
from services.registry.tests.conftest import Operator

SCOPES = ("stations:read", "stations:write")


def discovered(operator_id: UUID | None, station_id: str, **changes: Any) -> StationDiscovered:
    members: dict[str, Any] = {
        "operator_id": operator_id,
        "station_id": station_id,
        "accepted": False,
        "address": "192.0.2.7",
        "protocol": "ocpp1.6",
        "vendor": "Acme\u0000\n",
        "model": "One",
    }
    return StationDiscovered(**members | changes)


def new_id() -> str:
    return f"P-{uuid7().hex[-12:]}"


async def pending(operator: Operator, station_id: str, **filters: Any) -> dict[str, Any] | None:
    answer = await operator.http.get("/v1/pending-stations", params={"limit": 500, **filters})
    assert answer.status_code == 200, answer.text
    found = [one for one in answer.json()["items"] if one["id"] == station_id]
    return found[0] if found else None


async def appears(operator: Operator, station_id: str) -> dict[str, Any]:
    async def there() -> Any:
        return await pending(operator, station_id)

    found: dict[str, Any] = await eventually(there)
    return found


async def told(operator: Operator, kind: type[Event]) -> list[dict[str, Any]]:
    """At least one; the relay takes a moment."""
    found: list[dict[str, Any]] = await eventually(lambda: operator.told(kind))
    return found


async def test_a_pending_station_is_adopted_and_its_password_shown_once(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    station_id = new_id()
    await registry.publish(discovered(operator.id, station_id))
    shown = await appears(operator, station_id)
    assert (shown["vendor"], shown["address"]) == ("Acme", "192.0.2.7")
    assert await pending(stranger, station_id) is None
    path = f"/v1/pending-stations/{station_id}/adopt"
    assert (await stranger.http.post(path, json={})).status_code == 404
    adopted = await operator.http.post(path, json={"name": "Level 3"})
    assert adopted.status_code == 201, adopted.text
    assert len(adopted.json()["password"]) == 40
    assert (adopted.json()["vendor"], adopted.json()["name"]) == ("Acme", "Level 3")
    assert adopted.headers["cache-control"] == "no-store"
    assert await pending(operator, station_id) is None
    assert (await operator.http.post(path, json={})).status_code == 404
    assert [e["station_id"] for e in await told(operator, StationChanged)] == [station_id]
    assert [e["station_id"] for e in await told(operator, StationCredentialSet)] == [station_id]
    await registry.publish(discovered(operator.id, station_id))
    later = new_id()
    await registry.publish(discovered(operator.id, later))
    await appears(operator, later)
    assert await pending(operator, station_id) is None


async def test_one_of_nobody_is_adopted_for_an_operator_by_the_platform(
    registry: Running, operator: Operator
) -> None:
    station_id = new_id()
    await registry.publish(discovered(None, station_id))
    platform = registry.as_(None, *SCOPES, role="platform-admin")

    async def there() -> Any:
        listed = await platform.get("/v1/pending-stations", params={"limit": 500})
        return [one for one in listed.json()["items"] if one["id"] == station_id]

    await eventually(there)
    assert await pending(operator, station_id) is None
    path = f"/v1/pending-stations/{station_id}/adopt"
    nobody = await platform.post(path, json={})
    assert (nobody.status_code, nobody.json()["title"][:9]) == (422, "Say which")
    adopted = await platform.post(path, json={"operator_id": str(operator.id)})
    assert adopted.status_code == 201, adopted.text
    assert adopted.json()["operator_id"] == str(operator.id)
    await platform.aclose()


async def test_a_refused_one_is_told_and_comes_back_after_its_day(
    registry: Running, operator: Operator
) -> None:
    station_id = new_id()
    await registry.publish(discovered(operator.id, station_id))
    await appears(operator, station_id)
    gone = await operator.http.delete(f"/v1/pending-stations/{station_id}")
    assert gone.status_code == 204
    (event,) = await told(operator, StationRefused)
    assert event["station_id"] == station_id
    assert await pending(operator, station_id, refused=False) is None
    assert (await pending(operator, station_id, refused=True) or {})["refused_until"]
    tomorrow = datetime.now(UTC) + timedelta(days=1, minutes=1)
    await registry.publish(discovered(operator.id, station_id, occurred_at=tomorrow))

    async def waits_again() -> Any:
        return await pending(operator, station_id, refused=False)

    assert (await eventually(waits_again))["refused_until"] is None


async def test_one_that_was_let_in_gets_its_entry(registry: Running, operator: Operator) -> None:
    station_id = new_id()
    event = discovered(operator.id, station_id, accepted=True)
    await registry.publish(event, event)

    async def made() -> Any:
        return (await operator.http.get(f"/v1/stations/{station_id}")).status_code == 200

    await eventually(made)
    (entry,) = await told(operator, StationChanged)
    assert (entry["version"], len(entry["evses"])) == (1, 1)
    assert not await operator.told(StationCredentialSet)
    password = await operator.http.post(f"/v1/stations/{station_id}/password")
    assert password.status_code == 200
    assert [one["version"] for one in await told(operator, StationCredentialSet)] == [2]
