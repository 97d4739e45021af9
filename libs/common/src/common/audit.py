"""What people change: a note a changed row, made by triggers in the change's own transaction.

Only if the setting csms.actor is set, which Connections.acting does. What consumers of events and
chargers change has records of its own and is not noted.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Identity, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.clock import now
from common.database import PLATFORM, Connections, actor
from common.events import ChangeNote, ChangesNoted
from common.outbox import metadata

NOTES_MAX: Final = 500
BYTES_MAX: Final = 600_000  # an event must fit into a message of NATS
POLL_S: Final = 0.5
NOISE: Final = ("version", "updated_at", "last_used_at")

# Every service has its own copy of this table in its own schema (see database.engine).
change_note = Table(
    "change_note",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("note_id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("table_name", Text, nullable=False),
    Column("row_key", JSONB, nullable=False),
    Column("operator_id", Uuid),
    Column("action", Text, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("actor", JSONB, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)


# The masks of a row: secret columns say only that there is something.
FUNCTIONS: Final = """
create function {schema}.masked(row_ jsonb, secret text[]) returns jsonb
language sql immutable as $$
    select case when secret = '{{}}' then row_ else (
        select jsonb_object_agg(key, case when key = any(secret) and value <> 'null'
            then '"…"' else value end) from jsonb_each(row_)) end
$$;
create function {schema}.note_changes() returns trigger language plpgsql as $$
declare
    who jsonb := nullif(current_setting('csms.actor', true), '');
    keys text[] := tg_argv[0];
    secret text[] := tg_argv[1];
    noise text[] := tg_argv[2];
    mine uuid := nullif(nullif(current_setting('csms.operator', true), ''), '*');
begin
    if who is null then return null; end if;
    if tg_op = 'INSERT' then
        insert into {schema}.change_note
            (table_name, row_key, operator_id, action, after, actor, at)
        select tg_table_name, (select jsonb_object_agg(k, n.j -> k) from unnest(keys) k),
            coalesce((n.j ->> 'operator_id')::uuid, mine), 'insert',
            {schema}.masked(n.j, secret), who, clock_timestamp()
        from (select to_jsonb(r) as j from new_rows r) n;
    elsif tg_op = 'DELETE' then
        insert into {schema}.change_note
            (table_name, row_key, operator_id, action, before, actor, at)
        select tg_table_name, (select jsonb_object_agg(k, o.j -> k) from unnest(keys) k),
            coalesce((o.j ->> 'operator_id')::uuid, mine), 'delete',
            {schema}.masked(o.j, secret), who, clock_timestamp()
        from (select to_jsonb(r) as j from old_rows r) o;
    else
        insert into {schema}.change_note
            (table_name, row_key, operator_id, action, before, after, actor, at)
        select tg_table_name, coalesce(n.key, o.key),
            coalesce((coalesce(n.j, o.j) ->> 'operator_id')::uuid, mine), 'update',
            {schema}.masked(c.before, secret), {schema}.masked(c.after, secret),
            who, clock_timestamp()
        from (select j, (select jsonb_object_agg(k, j -> k) from unnest(keys) k) as key
            from (select to_jsonb(r) as j from old_rows r) x) o
        full join (select j, (select jsonb_object_agg(k, j -> k) from unnest(keys) k) as key
            from (select to_jsonb(r) as j from new_rows r) x) n on n.key = o.key
        cross join lateral (
            select jsonb_object_agg(key, b.value) as before, jsonb_object_agg(key, a.value) as after
            from jsonb_each(coalesce(o.j, '{{}}')) b
            full join jsonb_each(coalesce(n.j, '{{}}')) a using (key)
            where b.value is distinct from a.value and key <> all(noise)) c
        where c.before is not null;
    end if;
    return null;
end $$
"""

TRANSITIONS: Final = {
    "insert": "new table as new_rows",
    "update": "old table as old_rows new table as new_rows",
    "delete": "old table as old_rows",
}


def noted(schema: str) -> None:
    """In a migration, once, before audited: the functions that make the notes."""
    for statement in FUNCTIONS.format(schema=schema).split("$$;\n"):
        ended = statement.count("$$") == 1
        op.execute(text((statement + ("$$" if ended else "")).replace(":", r"\:")))


def _array(values: Collection[str]) -> str:
    return "'{" + ",".join(values) + "}'"


def audited(*tables: str, secret: Collection[str] = (), noise: Collection[str] = NOISE) -> None:
    """In a migration: note what people change in these tables, of secret columns only that."""
    find = text(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid "
        "and a.attnum = any(i.indkey) where i.indrelid = to_regclass(:name) and i.indisprimary"
    )
    for table in tables:
        keys = op.get_bind().scalars(find, {"name": table}).all()
        arguments = ", ".join(map(_array, (keys, secret, noise)))
        for action, transition in TRANSITIONS.items():
            op.execute(
                f"create trigger note_{action} after {action} on {table} referencing {transition} "
                f"for each statement execute function note_changes({arguments})"
            )


async def note(
    db: AsyncSession,
    table_name: str,
    row_key: dict[str, Any],
    action: str,
    *,
    operator_id: UUID | None,
    sub: str,
    role: str,
    after: dict[str, Any] | None = None,
) -> None:
    """What is no change of an audited row, and belongs into the log all the same; no secrets."""
    await db.execute(
        change_note.insert().values(
            table_name=table_name,
            row_key=row_key,
            operator_id=operator_id,
            action=action,
            after=after,
            actor=actor(sub, role),
            at=now(),
        )
    )


# An array as in the outbox: behind IN, 220,000 notes were taken at once and not in ten minutes.
TAKE: Final = text(
    "with taken as (delete from change_note where seq = any(array(select seq from change_note "
    "order by seq limit :most for update skip locked)) returning *) "
    "select * from taken order by seq"
)


async def tell_once(connections: Connections, service: str) -> int:
    """Notes become events in one transaction, so each is told once; returns how many."""
    async with connections.begin(PLATFORM) as db:
        found = (await db.execute(TAKE, {"most": NOTES_MAX})).all()
        parts: list[tuple[UUID | None, list[ChangeNote]]] = []
        size = 0
        for row in found:
            note = ChangeNote.model_validate(dict(row._mapping))  # noqa: SLF001
            length = len(note.model_dump_json())
            if not parts or parts[-1][0] != row.operator_id or size + length > BYTES_MAX:
                parts.append((row.operator_id, []))
                size = 0
            parts[-1][1].append(note)
            size += length
        events = (ChangesNoted(operator_id=of, service=service, notes=tuple(n)) for of, n in parts)
        await outbox.emit(db, *events)
    return len(found)


async def telling(connections: Connections, service: str) -> None:
    while True:
        if await tell_once(connections, service) < NOTES_MAX:
            await asyncio.sleep(POLL_S)
