"""Templates of models, and the stations that are made of them."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack import Running

from common.database import PLATFORM
from common.ids import uuid7
from registry.fields import EVSE_CODE_PATTERN, STATION_ID_PATTERN
from registry.hardware import templates
from registry.hardware.evse_codes import generated

from .conftest import SCOPES, Operator

TWO: list[dict[str, Any]] = [
    {"evse_id": 1, "max_power_w": 22_000, "phases": 3, "connectors": [{"max_amperage": 32}]},
    {
        "evse_id": 2, "max_power_w": 150_000,
        "connectors": [{"standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC"}],
    },
]  # fmt: skip
TEMPLATE: dict[str, Any] = {
    "name": "Both", "vendor": "ACME", "model": "Twin 2", "evses": TWO,
    "code_pattern": "DE*ABC*E{station}*{evse}",
}  # fmt: skip


async def made(operator: Operator, **more: Any) -> dict[str, Any]:
    answer = await operator.http.post("/v1/station-templates", json=TEMPLATE | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_station_is_made_of_a_template_with_codes_of_its_own(operator: Operator) -> None:
    template = await made(operator)
    body = {"id": f"p20-{uuid7().hex[-8:]}", "name": "Left", "template_id": template["id"]}
    answer = await operator.http.post("/v1/stations", json=body)
    assert answer.status_code == 201, answer.text
    station = answer.json()
    assert (station["vendor"], station["model"]) == ("ACME", "Twin 2")
    bare = body["id"].upper().replace("-", "")
    assert [evse["code"] for evse in station["evses"]] == [
        f"DE*ABC*E{bare}*1", f"DE*ABC*E{bare}*2"
    ]  # fmt: skip
    assert [evse["max_power_w"] for evse in station["evses"]] == [22_000, 150_000]
    assert station["evses"][0]["connectors"][0]["max_amperage"] == 32
    # Its id is another's to the charger, and in codes the same.
    twin = {**body, "id": bare}
    taken = await operator.http.post("/v1/stations", json=twin)
    assert (taken.status_code, len(taken.json()["codes"])) == (409, 2)
    mixed = await operator.http.post("/v1/stations", json={**body, "evses": [{"evse_id": 1}]})
    assert mixed.status_code == 422
    none = await operator.http.post("/v1/stations", json={**body, "template_id": str(uuid7())})
    assert none.json()["type"] == "urn:openlade:problem:template-unknown"
    long = await operator.http.post("/v1/stations", json={**body, "id": "x" * 40})
    assert long.json()["type"] == "urn:openlade:problem:code-pattern-unfit"


async def test_a_template_is_read_changed_and_deleted(operator: Operator) -> None:
    template = await made(operator)
    path = f"/v1/station-templates/{template['id']}"
    assert (await operator.http.get(path)).json() == template
    assert (await operator.http.get("/v1/station-templates")).json()["items"] == [template]
    change = {"code_pattern": None, "evses": TWO[:1]}
    assert (await operator.http.patch(path, json=change)).status_code == 428
    match = {"If-Match": '"1"'}
    changed = await operator.http.patch(path, json=change, headers=match)
    assert (changed.json()["code_pattern"], len(changed.json()["evses"])) == (None, 1)
    assert (await operator.http.patch(path, json=change, headers=match)).status_code == 412
    assert (await operator.http.delete(path, headers=match)).status_code == 412
    assert (await operator.http.delete(path, headers={"If-Match": '"2"'})).status_code == 204
    assert (await operator.http.get(path)).status_code == 404


async def test_a_name_and_a_model_have_one_template(operator: Operator, stranger: Operator) -> None:
    await made(operator)
    await made(stranger)
    same = await operator.http.post("/v1/station-templates", json=TEMPLATE | {"model": "Other"})
    assert same.json()["type"] == "urn:openlade:problem:template-name-taken"
    model = {"name": "Another", "vendor": "acme", "model": "TWIN 2"}
    again = await operator.http.post("/v1/station-templates", json=TEMPLATE | model)
    assert again.json()["type"] == "urn:openlade:problem:template-model-taken"


async def test_a_model_is_found_as_a_station_tells_it(
    registry: Running, operator: Operator, stranger: Operator
) -> None:
    template = await made(operator)
    async with registry.app.state.connections.begin(PLATFORM) as db:
        found = await templates.for_model(db, operator.id, " Acme", "twin 2 ")
        assert found is not None
        assert str(found.id) == template["id"]
        evses = templates.applied(found, "P-1")
        assert [evse.code for evse in evses] == ["DE*ABC*EP1*1", "DE*ABC*EP1*2"]
        for of, vendor, model in (
            (stranger.id, "ACME", "Twin 2"), (operator.id, "ACME", "Twin"), (operator.id, None, "x")
        ):  # fmt: skip
            assert await templates.for_model(db, of, vendor, model) is None
    # A platform admin sees every operator's and still may not mix them.
    async with registry.as_(None, *SCOPES, role="platform-admin") as admin:
        body = {"id": "mixed", "name": "x", "template_id": template["id"]}
        headers = {"Operator-Id": str(stranger.id)}
        refused = await admin.post("/v1/stations", json=body, headers=headers)
        assert refused.json()["type"] == "urn:openlade:problem:template-unknown"


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_pattern": "DE*ABC*E{station}"},
        {"code_pattern": "DE*ABC*E{evse}"},
        {"code_pattern": "de*abc*E{station}*{evse}"},
        {"code_pattern": "DE*ABC*E{station}*{evse}*{year}"},
        {"vendor": None},
        {"evses": [{"evse_id": 1}, {"evse_id": 1}]},
        {"evses": [{"evse_id": 1, "code": "DE*ABC*E1"}]},
    ],
)
async def test_a_wrong_template_is_refused(operator: Operator, wrong: dict[str, Any]) -> None:
    refused = await operator.http.post("/v1/station-templates", json=TEMPLATE | wrong)
    assert refused.status_code == 422, refused.text


@given(st.from_regex(STATION_ID_PATTERN, fullmatch=True), st.integers(1, 1000))
def test_a_generated_code_is_a_code_or_is_refused(station_id: str, evse_id: int) -> None:
    try:
        found = generated("DE*ABC*E{station}*{evse}", station_id, evse_id)
    except ValueError:
        return
    assert re.fullmatch(EVSE_CODE_PATTERN, found)
    assert found.endswith(f"*{evse_id}")
