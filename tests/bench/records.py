"""python -m bench.records [ROWS]: business records as CSV and XLSX by the real route.

1,000,000 unless ROWS says otherwise, of one operator; time, and how much more memory billing
takes than before. Beside it: a bare COPY of the same rows and columns out of the same database.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx
from suite import Suite, running_suite

from bench.load import memory_bytes
from billing.records.listing import EXPORTED

MIB = 2**20
FILL = """
insert into billing.record (id, operator_id, session_id, transaction_id, station_id, evse_id,
    connector_id, id_token, card_id, user_id, holder, token_status, started_at, ended_at, time_zone,
    energy_wh, tariff_id, currency, tax_included, vat_percent, lines, total_net, vat, total_gross)
select gen_random_uuid(), $1, gen_random_uuid(), n::text, 'CP-' || n % 500, n % 2 + 1, 1,
    upper(lpad(to_hex(n), 14, '0')), gen_random_uuid(), gen_random_uuid(),
    jsonb_build_object('user_group_ids', jsonb_build_array(gen_random_uuid())), 'Accepted',
    timestamptz '2026-01-01' + n * interval '20 s', timestamptz '2026-01-01' + n * interval '21 s',
    'Europe/Berlin', n % 60000, $2, 'EUR', true, 19,
    '[{"kind": "energy", "quantity": "10.000", "unit": "kWh", "unit_price": "0.49",
       "amount": "4.9000", "rule": "tariff house: 0.49 EUR a kWh"}]', 4.12, 0.78, 4.90
from generate_series(1, $3) n
"""


async def filled(db: asyncpg.Connection, operator: UUID, rows: int) -> None:
    await db.execute(FILL, operator, UUID(int=1), rows, timeout=1800)
    await db.execute("analyze billing.record")


async def bare_copy(db: asyncpg.Connection, operator: UUID, place: Path) -> float:
    """Without what is no column: the review."""
    columns = ", ".join(name for name in EXPORTED if name != "review")
    began = time.perf_counter()
    await db.copy_from_query(
        f"select {columns} from billing.record where operator_id = $1 order by id",
        operator, output=place, format="csv", timeout=1800,
    )  # fmt: skip
    return time.perf_counter() - began


async def exported(
    api: httpx.AsyncClient, pid: int, place: Path, format_: str
) -> tuple[float, float, int]:
    """Seconds to the first byte and to the last, and by how many bytes the service grew at most."""
    before = most = memory_bytes(pid)
    began = time.perf_counter()
    first = 0.0
    with place.open("wb") as file:
        params = {"format": format_}
        async with asyncio.TaskGroup() as group:
            done = asyncio.Event()

            async def watch() -> None:
                nonlocal most
                while not done.is_set():
                    most = max(most, memory_bytes(pid))
                    await asyncio.sleep(0.1)

            group.create_task(watch())
            async with api.stream("GET", "/v1/records/export", params=params) as answer:
                assert answer.status_code == 200, await answer.aread()
                async for chunk in answer.aiter_raw():
                    first = first or time.perf_counter() - began
                    file.write(chunk)
            done.set()
    return first, time.perf_counter() - began, most - before


async def main(rows: int) -> None:
    async with running_suite() as suite:
        await measure(suite, rows)


async def measure(suite: Suite, rows: int) -> None:
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    db = await asyncpg.connect(suite.postgres.url())
    operator = await db.fetchval("select id from identity.operator order by id limit 1")
    await filled(db, operator, rows)
    print(f"{os.cpu_count()} cores; {rows} records of {len(EXPORTED)} columns", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "file"
        copied = await bare_copy(db, operator, place)
        size = place.stat().st_size / MIB
        print(f"bare COPY of the same rows: {copied:.1f} s, {size:.0f} MiB", flush=True)
        pid = suite.processes["billing"].pid
        url, more = suite.urls["billing"], {"headers": headers, "timeout": 3600}
        async with httpx.AsyncClient(base_url=url, **more) as api:  # type: ignore[arg-type]
            for format_ in ("csv", "xlsx"):
                first, took, grown = await exported(api, pid, place, format_)
                size = place.stat().st_size / MIB
                print(
                    f"{format_}: first byte after {first:.1f} s, all after {took:.1f} s "
                    f"({took / copied:.1f} times the bare COPY), {size:.0f} MiB; "
                    f"billing grew by {grown / MIB:.0f} MiB",
                    flush=True,
                )
    await db.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
