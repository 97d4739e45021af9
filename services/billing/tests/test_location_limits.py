"""Staff who may see some locations only: sessions and records at those alone."""

from typing import Any
from uuid import UUID

from common.events import StationChanged
from common.ids import uuid7

from .conftest import READ, Billing


async def test_staff_of_one_location_sees_its_sessions_and_records_only(billing: Billing) -> None:
    await billing.tariff()
    mine, other = uuid7(), uuid7()
    sessions = {}
    for location in (mine, other, None):
        station_id = f"S-{uuid7().hex[-12:]}"
        session_id = sessions[location] = uuid7()
        moved = [(1, other), (2, location)] if location else [(1, None)]
        await billing.handle(
            *(_station(billing, station_id, version, place) for version, place in moved),
            _station(billing, station_id, 0, other),  # old news
            billing.ended(session_id=session_id, station_id=station_id),
        )
    async with billing.as_(billing.operator_id, *READ, locations=[str(mine)]) as limited:

        async def listed(what: str, key: str) -> list[str]:
            items: list[dict[str, Any]] = (await limited.get(f"/v1/{what}")).json()["items"]
            return [item[key] for item in items]

        assert await listed("sessions", "id") == [str(sessions[mine])]
        assert await listed("records", "session_id") == [str(sessions[mine])]
        answer = await limited.get(f"/v1/sessions/{sessions[other]}")
        assert answer.status_code == 404
        answer = await limited.get(f"/v1/sessions/{sessions[mine]}")
        assert answer.status_code == 200
    assert len((await billing.get("records"))["items"]) == 3


def _station(
    billing: Billing, station_id: str, version: int, location_id: UUID | None
) -> StationChanged:
    return StationChanged(
        operator_id=billing.operator_id, station_id=station_id, version=version, name="x",
        location_id=location_id, active=True, evses=(),
    )  # fmt: skip
