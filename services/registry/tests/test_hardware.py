"""What stations are made of: what is kept, what is told, and what stays in place."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from stack import eventually

from common.database import PLATFORM
from common.events import StationChanged

from .conftest import Operator


def code() -> str:
    return f"DE*AB2*E{uuid4().hex.upper()[:20]}"


KEY = "04" + "AB" * 64
METER = {
    "serial_number": "1EMH0012345678",
    "model": "EMH eHZB",
    "public_key": KEY,
    "type_examination_certificate": "DE-18-M-PTB-0001",
    "calibrated_at": "2026-01-31",
    "valid_until": "2034-12-31",
}


def evse(evse_id: int = 1, **more: Any) -> dict[str, Any]:
    connector = {
        "connector_id": 1, "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
        "max_voltage": 920, "max_amperage": 500,
    }  # fmt: skip
    return {
        "evse_id": evse_id, "code": code(), "max_power_w": 150_000, "phases": None,
        "physical_reference": "A1", "floor_level": "-1", "meter": METER, "connectors": [connector],
    } | more  # fmt: skip


async def test_an_evse_keeps_all_that_is_entered_and_tells_what_others_need(
    operator: Operator,
) -> None:
    entered = [evse(1), evse(2, phases=3, meter=None)]
    station_id = await operator.station(evses=entered)
    read = (await operator.http.get(f"/v1/stations/{station_id}")).json()
    assert read["evses"] == entered
    [told] = await eventually(lambda: operator.told(StationChanged))
    first, second = told["evses"]
    assert (first["public_key"], first["meter_serial_number"]) == (KEY, "1EMH0012345678")
    assert (second["public_key"], second["phases"]) == (None, 3)


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"phases": 2}, "/body/evses/0/phases"),
        ({"physical_reference": "x" * 17}, "/body/evses/0/physical_reference"),
        ({"floor_level": "level"}, "/body/evses/0/floor_level"),
        ({"meter": {"public_key": "nonsense!"}}, "/body/evses/0/meter/public_key"),
        (
            {"meter": {"calibrated_at": "2026-02-01", "valid_until": "2026-01-01"}},
            "/body/evses/0/meter",
        ),
        ({"connectors": [{"max_voltage": 0}]}, "/body/evses/0/connectors/0/max_voltage"),
    ],
)
async def test_wrong_hardware_is_refused_with_the_place_of_the_mistake(
    operator: Operator, wrong: dict[str, Any], pointer: str
) -> None:
    body = {"id": "wrong", "name": "x", "evses": [evse() | wrong]}
    refused = await operator.http.post("/v1/stations", json=body)
    assert refused.status_code == 422, refused.text
    assert pointer in [error["pointer"] for error in refused.json()["errors"]]


async def test_an_evse_stays_in_place_when_another_or_its_facts_change(
    operator: Operator,
) -> None:
    """What refers to its row must not be torn away."""
    one, two, three = evse(1), evse(2), evse(3)
    station_id = await operator.station(evses=[one, two, three])
    before = await rows(operator, station_id)
    wanted = [one | {"max_power_w": 50_000, "connectors": [{}, {"connector_id": 2}]}, two]
    path = f"/v1/stations/{station_id}"
    changed = await operator.http.patch(path, json={"evses": wanted}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    found = changed.json()["evses"]
    assert [len(one["connectors"]) for one in found] == [2, 1]
    assert (found[0]["max_power_w"], found[1]) == (50_000, two)
    after = await rows(operator, station_id)
    assert after.keys() == {1, 2}
    assert after[2] == before[2], "the same row"
    assert found == (await operator.http.get(path)).json()["evses"]


async def rows(operator: Operator, station_id: str) -> dict[int, str]:
    """Which version of a row there is of each EVSE."""
    async with operator.registry.app.state.connections.begin(PLATFORM) as db:
        query = text("select evse_id, xmin::text from evse where station_id = :id")
        found = await db.execute(query, {"id": station_id})
        return {row[0]: row[1] for row in found}
