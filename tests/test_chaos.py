"""R11: kill -9 of any process in mid-session ends in the same record as an undisturbed run."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from stack import eventually
from suite import Suite, running_suite

from fleet import Charger, ChargeResult

ENERGY_WH = 3_000
SAMPLE_S = 30
# Eight minutes in four seconds, on a charger that lives two hours ago: all its times lie before
# its connection, as those of an offline session do, so they count as they are.
TIME_SCALE = 120.0
TWO_HOURS = timedelta(hours=2)


@pytest.fixture(scope="module")
async def suite() -> AsyncIterator[Suite]:
    async with running_suite() as suite:
        yield suite


def charger(suite: Suite) -> Charger:
    station = suite.demo["stations"][0]
    base, born = datetime.now(UTC) - TWO_HOURS, time.monotonic()
    return Charger(
        suite.urls["ocpp"],
        station["id"],
        station["password"],
        power_w=station["power_w"],
        time_scale=TIME_SCALE,
        sample_interval_s=SAMPLE_S,
        now=lambda: base + timedelta(seconds=(time.monotonic() - born) * TIME_SCALE),
        delay_s=0.2,
        call_timeout_s=5,
        reconnect_min_s=0.1,
        reconnect_max_s=0.5,
        transaction_data=True,
    )


def price(result: ChargeResult) -> Decimal:
    """What the demo's tariff makes of it, by hand: 0.49 a kWh, 0.01 a minute, 0.35 a start."""
    seconds = (result.ended_at - result.started_at).total_seconds()
    four = Decimal("0.0001")
    energy = (Decimal("0.49") * result.energy_wh / 1000).quantize(four, ROUND_HALF_UP)
    minutes = Decimal("0.01") * Decimal(round(seconds)) / 60
    total = energy + minutes.quantize(four, ROUND_HALF_UP) + Decimal("0.35")
    return total.quantize(Decimal("0.01"), ROUND_HALF_UP)


async def sample_count(suite: Suite, session_id: str) -> int:
    return await suite.count(
        "select count(*) from billing.meter_sample where session_id = $1"
        " and measurand = 'Energy.Active.Import.Register'",
        session_id,
    )


async def session_with(
    suite: Suite, victims: list[str], outage_s: float = 0
) -> tuple[dict[str, Any], int]:
    """A session during which each victim is killed and started again; its record and samples."""
    before = {record["id"] for record in await suite.records(limit=500)}
    async with charger(suite) as one:
        await one.wait_ready(60)
        charging = asyncio.ensure_future(one.charge(1, suite.demo["cards"][0], energy_wh=ENERGY_WH))
        for victim in victims:
            await asyncio.sleep(1.0)
            await suite.restart(victim, outage_s)
        result = await asyncio.wait_for(charging, 60)
        await one.drain(60)
        assert one.violations == 0

    async def closed() -> Any:
        return [r for r in await suite.records(limit=500) if r["id"] not in before]

    records = await eventually(closed, 60)
    assert len(records) == 1
    record = records[0]
    assert record["energy_wh"] == result.energy_wh == ENERGY_WH
    assert datetime.fromisoformat(record["started_at"]) == result.started_at
    assert datetime.fromisoformat(record["ended_at"]) == result.ended_at
    assert record["total_gross"]["amount"] == str(price(result))
    assert record["review"] == "none", await suite.get(
        "billing", f"sessions/{record['session_id']}"
    )
    transactions = (await suite.get("csms-gateway", "transactions", limit=500))["items"]
    assert [t["session_id"] for t in transactions].count(record["session_id"]) == 1

    async def complete() -> Any:
        # One each SAMPLE_S, and those of the stop; the periodic ones may fall on its edge.
        return await sample_count(suite, record["session_id"])

    seconds = (result.ended_at - result.started_at).total_seconds()
    await eventually_at_least(complete, int(seconds // SAMPLE_S))
    return record, await complete()


async def eventually_at_least(count: Any, least: int) -> None:
    async def enough() -> bool:
        return bool(await count() >= least)

    await eventually(enough)


async def test_an_undisturbed_session_for_comparison(suite: Suite) -> None:
    record, samples = await session_with(suite, [])
    assert record["stop_reason"]
    assert samples >= 10


VICTIMS = ["csms-gateway", "billing", "nats", "postgres", "identity"]


@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_process_killed_in_mid_session_changes_no_record(suite: Suite, victim: str) -> None:
    await session_with(suite, [victim])


@pytest.mark.parametrize("victim", ["csms-gateway", "nats", "postgres"])
async def test_a_session_that_ends_while_a_process_is_away_changes_no_record(
    suite: Suite, victim: str
) -> None:
    await session_with(suite, [victim], outage_s=5)  # the car is full after four seconds


async def test_all_of_them_killed_in_one_session(suite: Suite) -> None:
    await session_with(suite, ["nats", "csms-gateway", "postgres", "billing"])


async def test_nothing_died_or_was_dead_lettered_meanwhile(suite: Suite) -> None:
    for schema in ("billing", "registry", "reporting", "identity", "csms_gateway"):
        assert await suite.count(f"select count(*) from {schema}.failed_event") == 0, schema
        waiting = f"select count(*) from {schema}.outbox"

        async def sent(waiting: str = waiting) -> bool:
            return await suite.count(waiting) == 0

        await eventually(sent)
