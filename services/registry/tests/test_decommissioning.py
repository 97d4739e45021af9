"""Taking stations down for good: what stays, what is free, and the way back."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from stack import eventually

from common.clock import now
from common.events import StationChanged

from .conftest import Operator


def code() -> str:
    return f"DE*AB3*E{uuid4().hex.upper()[:20]}"


def evses(*codes: str) -> list[dict[str, Any]]:
    return [{"evse_id": number, "code": one} for number, one in enumerate(codes, 1)]


async def ids(operator: Operator, **params: Any) -> list[str]:
    answer = await operator.http.get("/v1/stations", params=params)
    return [one["id"] for one in answer.json()["items"]]


async def test_a_station_goes_its_history_stays_and_its_code_goes_to_another(
    operator: Operator,
) -> None:
    public = code()
    old = await operator.station(evses=evses(public))
    standing = await operator.station()
    path = f"/v1/stations/{old}"
    body = {"reason": "hit by a lorry", "at": "2026-03-02T10:00:00+01:00"}
    gone = await operator.http.post(f"{path}/decommission", json=body)
    assert gone.status_code == 200, gone.text
    station = gone.json()
    assert station["active"] is False
    assert station["decommissioned_at"] == "2026-03-02T09:00:00Z"
    assert station["decommission_reason"] == "hit by a lorry"
    assert gone.headers["etag"] == '"2"'
    assert (await operator.http.get(path)).json() == station
    assert await ids(operator, decommissioned=True) == [old]
    assert await ids(operator, decommissioned=False) == [standing]
    assert set(await ids(operator)) == {old, standing}

    new = await operator.station(evses=evses(public))
    again = await operator.http.post(
        "/v1/stations", json={"id": f"{new}-2", "name": "x", "evses": evses(public)}
    )
    assert again.status_code == 409, "of those that stand only one has it"
    assert (await operator.http.get(path)).json()["evses"][0]["code"] == public

    async def told() -> Any:
        found = [e for e in await operator.told(StationChanged) if e["station_id"] == old]
        return found if len(found) == 2 else None

    _, last = await eventually(told)
    assert (last["active"], last["decommissioned_at"]) == (False, "2026-03-02T09:00:00Z")


async def test_what_is_down_stays_down_until_it_is_reactivated(operator: Operator) -> None:
    station_id = await operator.station(evses=evses(code()))
    path = f"/v1/stations/{station_id}"
    up = {"active": True}
    early = await operator.http.post(f"{path}/reactivate")
    assert (early.status_code, early.json()["type"]) == (409, "urn:openlade:problem:station-stands")
    tomorrow = {"reason": "x", "at": (now() + timedelta(days=1)).isoformat()}
    assert (await operator.http.post(f"{path}/decommission", json=tomorrow)).status_code == 422
    assert (await operator.http.post(f"{path}/decommission", json={})).status_code == 422
    done = await operator.http.post(f"{path}/decommission", json={"reason": "sold"})
    assert done.status_code == 200
    twice = await operator.http.post(f"{path}/decommission", json={"reason": "sold"})
    assert twice.json()["type"] == "urn:openlade:problem:station-decommissioned"
    refused = await operator.http.patch(path, json=up, headers={"If-Match": '"2"'})
    assert refused.json()["type"] == "urn:openlade:problem:station-decommissioned"
    words = await operator.http.patch(path, json={"name": "Old"}, headers={"If-Match": '"2"'})
    assert (words.status_code, words.json()["active"]) == (200, False)
    back = await operator.http.post(f"{path}/reactivate")
    assert back.status_code == 200, back.text
    assert (back.json()["active"], back.json()["decommissioned_at"]) == (True, None)
    assert back.json()["decommission_reason"] is None
    assert back.json()["version"] == 4


async def test_a_code_that_another_has_by_now_keeps_a_station_down_until_it_gets_others(
    operator: Operator,
) -> None:
    public, other = code(), code()
    old = await operator.station(evses=evses(public, other))
    path = f"/v1/stations/{old}"
    await operator.http.post(f"{path}/decommission", json={"reason": "moved"})
    await operator.station(evses=evses(public))
    refused = await operator.http.post(f"{path}/reactivate")
    assert (refused.status_code, refused.json()["codes"]) == (409, [public, other])
    assert (await operator.http.get(path)).json()["decommissioned_at"], "nothing was done"
    changed = {"evses": evses(code(), other)}
    fresh = await operator.http.patch(path, json=changed, headers={"If-Match": '"2"'})
    assert fresh.status_code == 200, fresh.text
    assert (await operator.http.post(f"{path}/reactivate")).status_code == 200
