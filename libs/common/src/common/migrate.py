"""Schema migrations: one alembic history per service, kept inside its package.

The one who migrates owns the tables; the service's role only uses them. So row-level security
binds the service, and a stolen service password cannot change the schema.
"""

import asyncio
import re
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from alembic import autogenerate, command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from common import database, outbox

LOCK_TIMEOUT_MS = 4000  # a migration that waits for a lock makes everybody behind it wait
STATEMENT_TIMEOUT_MS = 60_000
# If everybody no longer may take advisory locks (see common.sql_access), this service still may.
LOCKS: Final = r"""
do $$
declare one regprocedure;
begin
    if has_function_privilege('public', 'pg_advisory_lock(bigint)', 'execute') then return; end if;
    for one in select oid from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace and proname like 'pg\_%advisory%'
    loop
        execute format('grant execute on function %s to {role}', one);
    end loop;
end $$
"""
PARTITION: Final = re.compile(r".+_p\d{8}$")


def config(service: str, url: str) -> Config:
    alembic = Config(attributes={"service": service, "url": url})
    alembic.set_main_option("script_location", f"{database.schema(service)}:migrations")
    alembic.set_main_option("path_separator", "os")
    return alembic


def upgrade(service: str, url: str) -> None:
    command.upgrade(config(service, url), "head")


def run_env() -> None:
    """The whole of every migrations/env.py."""
    attributes = context.config.attributes
    asyncio.run(_connect_and_run(attributes["service"], attributes["url"]))


def _owner_engine(service: str, url: str) -> AsyncEngine:
    settings = {"application_name": f"migrate {service}", "search_path": database.schema(service)}
    url = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    return create_async_engine(url, connect_args={"server_settings": settings})


async def _connect_and_run(service: str, url: str) -> None:
    engine = _owner_engine(service, url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(f"set local lock_timeout = {LOCK_TIMEOUT_MS}"))
            await connection.execute(text(f"set local statement_timeout = {STATEMENT_TIMEOUT_MS}"))
            await connection.execute(
                text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": service}
            )
            await _prepare(connection, database.schema(service), database.role(service))
            await connection.run_sync(_migrate, service)
    finally:
        await engine.dispose()


async def _prepare(connection: Any, schema: str, role: str) -> None:
    """The schema, and the role that may use but not change it."""
    # Roles are the cluster's, so another database's migration may be making the same one.
    await connection.execute(
        text(
            f"do $$ begin create role {role} nologin; "
            "exception when duplicate_object or unique_violation then null; end $$"
        )
    )
    await connection.execute(text(f"grant {role} to current_user"))
    await connection.exec_driver_sql(LOCKS.format(role=role))
    await connection.execute(text(f"create schema if not exists {schema}"))
    await connection.execute(text(f"grant usage on schema {schema} to {role}"))
    for kind, rights in (
        ("tables", "select, insert, update, delete"),
        ("sequences", "usage, select"),
    ):
        await connection.execute(
            text(f"alter default privileges in schema {schema} grant {rights} on {kind} to {role}")
        )


def _metadata(service: str) -> list[Any]:
    for joins in ("common.inbox", "common.audit"):  # their tables join the outbox's
        import_module(joins)
    tables = import_module(f"{database.schema(service)}.tables")
    return [tables.Table.metadata, outbox.metadata]


def _include(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
    return not (kind == "table" and name and PARTITION.match(name)) and not (
        kind == "index" and thing.table is not None and PARTITION.match(thing.table.name)
    )


def _migrate(connection: Connection, service: str) -> None:
    context.configure(
        connection=connection,
        target_metadata=_metadata(service),
        compare_server_default=True,
        include_object=_include,
    )
    context.run_migrations()


def tenant_walls(*tables: str, column: str = "operator_id") -> None:
    """In a migration: let row-level security keep operators apart in these new tables."""
    for table in tables:
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(
            f"create policy operator_wall on {table} using ("
            f"current_setting('{database.OPERATOR_SETTING}', true) = '{database.PLATFORM}' "
            f"or {column}::text = current_setting('{database.OPERATOR_SETTING}', true))"
        )


def location_walls(*tables: str, condition: str = "of_my_locations(station_id)") -> None:
    """In a migration: staff who may see some locations only see these tables' rows of them only.

    condition: whether a row is of one; the setting is then not empty.
    """
    setting = f"current_setting('{database.LOCATIONS_SETTING}', true)"
    for table in tables:
        op.execute(
            f"create policy location_wall on {table} as restrictive using "
            f"(coalesce({setting}, '') = '' or {condition})"
        )


# Evaluated for the planner's estimates even where the setting is empty, so it must not fail then.
MY_LOCATIONS: Final = (
    f"any(nullif(current_setting('{database.LOCATIONS_SETTING}', true), '')::uuid[])"
)


def of_my_locations(schema: str, key: str = "station_id") -> None:
    """In a migration, once the schema has its stations: what tells whether one is of my locations.

    In plpgsql, for one in SQL would be put into each statement, which all would then prepare for.
    """
    op.execute(
        f"create function of_my_locations(station text) returns boolean language plpgsql stable as "
        f"$$ begin return exists (select from {schema}.station s where s.{key} = station "
        f"and s.location_id = {MY_LOCATIONS}); end $$"
    )


def append_only(*tables: str, service: str) -> None:
    """In a migration: the service may add rows to these tables but never change one."""
    for table in tables:
        op.execute(f"revoke update, delete on {table} from {database.role(service)}")


REVISION = '''"""{message}"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

revision = "{number}"
down_revision = {parent}


def upgrade() -> None:
    {body}
'''


def revision(service: str, url: str, message: str) -> Path:
    """Write the next numbered migration from the difference between tables.py and the database."""
    return asyncio.run(_revision(service, url, message))


async def _revision(service: str, url: str, message: str) -> Path:
    engine = _owner_engine(service, url)
    async with engine.connect() as connection:
        body = await connection.run_sync(_difference, service)
    await engine.dispose()
    package = import_module(f"{database.schema(service)}")
    assert package.__file__
    folder = Path(package.__file__).parent / "migrations" / "versions"
    last = max((path.name[:4] for path in folder.glob("[0-9]*.py")), default=None)
    number = f"{int(last or 0) + 1:04}"
    path = folder / f"{number}_{re.sub(r'[^a-z0-9]+', '_', message.lower())}.py"
    parent = f'"{last}"' if last else "None"
    path.write_text(REVISION.format(message=message, number=number, parent=parent, body=body))
    return path


def _difference(connection: Connection, service: str) -> str:
    options = {"include_object": _include, "target_metadata": _metadata(service)}
    migration = MigrationContext.configure(connection, opts=options)
    script = autogenerate.produce_migrations(migration, _metadata(service))  # type: ignore[arg-type]
    assert script.upgrade_ops
    return str(autogenerate.render_python_code(script.upgrade_ops))
