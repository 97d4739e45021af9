"""Who may read an operator's rows by SQL: one role an operator, made by the platform.

python -m common.run sql-access make OPERATOR [--connections 5] [--timeout-s 60] [--days N]
python -m common.run sql-access renew OPERATOR [--days N]     another password; the old one is out
python -m common.run sql-access drop OPERATOR                 whoever is connected is thrown out
python -m common.run sql-access list
python -m common.run sql-access columns                       the views, as Markdown

Run with the address that migrations are run with. A password is shown once. What a reader sees is
said by the views (common.sql_views).
"""

import argparse
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import asyncpg

from common import database, migrate
from common.clock import now
from common.sql_views import READER, SCHEMA

SCRAM_ROUNDS: Final = 4096  # PostgreSQL's own; the password is random, so more gain nothing
TEMP_FILES: Final = "1GB"  # what a query may put on the disk, which is everybody's

# What PostgreSQL lets everybody do in a database that would hinder others: hold the locks that
# services wait for, and fill the disk beside all tables.
CLOSED: Final = r"""
do $$
declare one regprocedure;
begin
    execute format('revoke temporary on database %I from public', current_database());
    revoke create on schema public from public;
    for one in select oid from pg_proc where pronamespace = 'pg_catalog'::regnamespace and (
        proname like 'pg\_%advisory%' or proname like 'lo\_%'
        or proname in ('loread', 'lowrite', 'pg_logical_emit_message'))
    loop
        execute format('revoke execute on function %s from public', one);
    end loop;
end $$
"""


class Refused(Exception):
    """The command cannot be done; the message says why."""


def role_name(operator_id: UUID) -> str:
    """Of the id's end, for its beginning is the time when it was made."""
    return f"export_{operator_id.hex[-12:]}"


def new_password() -> str:
    return secrets.token_urlsafe(32)


def verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps of a password (RFC 5803), so that its log never sees the password."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ROUNDS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (salt, hashlib.sha256(client).digest(), server)
    encoded = [base64.b64encode(part).decode() for part in parts]
    return f"SCRAM-SHA-256${SCRAM_ROUNDS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


async def make(
    db: asyncpg.Connection,
    operator_id: UUID,
    *,
    connections: int = 5,
    timeout_s: int = 60,
    days: int | None = None,
) -> dict[str, Any]:
    """A role that reads the operator's rows in the views; its name and password. Raises Refused."""
    name, password = role_name(operator_id), new_password()
    async with db.transaction():
        await _require(db, operator_id)
        superuser = await _close(db)
        new = "insert into export_access.reader (role_name, operator_id) values ($1, $2) "
        if not await db.fetch(new + "on conflict do nothing returning true", name, operator_id):
            raise Refused(f"{name} is there already; renew its password, or drop it")
        try:
            await db.execute(
                f"create role {name} login nosuperuser nocreatedb nocreaterole noreplication "
                f"nobypassrls connection limit {connections} "
                f"password '{verifier(password)}' {_until(days)}"
            )
        except asyncpg.DuplicateObjectError as error:
            raise Refused(f"{name} is there already, of another database") from error
        await db.execute(f"grant {READER} to {name}")
        # Courtesies: a session may set them otherwise. What holds is that it may write nothing.
        for setting, value in (
            ("default_transaction_read_only", "on"),
            ("statement_timeout", f"{timeout_s}s"),
            ("idle_in_transaction_session_timeout", f"{timeout_s}s"),
            ("search_path", SCHEMA),
            ("timezone", "UTC"),
        ):
            await db.execute(f"alter role {name} set {setting} = '{value}'")
        if superuser:  # whose setting it is, so that a session cannot change it
            await db.execute(f"alter role {name} set temp_file_limit = '{TEMP_FILES}'")
        await _note(db, operator_id, name, "insert")
    return {"role": name, "password": password, "closed": superuser}


async def renew(
    db: asyncpg.Connection, operator_id: UUID, *, days: int | None = None
) -> dict[str, Any]:
    """Another password; who is connected with the old one is thrown out. Raises Refused."""
    password = new_password()
    async with db.transaction():
        name = await _known(db, operator_id)
        changed = f"password '{verifier(password)}' {_until(days)}"
        await db.execute(f"alter role {name} {changed}")
        await _note(db, operator_id, name, "update")
    await _throw_out(db, name)
    return {"role": name, "password": password}


async def drop(db: asyncpg.Connection, operator_id: UUID) -> dict[str, Any]:
    """Raises Refused."""
    name = await _known(db, operator_id)
    # Not in a cluster that the database was restored in.
    there = await db.fetchval("select true from pg_roles where rolname = $1", name)
    # Nobody new comes in meanwhile; and without its row here the role sees nothing.
    async with db.transaction():
        if there:
            await db.execute(f"alter role {name} nologin")
        await db.execute("delete from export_access.reader where operator_id = $1", operator_id)
        await _note(db, operator_id, name, "delete")
    if there:
        await _throw_out(db, name)
        await db.execute(f"drop role {name}")
    return {"role": name}


