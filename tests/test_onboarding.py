"""A new charger is in service in under a minute, in three steps."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from gateway_replicas import Replica
from stack import eventually
from suite import ADMIN, PASSWORD, Suite

from fleet import Charger
from local_stack import demo_data

WITHIN_S = 60.0  # people included; the machine's part is what is left when they have typed nothing


@pytest.fixture(scope="module")
async def url(suite: Suite) -> AsyncIterator[str]:
    """Of one more gateway of the suite, which holds strangers."""
    environment = suite.environment | {"CSMS_UNKNOWN_STATIONS": "pending"}
    replica = Replica(environment, suite.home / "patient-gateway.log")
    try:
        await replica.ready()
        yield f"ws://127.0.0.1:{replica.ocpp_port}/ocpp"
    finally:
        replica.stop()


def made_template(suite: Suite, token: str, ocpp: str) -> None:
    """What its operator knows of the model beforehand."""
    template = {
        "name": f"Fleet {ocpp}",
        "vendor": "OpenLade",
        "model": f"Fleet {ocpp}",
        "code_pattern": "DE*NEW*E{station}*{evse}",
        "evses": [{"evse_id": 1, "max_power_w": 22_000}],
    }
    headers = {"Authorization": f"Bearer {token}", "Operator-Id": suite.demo["operator_id"]}
    url = f"{suite.urls['registry']}/v1/station-templates"
    made = httpx.post(url, json=template, headers=headers, timeout=20)
    assert made.status_code == 201, made.text


@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
async def test_a_charger_that_nobody_knew_charges_within_a_minute(
    suite: Suite, url: str, ocpp: str
) -> None:
    station = f"NEW-{ocpp}"
    token = demo_data.token(suite.urls["identity"], ADMIN, PASSWORD)
    registry = f"{suite.urls['registry']}/v1"
    headers = {"Authorization": f"Bearer {token}"}
    await asyncio.to_thread(made_template, suite, token, ocpp)
    began = time.monotonic()
    # 1. The technician enters the address and an id at the charger, and no password.
    async with (
        Charger(url, station, ocpp=ocpp, power_w=22_000, model=f"Fleet {ocpp}") as charger,
        httpx.AsyncClient(headers=headers, timeout=20) as staff,
    ):

        async def waits() -> Any:
            items = (await staff.get(f"{registry}/pending-stations")).json()["items"]
            return [one for one in items if one["id"] == station]

        # 2. Staff see it call in.
        (pending,) = await eventually(waits)
        assert (pending["vendor"], pending["model"]) == ("OpenLade", f"Fleet {ocpp}")
        # 3. They adopt it. It is given its password where it waits, and comes back with it.
        adopt = {"name": "Level 1, right", "operator_id": suite.demo["operator_id"]}
        adopted = await staff.post(f"{registry}/pending-stations/{station}/adopt", json=adopt)
        assert adopted.status_code == 201, adopted.text
        await charger.wait_ready(WITHIN_S)
        result = await charger.charge(1, suite.demo["cards"][0], energy_wh=100, backdate=True)
        assert result.status == "Accepted"
        took_s = time.monotonic() - began
        await charger.drain()
    assert took_s < WITHIN_S
    assert adopted.json()["evses"][0]["max_power_w"] == 22_000, "as its template says"
    assert charger.password != adopted.json()["password"], "it has one of its own"

    async def priced() -> Any:
        return await suite.records(station_id=station)

    (record,) = await eventually(priced)
    assert record["energy_wh"] == 100
    status = await suite.get("registry", f"stations/{station}/status")
    assert status["boot"]["model"] == f"Fleet {ocpp}"
    number = ocpp.replace(".", "")
    assert status["evses"][0]["code"] == f"DE*NEW*ENEW{number}*1"
