"""Staff who may see some locations only: what there is of a station elsewhere is not there."""

from typing import Any
from uuid import uuid4

from gateway_wire import OPERATOR, Gateway, Wire
from stack import eventually

from common.events import StationChanged

SCOPES = (
    "stations:read", "messages:read", "commands:read", "commands:write", "sessions:read",
    "status:read",
)  # fmt: skip
OF_A_STATION = (
    "commands", "connection", "messages", "registration", "security", "variables", "notifications",
    "cost-display", "certificates", "installed-certificates", "charging-profiles", "log-uploads",
)  # fmt: skip


async def _at(gateway: Gateway, location_id: Any) -> str:
    station_id = await gateway.add_station()
    await gateway.service.publish(
        StationChanged(
            operator_id=OPERATOR, station_id=station_id, version=2, name="x",
            location_id=location_id, active=True, evses=(),
        )
    )  # fmt: skip

    async def there() -> Any:
        async with gateway.service.as_(OPERATOR, *SCOPES, locations=[str(location_id)]) as api:
            return (await api.get(f"/v1/stations/{station_id}/registration")).status_code == 200

    await eventually(there)
    return station_id


async def test_staff_of_one_location_sees_and_commands_its_stations_only(gateway: Gateway) -> None:
    mine, other = uuid4(), uuid4()
    here, there = await _at(gateway, mine), await _at(gateway, other)
    for station_id in (here, there):
        async with gateway.connect(station_id) as socket:
            await Wire(socket).send("Heartbeat", {})
            await Wire(socket).start("GOOD")
    async with gateway.service.as_(OPERATOR, *SCOPES, locations=[str(mine)]) as limited:
        for what in OF_A_STATION:
            own = await limited.get(f"/v1/stations/{here}/{what}")
            assert own.status_code == 200, (what, own.text)
            foreign = await limited.get(f"/v1/stations/{there}/{what}")
            hidden = foreign.status_code == 404 or foreign.json().get("items") == []
            assert hidden, (what, foreign.status_code, foreign.text)
        command = {"type": "clear_cache"}
        refused = await limited.post(f"/v1/stations/{there}/commands", json=command)
        assert refused.status_code == 404, refused.text
        asked = await limited.post(f"/v1/stations/{here}/commands", json=command)
        assert asked.status_code == 202, asked.text
        commands = (await limited.get("/v1/commands")).json()["items"]
        assert [one["station_id"] for one in commands] == [here]
        transactions = (await limited.get("/v1/transactions")).json()["items"]
        assert {one["station_id"] for one in transactions} == {here}
    async with gateway.service.as_(OPERATOR, *SCOPES) as api:
        every = (await api.get("/v1/transactions")).json()["items"]
        assert {here, there} <= {one["station_id"] for one in every}
