"""What the audit log costs a change: the same statements with its triggers, and without, in turn.

python -m bench.audit (with PYTHONPATH=tests), or make bench-audit. One connection to a PostgreSQL
of its own that syncs each commit; the service's role, so the walls stand. The event that tells
identity and the entry in the chain come later and beside it; they are measured apart.
"""

import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from common import database, migrate
from common.audit import tell_once
from common.events import ChangesNoted
from common.ids import uuid7
from identity.audit import chain
from local_stack.servers import Postgres

ROUNDS = 7
ALONE = 400  # one-row transactions a round
BATCH = 5_000  # rows of a statement
TOLD = 2_000  # notes told and kept
WHO = json.dumps({"sub": "bench", "role": "operator-admin", "ip": "127.0.0.1", "request_id": "x"})
INSERT = (
    "insert into users (id, version, operator_id, name, email, active) "
    "select id, 1, $1, 'A name of some length', 'somebody@example.org', true "
    "from unnest($2::uuid[]) as id"
)
SETTINGS = "select set_config('csms.operator', $1, true), set_config('csms.actor', $2, true)"
UPDATE = "update users set name = name || '.', version = version + 1 where id = any($1)"

Work = Callable[[], Awaitable[None]]


class Bench:
    def __init__(self, db: asyncpg.Connection, owner: asyncpg.Connection) -> None:
        self.db = db
        self.owner = owner
        self.operator = uuid7()

    async def prepare(self) -> None:
        new = "insert into identity.operator (id, version, name, time_zone, currency) "
        await self.owner.execute(new + "values ($1, 1, 'Bench', 'UTC', 'EUR')", self.operator)

    async def acting(self, statement: str, *values: object) -> None:
        async with self.db.transaction():
            await self.db.execute(SETTINGS, str(self.operator), WHO)
            await self.db.execute(statement, *values)

    async def one_by_one(self) -> None:
        for _ in range(ALONE):
            await self.acting(INSERT, self.operator, [uuid7()])

    async def at_once(self) -> None:
        await self.acting(INSERT, self.operator, [uuid7() for _ in range(BATCH)])

    async def changed(self) -> None:
        ids = await self.owner.fetch("select id from identity.users limit $1", BATCH)
        await self.acting(UPDATE, [row["id"] for row in ids])

    async def triggers(self, *, on: bool) -> None:
        word = "enable" if on else "disable"
        await self.owner.execute(f"alter table identity.users {word} trigger user")

    async def compared(self, work: Work, rows: int) -> tuple[float, float]:
        """Medians of µs a row: without the triggers, with them."""
        found: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(ROUNDS):
            for on in (False, True):
                await self.triggers(on=on)
                started = time.perf_counter()
                await work()
                found[on].append((time.perf_counter() - started) / rows * 1e6)
        return statistics.median(found[False]), statistics.median(found[True])


async def telling(bench: Bench, url: str) -> tuple[float, float]:
    """µs a note: told as an event, and kept in the chain."""
    await bench.owner.execute("truncate identity.change_note")
    await bench.triggers(on=True)
    for _ in range(TOLD // 500):
        await bench.acting(INSERT, bench.operator, [uuid7() for _ in range(500)])
    engine = database.engine(url, "identity")
    connections = database.Connections(engine)
    started = time.perf_counter()
    while await tell_once(connections, "identity"):
        pass
    told_s = time.perf_counter() - started
    subject = ChangesNoted.subject
    bodies = await bench.owner.fetch("select body from identity.outbox where subject = $1", subject)
    events = [ChangesNoted.model_validate_json(row["body"]) for row in bodies]
    started = time.perf_counter()
    for event in events:
        async with connections.begin(database.PLATFORM) as db:
            await chain.keep(db, event)
    kept_s = time.perf_counter() - started
    await engine.dispose()
    notes = sum(len(event.notes) for event in events)
    assert notes == TOLD
    return told_s / notes * 1e6, kept_s / notes * 1e6


async def measure(url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, "identity", url)
    owner = await asyncpg.connect(url)
    db = await asyncpg.connect(url, server_settings=database.server_settings("identity"))
    bench = Bench(db, owner)
    await bench.prepare()
    print(f"{'µs a row':34} {'without':>9} {'with':>9} {'more':>9}")
    for name, work, rows in (
        ("insert, a transaction each", bench.one_by_one, ALONE),
        (f"insert, {BATCH} at once", bench.at_once, BATCH),
        (f"update, {BATCH} at once", bench.changed, BATCH),
    ):
        without, with_ = await bench.compared(work, rows)
        print(f"{name:34} {without:9.1f} {with_:9.1f} {with_ - without:9.1f}")
    told, kept = await telling(bench, url)
    print(f"later, beside it: {told:.0f} µs a note to tell it, {kept:.0f} to keep it in the chain")
    await db.close()
    await owner.close()


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="csms-bench-"))
    home.chmod(0o755)  # the unprivileged user that runs Postgres passes through
    postgres = Postgres(home / "postgres")
    postgres.start()
    try:
        asyncio.run(measure(postgres.url()))
    finally:
        postgres.stop()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
