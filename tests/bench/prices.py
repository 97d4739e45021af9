"""python -m bench.prices: what it costs to price a session, and to price 100,000 records anew.

A session of an hour with 60 readings, by a plain tariff and by one with a price of the night,
tiers, a fee for blocking, a cap and a discount. Beside it: the same 60 readings read from JSON
with exact decimals. CPU time, the best of five rounds. Then billing.rerating over 100,000 records
of 60 readings each in PostgreSQL, beside a bare select of the same records.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import asyncpg
from suite import Suite, running_suite

from billing.definitions import simple
from billing.rating import price
from billing.rating.course import Reading, Told
from billing.rating.model import Component, Element, IdleFee, Limit, Modifier, Restrictions, Tariff

READINGS = 60
PRICE_MAX_US = 300
ROUNDS, TIMES = 5, 1000
RECORDS = int(os.environ.get("BENCH_RECORDS", "100000"))
VAT = Decimal(19)
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

TOLD = Told(
    START, START + timedelta(hours=1), ZoneInfo("Europe/Berlin"), 20_000, 1_000,
    [Reading(START + timedelta(minutes=n), Decimal(1_000 + n * 333)) for n in range(READINGS)],
    [(START + timedelta(minutes=50), "suspended_ev")],
)  # fmt: skip
AS_JSON = json.dumps([{"at": str(one.at), "wh": str(one.wh)} for one in TOLD.readings])


def element(a_kwh: str, **restrictions: object) -> Element:
    components = (
        Component("ENERGY", Decimal(a_kwh), VAT),
        Component("PARKING_TIME", Decimal("0.60"), VAT),
        Component("FLAT", Decimal("0.35"), VAT),
    )
    return Element(components, Restrictions(**restrictions))  # type: ignore[arg-type]


PLAIN = Tariff("plain", "EUR", True, simple(Decimal("0.49"), Decimal("0.02"), Decimal(1), VAT))
RICH = Tariff(
    "rich", "EUR", True,
    (
        element("0.30", start_minute=0, end_minute=360),
        element("0.39", max_wh=Decimal(10_000)),
        element("0.59"),
    ),
    max_price=Limit(None, Decimal(50)),
    caps={"ENERGY": Decimal(40)},
    idle_fee=IdleFee(Decimal("0.10"), VAT, 240, quiet=(1320, 420), max_amount=Decimal(12)),
)  # fmt: skip
OFF = [Modifier(UUID(int=1), "regulars", "user", "percent", Decimal(10))]


def read_json() -> None:
    for one in json.loads(AS_JSON):
        datetime.fromisoformat(one["at"])
        Decimal(one["wh"])


def each_us(work: Callable[[], object]) -> float:
    """CPU µs a time, the best of the rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            work()
        found.append((time.process_time() - began) / TIMES * 1e6)
    return min(found)


def print_prices() -> bool:
    bare = each_us(read_json)
    print(f"{READINGS} readings read from JSON      {bare:6.0f} µs")
    good = True
    for name, tariff, off in (("plain", PLAIN, []), ("rich", RICH, OFF)):
        cost = each_us(lambda tariff=tariff, off=off: price(TOLD, tariff, off))  # type: ignore[misc]
        print(f"a session priced, {name:5} tariff  {cost:6.0f} µs   {cost / bare:4.1f} times that")
        good = good and cost <= PRICE_MAX_US
    return good


FILL = """
insert into tariff (id, operator_id, series_id, name, currency, tax_included, vat_percent,
    energy_price, time_price, start_fee, valid_from, definition)
values ($1, $1, $1, 'night', 'EUR', true, 19, 0.49, 0, 0, '2026-01-01', $2)
"""
SESSIONS = """
insert into session (id, operator_id, state, transaction_id, station_id, evse_id, connector_id,
    id_token, token_status, started_at, ended_at, meter_start_wh, meter_stop_wh, energy_wh,
    tariff_id)
select md5('s' || n)::uuid, $1, 'ended', n::text, 'CP-' || n % 500, 1, 1, 'CARD', 'Accepted',
    timestamptz '2026-03-01' + n * interval '20 s',
    timestamptz '2026-03-01' + n * interval '20 s' + interval '1 h', 0, 20000, 20000, $1
from generate_series(0, $2 - 1) n
"""
READ = """
insert into meter_sample (operator_id, session_id, station_id, evse_id, sampled_at, received_at,
    measurand, phase, location, context, value, unit)
select $1, s.id, s.station_id, 1, s.started_at + r * interval '1 min', s.started_at,
    'Energy.Active.Import.Register', '', '', 'Sample.Periodic', r * 333, 'Wh'
from session s cross join generate_series(1, $2) r where s.operator_id = $1
"""
CLOSED = """
insert into record (id, operator_id, session_id, transaction_id, station_id, evse_id, connector_id,
    id_token, token_status, started_at, ended_at, time_zone, meter_start_wh, meter_stop_wh,
    energy_wh, tariff_id, currency, tax_included, vat_percent, lines, total_net, vat, total_gross,
    late)
select md5('r' || transaction_id)::uuid, operator_id, id, transaction_id, station_id, evse_id,
    connector_id, id_token, token_status, started_at, ended_at, 'Europe/Berlin', meter_start_wh,
    meter_stop_wh, energy_wh, tariff_id, 'EUR', true, 19, '[]', 0, 0, 0, false
from session where operator_id = $1
"""
NIGHT = {
    "elements": [
        {
            "price_components": [{"type": "ENERGY", "price": "0.30", "vat": "19"}],
            "restrictions": {"start_time": "00:00", "end_time": "06:00"},
        },
        {"price_components": [{"type": "ENERGY", "price": "0.49", "vat": "19"}]},
    ]
}


async def fill(suite: Suite) -> UUID:
    operator = uuid4()
    settings = {"search_path": "billing"}
    db = await asyncpg.connect(suite.postgres.url(), server_settings=settings)
    await db.execute(FILL, operator, json.dumps(NIGHT))
    await db.execute(SESSIONS, operator, RECORDS, timeout=600)
    await db.execute(READ, operator, READINGS, timeout=3600)
    await db.execute(CLOSED, operator, timeout=600)
    await db.execute("analyze", timeout=600)
    began = time.perf_counter()
    rows = await db.fetch("select * from record where operator_id = $1", operator, timeout=600)
    print(f"{len(rows)} records selected, no more  {time.perf_counter() - began:6.1f} s")
    await db.close()
    return operator


async def rerate(suite: Suite, operator: UUID) -> bool:
    command = [sys.executable, "-m", "billing.rerating", "--operator", str(operator)]
    began = time.perf_counter()
    done = await asyncio.create_subprocess_exec(
        *command, env=suite.environment, stdout=subprocess.PIPE
    )
    told, _ = await done.communicate()
    took = time.perf_counter() - began
    print(f"{RECORDS} records priced anew       {took:6.1f} s   {RECORDS / took:.0f} a second")
    # They were stored with the price 0, so that each must be found.
    return told.decode().splitlines()[-1] == f"{RECORDS} differ"


async def main() -> int:
    good = print_prices()
    async with running_suite() as suite:
        good = await rerate(suite, await fill(suite)) and good
    print(
        "as it should be" if good else f"NOT as it should be: {PRICE_MAX_US} µs at most, all found"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
