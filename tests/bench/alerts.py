"""python -m bench.alerts: what a round of looking for alerts costs at 150,000 stations.

Registry's own rounds and notices on a PostgreSQL of their own, with two EVSEs a station and rules
of every kind and place. Calm: some stations are offline and faulted and known to be. Then all of
them go at once and come back.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
from sqlalchemy import text

from bench.imports import family_cpu_s
from common import database, migrate
from common.database import PLATFORM, Connections
from common.ids import uuid7
from local_stack.servers import Postgres
from registry.alerts import alert_notices
from registry.alerts.alert_conditions import HOLDS
from registry.alerts.alert_rounds import Rounds

STATIONS: Final = 150_000
LOCATIONS: Final = 3_000
CALM_MS_MAX: Final = 1_000.0  # of one kind, with nothing new
LATER: Final = datetime(2999, 1, 1, tzinfo=UTC)
OPERATOR, REPLICA, GROUP = uuid7(), uuid7(), uuid7()

FILL: Final = f"""
set csms.operator = '*';
insert into location (id, operator_id, version, name, street, postal_code, city, country, time_zone)
    select gen_random_uuid(), '{OPERATOR}', 1, 'P' || n, 'A 1', '10115', 'Berlin', 'DE', 'UTC'
    from generate_series(1, {LOCATIONS}) n;
insert into station (id, operator_id, version, name, location_id, active, credential_version,
    password_hash)
    select 'S-' || n, '{OPERATOR}', 1, 'S', (array(select id from location))[1 + n % {LOCATIONS}],
        true, 1, '' from generate_series(1, {STATIONS}) n;
insert into evse (operator_id, station_id, evse_id)
    select operator_id, id, e from station, generate_series(1, 2) e;
insert into gateway_replica (replica, last_beat_at, silent) values ('{REPLICA}', now(), false);
insert into station_live (operator_id, station_id, generation, replica, connected,
    connection_since_at)
    select operator_id, id, 1, '{REPLICA}', substr(id, 3)::int % 100 <> 0, now() - interval '1 day'
    from station;
insert into connector_live (operator_id, station_id, evse_id, connector_id, generation, status,
    since_at, reported_at, received_at)
    select operator_id, station_id, evse_id, 1, 1,
        case when substr(station_id, 3)::int % 100 = 1 then 'faulted' else 'available' end,
        now() - interval '1 day', now(), now() from evse;
insert into evse_session (operator_id, station_id, evse_id, connector_id, session_id, started_at,
    ended_at)
    select operator_id, station_id, evse_id, 1, gen_random_uuid(), now() - interval '9 days',
        now() - make_interval(days =>
            case when substr(station_id, 3)::int % 100 = 2 then 8 else 1 end) from evse;
insert into station_failure select operator_id, id, 'session ' || n, now() - interval '1 hour'
    from station, generate_series(1, case when substr(id, 3)::int % 100 = 3 then 4 else 2 end) n;
insert into station_group (id, operator_id, version, members_version, name)
    values ('{GROUP}', '{OPERATOR}', 1, 1, 'half');
insert into station_group_member (operator_id, group_id, station_id, own)
    select operator_id, '{GROUP}', id, true from station where substr(id, 3)::int % 2 = 0;
insert into alert_rule (id, version, operator_id, name, kind, place_kind, place_id, severity,
    after_s, days, failures, hours, clear_after_s, emails, notices_per_hour, enabled, made_at, told)
    select gen_random_uuid(), 1, '{OPERATOR}', concat(k, place.kind, place.id), k, place.kind,
        place.id, 'warning', 300, 7, 3, 24, 0, array['a@x.example'], 60, true, now(), '{{}}'
    from unnest(array['offline', 'faulted', 'unused', 'failing']) k, (
        select 'everywhere', null union all select 'station_group', '{GROUP}' union all
        select 'location', id::text from (select id from location limit 10) ten
    ) place (kind, id);
insert into alert_round select k, '-infinity'
    from unnest(array['offline', 'faulted', 'unused', 'failing']) k;
"""
GO: Final = (
    "update station_live set connected = false, connection_since_at = now() - interval '10 minutes'"
)
BEAT: Final = "update gateway_replica set last_beat_at = now() + interval '1 day'"
RETURN: Final = "update station_live set connected = true, connection_since_at = now()"


@dataclass
class Bench:
    connections: Connections
    postgres: int  # its process id

    def cpu_ms(self) -> float:
        return (time.process_time() + family_cpu_s(self.postgres)) * 1000

    async def measure(self, label: str, what: str, work: Awaitable[int]) -> float:
        """CPU in ms, PostgreSQL's included."""
        began, spent = time.perf_counter(), self.cpu_ms()
        count = await work
        cpu, wall = self.cpu_ms() - spent, (time.perf_counter() - began) * 1000
        print(f"{label:24} {what:8} {cpu:9.0f} {wall:9.0f} {count:9}", flush=True)
        return cpu

    async def round(self, label: str) -> float:
        """Of each kind, then telling; the most that a kind costs, in ms."""
        watch = Rounds(self.connections, every_s=15, bundle_s=0, mails=True)
        costs = []
        for kind in HOLDS:
            await self.execute(BEAT)
            costs.append(await self.measure(label, kind, watch.look(kind, LATER)))
        telling = alert_notices.tell(self.connections, 0, mails=True)
        await self.measure(label, "telling", telling)
        return max(costs)

    async def execute(self, statement: str) -> None:
        async with self.connections.begin(PLATFORM) as db:
            await db.execute(text(statement))


async def measured(url: str, postgres: int) -> float:
    owner = await asyncpg.connect(url, server_settings={"search_path": "registry"})
    await owner.execute(FILL)
    await owner.execute("vacuum analyze")
    await owner.close()
    engine = database.engine(url, "registry")
    bench = Bench(Connections(engine), postgres)
    print(f"{STATIONS} stations, {2 * STATIONS} EVSEs, 48 rules")
    print(f"{'':24} {'':8} {'CPU ms':>9} {'wall ms':>9} {'changed':>9}", flush=True)
    await bench.round("first, 1 % in trouble")
    calm = await bench.round("calm, 1 % in trouble")
    await bench.execute(GO)
    await bench.round("all go offline at once")
    await bench.round("all are offline")
    await bench.execute(RETURN)
    await bench.round("all are back")
    await engine.dispose()
    return calm


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="csms-bench-") as home:
        Path(home).chmod(0o755)
        postgres = Postgres(Path(home) / "postgres", durable=False)
        postgres.start()
        try:
            migrate.upgrade("registry", postgres.url())
            assert postgres.process
            calm = asyncio.run(measured(postgres.url(), postgres.process.pid))
        finally:
            postgres.stop()
    assert calm < CALM_MS_MAX, f"a calm round of a kind takes {calm:.0f} ms of CPU"


if __name__ == "__main__":
    main()