async def listed(db: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await db.fetch(
        "select r.operator_id, r.role_name as role, r.made_at, p.rolconnlimit as connections, "
        "p.rolvaliduntil as valid_until from export_access.reader r "
        "left join pg_roles p on p.rolname = r.role_name order by r.made_at"
    )
    return [dict(row) for row in rows]


async def columns(db: asyncpg.Connection) -> str:
    """Each view with its columns, types and meanings, as Markdown."""
    rows = await db.fetch(
        """
        select c.relname as view, obj_description(c.oid) as about, a.attname as name,
            format_type(a.atttypid, a.atttypmod) as type, col_description(c.oid, a.attnum) as told
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = $1::regnamespace and c.relkind = 'v'
        order by c.relname, a.attnum
        """,
        SCHEMA,
    )
    parts: list[str] = []
    for view, shown in groupby(rows, key=lambda row: str(row["view"])):
        of_view = list(shown)
        parts.append(
            f"### `{view}`\n\n{of_view[0]['about']}\n\n| column | type | |\n|---|---|---|\n"
        )
        parts += [f"| `{row['name']}` | {row['type']} | {row['told']} |\n" for row in of_view]
        parts.append("\n")
    return "".join(parts)


def _until(days: int | None) -> str:
    return f"valid until '{(now() + timedelta(days=days)).isoformat() if days else 'infinity'}'"


async def _require(db: asyncpg.Connection, operator_id: UUID) -> None:
    """Raises Refused if there is no such operator."""
    await db.execute(f"set local {database.OPERATOR_SETTING} = '{database.PLATFORM}'")
    if not await db.fetchval("select true from identity.operator where id = $1", operator_id):
        raise Refused(f"there is no operator {operator_id}")


async def _known(db: asyncpg.Connection, operator_id: UUID) -> str:
    """The operator's role. Raises Refused."""
    find = "select role_name from export_access.reader where operator_id = $1"
    name = await db.fetchval(find, operator_id)
    if name is None:
        raise Refused(f"operator {operator_id} has no role to read with")
    return str(name)


async def _throw_out(db: asyncpg.Connection, name: str) -> None:
    if not await _superuser(db):  # who may end sessions of a role that it is a member of
        await db.execute(f"grant {name} to current_user")
    end = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = $1"
    await db.execute(end, name)


async def _superuser(db: asyncpg.Connection) -> bool:
    query = "select rolsuper from pg_roles where rolname = current_user"
    return bool(await db.fetchval(query))


async def _close(db: asyncpg.Connection) -> bool:
    """Take from everybody what only services need; False: only a superuser may."""
    if not await _superuser(db):
        return False
    await db.execute(CLOSED)
    services = "select rolname from pg_roles where rolname ~ '^csms_' and rolname !~ '^csms_export'"
    for row in await db.fetch(services):
        await db.execute(migrate.LOCKS.format(role=row["rolname"]))
    return True


async def _note(db: asyncpg.Connection, operator_id: UUID, name: str, action: str) -> None:
    """Into the operator's audit log, by way of identity's notes (common.audit)."""
    await db.execute(
        "insert into identity.change_note "
        "(table_name, row_key, operator_id, action, actor, at) "
        "values ('sql_reader', $1, $2, $3, $4, clock_timestamp())",
        json.dumps({"role": name}),
        operator_id,
        action,
        json.dumps({"sub": "sql-access", "role": "platform-admin"}),
    )


def _from_1_to(most: int) -> Callable[[str], int]:
    def number(word: str) -> int:
        if not 1 <= int(word) <= most:
            raise ValueError
        return int(word)

    number.__name__ = f"number from 1 to {most}"  # what argparse calls it
    return number


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sql-access")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("make", "renew", "drop"):
        one = verbs.add_parser(verb)
        one.add_argument("operator", type=UUID)
        if verb != "drop":
            one.add_argument("--days", type=_from_1_to(3660))
        if verb == "make":
            one.add_argument("--connections", type=_from_1_to(100), default=5)
            one.add_argument("--timeout-s", type=_from_1_to(3600), default=60)
    verbs.add_parser("list")
    verbs.add_parser("columns")
    return parser.parse_args(words)


async def command(url: str, words: Sequence[str]) -> str:
    """Do what the words say; returns what to print. Raises Refused."""
    asked = vars(_arguments(words))
    verb = asked.pop("verb")
    db = await asyncpg.connect(url, server_settings={"application_name": "sql-access"})
    try:
        if verb == "columns":
            return await columns(db)
        if verb == "list":
            return "\n".join(json.dumps(row, default=str) for row in await listed(db))
        do = {"make": make, "renew": renew, "drop": drop}[verb]
        done = await do(db, asked.pop("operator"), **asked)
        return json.dumps(done)
    finally:
        await db.close()
