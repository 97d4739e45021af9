"""python -m bench.imports: 50,000 people with 120,000 cards, by the real routes.

One CSV file, shown and then applied, beside a bare COPY of the same rows into tables with the same
columns and indexes in the same database. CPU is identity's and PostgreSQL's; the machine's other
processes come on top.
"""

import asyncio
import csv
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from suite import Suite, running_suite

from bench import load

USERS = 50_000
CARDS = 120_000
GROUPS = 20
SECONDS_MAX = 60.0  # dry run and apply together
COLUMNS = (
    "external_id", "name", "email", "groups", "uid", "label", "valid_until", "monthly_cap",
)  # fmt: skip
Row = tuple[str, ...]


def file_rows(label: str, moved: int = 0) -> list[Row]:
    """Every user has two cards, and some of them more. moved: to another group."""
    return [
        (
            f"P-{number % USERS:06}", f"Person Nº {number % USERS}",
            f"person{number % USERS}@example.org", f"group {(number + moved) % USERS % GROUPS}",
            f"04{number:012X}", label, "31.12.2030", "250,00",
        )
        for number in range(CARDS)
    ]  # fmt: skip


def as_csv(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode()


def family_cpu_s(pid: int) -> float:
    """Of a process, of its children that live, and of those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = (int(fields[13]) + int(fields[14])) / load.TICKS
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return load.cpu_s(pid) + ended + sum(load.cpu_s(int(child)) for child in children)


@dataclass
class Taken:
    wall_s: float = 0
    service_s: float = 0
    postgres_s: float = 0

    def __str__(self) -> str:
        return f"{self.wall_s:8.1f} {self.service_s:10.1f} {self.postgres_s:12.1f}"


@contextmanager
def taken(suite: Suite, service: str = "identity") -> Iterator[Taken]:
    assert suite.postgres.process
    pid, postgres = suite.processes[service].pid, suite.postgres.process.pid
    began, ours, theirs = time.perf_counter(), load.cpu_s(pid), family_cpu_s(postgres)
    found = Taken()
    yield found
    found.wall_s = time.perf_counter() - began
    found.service_s = load.cpu_s(pid) - ours
    found.postgres_s = family_cpu_s(postgres) - theirs


async def imported(
    suite: Suite, api: httpx.AsyncClient, data: bytes, what: str
) -> tuple[dict[str, Any], float]:
    """What was applied, and the seconds of both steps together."""
    kind = {"Content-Type": "text/csv"}
    with taken(suite) as shown:
        answer = await api.post("/v1/imports/people", content=data, headers=kind)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["counts"]["rows"]["bad"] == 0, made
    with taken(suite) as applied:
        answer = await api.post(f"/v1/imports/{made['id']}/apply")
    assert answer.status_code == 200, answer.text
    print(f"{what + ': dry run':40} {shown}", flush=True)
    print(f"{what + ': apply':40} {applied}", flush=True)
    return dict(answer.json()), shown.wall_s + applied.wall_s


async def bare_copy(suite: Suite, rows: list[Row]) -> float:
    """The same facts in tables of the same columns and indexes; nothing is checked or told."""
    operator = UUID(suite.demo["operator_id"]) if "operator_id" in suite.demo else uuid4()
    ids = {row[0]: uuid4() for row in rows}
    people = {row[0]: (ids[row[0]], 1, operator, row[1], row[2], row[0], True) for row in rows}
    cards = [
        (uuid4(), 1, operator, row[4], "rfid", row[5], True, 250, ids[row[0]], False, False)
        for row in rows
    ]
    db = await asyncpg.connect(suite.postgres.url())
    for table in ("users", "card"):
        await db.execute(f"create table bare_{table} (like identity.{table} including all)")
    with taken(suite) as copied:
        async with db.transaction():
            await db.copy_records_to_table(
                "bare_users", records=people.values(),
                columns=("id", "version", "operator_id", "name", "email", "external_id", "active"),
            )  # fmt: skip
            await db.copy_records_to_table(
                "bare_card", records=cards,
                columns=(
                    "id", "version", "operator_id", "uid", "kind", "label", "active",
                    "monthly_cap", "user_id", "master_pass", "company_master",
                ),
            )  # fmt: skip
    for table in ("users", "card"):
        await db.execute(f"drop table bare_{table}")
    await db.close()
    print(f"{'bare COPY of the same rows':40} {copied}", flush=True)
    return copied.wall_s


async def told(suite: Suite) -> float:
    """Seconds until reporting has heard of every card."""
    began = time.perf_counter()
    while await suite.count("select count(*) from reporting.card where uid like '04%'") < CARDS:
        await asyncio.sleep(0.2)
        assert time.perf_counter() - began < 4 * SECONDS_MAX
    return time.perf_counter() - began


async def noted(suite: Suite) -> float:
    """Seconds until every change is in the audit log's chain."""
    began = time.perf_counter()
    waiting = "select count(*) from identity.change_note"
    while await suite.count(waiting) > 0:
        await asyncio.sleep(0.2)
        assert time.perf_counter() - began < 10 * SECONDS_MAX
    return time.perf_counter() - began


async def main() -> None:
    async with running_suite() as suite:
        headers = {"Authorization": f"Bearer {await suite.token()}"}
        url = suite.urls["identity"]
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=600) as api:
            for number in range(GROUPS):
                answer = await api.post("/v1/user-groups", json={"name": f"group {number}"})
                assert answer.status_code == 201, answer.text
            rows = file_rows("")
            print(f"{os.cpu_count()} cores; {USERS} users with {CARDS} cards")
            print(f"{'':40} {'seconds':>8} {'identity s':>10} {'PostgreSQL s':>12}")
            copied = await bare_copy(suite, rows)
            made, total = await imported(suite, api, as_csv(rows), "all new")
            assert made["counts"]["users"]["make"] == USERS, made
            assert made["counts"]["cards"]["make"] == CARDS, made
            print(f"reporting has heard of all {await told(suite):.1f} s later,", flush=True)
            print(f"the audit log has all another {await noted(suite):.1f} s later", flush=True)
            changed = as_csv(file_rows("new label", moved=1))
            made, later = await imported(suite, api, changed, "every one changed")
            assert made["counts"]["users"]["change"] == USERS, made
            assert made["counts"]["cards"]["change"] == CARDS, made
            print(f"all new {total:.1f} s, {total / copied:.0f} times the bare COPY; ")
            print(f"changed {later:.1f} s")
            assert total <= SECONDS_MAX, f"{total:.1f} s; more than {SECONDS_MAX} s"


if __name__ == "__main__":
    asyncio.run(main())
