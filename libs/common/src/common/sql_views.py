"""In migrations: views in the schema export, for readers who log in to the database themselves.

A reader is a role of one operator (see common.sql_access). The views belong to a role that may
select the columns that are shown and no others, and that row-level security binds to the operator
of whoever logged in: session_user, which nobody but a superuser changes. A setting would not do,
for a reader may set any.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from alembic import op
from sqlalchemy import text

SCHEMA: Final = "export"
OWNER: Final = "csms_export"
READER: Final = "csms_export_reader"  # what every reader is a member of
# In a schema of its own, for readers may look into that of the views.
MINE: Final = "(select r.operator_id from export_access.reader r where r.role_name = session_user)"


class Shown(NamedTuple):
    """A column of a view, named as in the REST API."""

    name: str
    about: str
    expression: str = ""  # of the table t; empty: its column of that name


def _run(*statements: str) -> None:
    for statement in statements:
        op.execute(text(statement.replace(":", r"\:")))


def _no_superuser() -> bool:
    query = text("select not rolsuper from pg_roles where rolname = current_user")
    return bool(op.get_bind().scalar(query))


def _prepare() -> None:
    """Whichever service migrates first makes what all share."""
    _run("select pg_advisory_xact_lock(hashtext('sql views'))")
    for name in (OWNER, READER):
        # Roles are the cluster's, so another database's migration may be making the same one.
        _run(
            f"do $$ begin create role {name} nologin; "
            "exception when duplicate_object or unique_violation then null; end $$"
        )
    _run(
        f"create schema if not exists {SCHEMA}",
        "create schema if not exists export_access",
        "create table if not exists export_access.reader (role_name name primary key, "
        "operator_id uuid not null unique, made_at timestamptz not null default now())",
        f"grant usage on schema {SCHEMA} to {READER}",
        f"grant usage, create on schema {SCHEMA} to {OWNER}",
        f"grant usage on schema export_access to {OWNER}",
        f"grant select on export_access.reader to {OWNER}",
    )


def readable(service_schema: str, tables: Mapping[str, Collection[str]]) -> None:
    """Let views read these columns of these tables, and of their rows the reader's operator's.

    Restrictive: the operators' wall looks at a setting, which a reader may set to any operator.
    """
    _prepare()
    _run(f"grant usage on schema {service_schema} to {OWNER}")
    for table, columns in tables.items():
        _run(
            f"grant select ({', '.join(columns)}) on {table} to {OWNER}",
            f"create policy export_wall on {table} as restrictive for select to {OWNER} "
            f"using (operator_id = {MINE})",
            f"create policy export_rows on {table} for select to {OWNER} using (true)",
        )


def show(view: str, about: str, source: str, columns: Collection[Shown]) -> None:
    """Make a view of a source whose main table is called t; columns it has stay as they are.

    show_more adds some later; a change of a column's type fails while a view shows it.
    """
    chosen = ", ".join(f"{one.expression or f't.{one.name}'} as {one.name}" for one in columns)
    name = f"{SCHEMA}.{view}"
    # Security barrier: no function of a query sees a row before the view has chosen it.
    _run(f"create view {name} with (security_barrier) as select {chosen} from {source}")  # noqa: S608
    _run(f"comment on view {name} is {_quoted(about)}")
    _explain(name, columns)
    _run(f"grant select on {name} to {READER}")
    _as_owner(f"alter view {name} owner to {OWNER}")


def readable_more(table: str, columns: Collection[str]) -> None:
    """Let views read further columns of a table that they may read already."""
    _run(f"grant select ({', '.join(columns)}) on {table} to {OWNER}")


def show_more(view: str, table: str, columns: Collection[Shown]) -> None:
    """Add columns of its main table, which it calls t, at the end of a view that there is."""
    name = f"{SCHEMA}.{view}"
    find = text("select pg_get_viewdef(cast(:name as regclass))")
    definition = str(op.get_bind().scalar(find, {"name": name}))
    chosen, _, source = definition.partition("\n   FROM ")
    added = ", ".join(f"t.{one.name}" for one in columns)
    readable_more(table, [one.name for one in columns])
    more = f"{chosen}, {added} from {source}"
    _as_owner(f"create or replace view {name} with (security_barrier) as {more}")
    _explain(name, columns)


def show_anew(
    view: str, source: str, expressions: Mapping[str, str], told: Mapping[str, str]
) -> None:
    """Let a view that there is read from another source, some of its columns by new expressions.

    The others are columns of the main table, t, as they were; none changes its type or its place.
    told: what is to be said of columns from now on.
    """
    name = f"{SCHEMA}.{view}"
    find = text(
        "select attname from pg_attribute where attrelid = cast(:name as regclass) "
        "and attnum > 0 and not attisdropped order by attnum"
    )
    columns = op.get_bind().scalars(find, {"name": name}).all()
    chosen = ", ".join(f"{expressions.get(one, f't.{one}')} as {one}" for one in columns)
    as_before = f"create or replace view {name} with (security_barrier) as"
    _as_owner(f"{as_before} select {chosen} from {source}")  # noqa: S608 - a migration's own words
    _explain(name, [Shown(column, about) for column, about in told.items()])


def _explain(view: str, columns: Collection[Shown]) -> None:
    for one in columns:
        _as_owner(f"comment on column {view}.{one.name} is {_quoted(one.about)}")


def _as_owner(statement: str) -> None:
    # Who is no superuser must be a member to act for a role, and only until then: what binds the
    # role binds its members.
    member = _no_superuser()
    if member:
        _run(f"grant {OWNER} to current_user")
    _run(statement)
    if member:
        _run(f"revoke {OWNER} from current_user")


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
