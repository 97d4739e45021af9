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


TEMPLATE = {
    "name": "Acme One",
    "vendor": "ACME",
    "model": "one",
    "code_pattern": "DE*ABC*E{station}*{evse}",
    "evses": [{"evse_id": 1, "max_power_w": 50_000}, {"evse_id": 2}],
}


async def test_an_adopted_station_is_made_of_its_models_template(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    made = await operator.http.post("/v1/station-templates", json=TEMPLATE)
    assert made.status_code == 201, made.text
    other = TEMPLATE | {"name": "Two", "model": "Two", "evses": [{"evse_id": 7}]}
    two = (await operator.http.post("/v1/station-templates", json=other)).json()["id"]
    theirs = (await stranger.http.post("/v1/station-templates", json=TEMPLATE)).json()["id"]
    ids = [new_id() for _ in range(5)]
    for station_id in ids:
        await registry.publish(discovered(operator.id, station_id))
    shown = [await appears(operator, station_id) for station_id in ids]
    assert {one["template_id"] for one in shown} == {made.json()["id"]}

    async def adopt(station_id: str, **body: Any) -> Any:
        return await operator.http.post(f"/v1/pending-stations/{station_id}/adopt", json=body)

    by_itself = (await adopt(ids[0])).json()
    codes = [f"DE*ABC*E{ids[0].replace('-', '').upper()}*{evse}" for evse in (1, 2)]
    assert [(one["code"], one["max_power_w"]) for one in by_itself["evses"]] == [
        (codes[0], 50_000), (codes[1], None),
    ]  # fmt: skip
    assert (by_itself["vendor"], by_itself["model"]) == ("Acme", "One")
    as_said = (await adopt(ids[1], template_id=two)).json()
    assert [one["evse_id"] for one in as_said["evses"]] == [7]
    own = (await adopt(ids[2], evses=[{"evse_id": 3}])).json()
    assert [(one["evse_id"], one["code"]) for one in own["evses"]] == [(3, None)]
    both = await adopt(ids[3], template_id=two, evses=[{"evse_id": 3}])
    assert both.status_code == 422, both.text
    strange = await adopt(ids[3], template_id=theirs)
    assert (strange.status_code, strange.json()["title"]) == (422, "No such template")
    assert await pending(operator, ids[3]), "nothing half-adopted"
    unknown = new_id()
    await registry.publish(discovered(operator.id, unknown, model="Three"))
    assert (await appears(operator, unknown))["template_id"] is None
    plain = (await adopt(unknown)).json()
    assert [one["evse_id"] for one in plain["evses"]] == [1]


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
