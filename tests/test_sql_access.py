"""Readers of the database see their own operator's rows of the views, and do nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from pydantic import BaseModel
from stack import Servers

from billing.records.listing import RecordOut
from billing.sessions import SessionOut
from billing.tariffs import TariffOut
from common import migrate, sql_access
from common.ids import uuid7
from identity.partners.issuers import PartnerOut
from identity.people.cards import CardOut
from identity.people.companies import CompanyOut
from identity.people.cost_centres import CostCentreOut
from identity.people.user_groups import UserGroupOut
from identity.people.users import UserOut
from local_stack.servers import Postgres
from registry.alerts.alerts import AlertOut
from registry.hardware.stations import StationOut
from registry.places.locations import LocationOut
from registry.places.models import Address

DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "sql-views.md"
SERVICES: Final = ("identity", "registry", "billing")
# What asyncpg makes of a session that the server ended: the last if its word comes in between.
CUT_OFF: Final = (
    asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncpg.InternalClientError,
)  # fmt: skip
HIDDEN: Final = "not-to-be-seen"  # in every column that is a secret

# What REST tells and a view does not, and why.
LEFT_OUT: Final[dict[str, dict[str, str]]] = {
    "locations": {"address": "its columns are the view's"},
    "stations": {"evses": "the views evses and connectors"},
    "users": {"cards": "count them in cards"},
    "records": {"signature": "made anew when a key is registered; signed-readings says why"},
    "sessions": {
        "meter_start_assumed_wh": "while it runs", "metered_at": "while it runs",
        "cost": "while it runs; then the record's total_gross", "incidents": "review tells of them",
    },
}  # fmt: skip
MODELS: Final[dict[str, type[BaseModel]]] = {
    "alerts": AlertOut, "cards": CardOut, "companies": CompanyOut, "cost_centres": CostCentreOut,
    "locations": LocationOut, "partners": PartnerOut, "records": RecordOut,
    "sessions": SessionOut, "stations": StationOut, "tariffs": TariffOut,
    "user_groups": UserGroupOut, "users": UserOut,
}  # fmt: skip
# Parts of REST's stations.
PARTS: Final = {"evses", "connectors"}

SEED: Final = """
insert into identity.operator (id, version, name, time_zone, currency)
    values ('{op}', 1, 'Op', 'Europe/Berlin', 'EUR');
insert into identity.users (id, version, operator_id, name, active)
    values ('{row}', 1, '{op}', 'Ada {op}', true);
insert into identity.user_group (id, version, operator_id, name) values ('{row}', 1, '{op}', 'all');
insert into identity.user_group_member values ('{op}', '{row}', '{row}');
insert into identity.company (id, version, operator_id, name, active)
    values ('{row}', 1, '{op}', 'Works', true);
insert into identity.cost_centre (id, version, operator_id, company_id, code, name)
    values ('{row}', 1, '{op}', '{row}', '1', 'one');
insert into identity.partner (id, version, operator_id, name, active, endpoint, secret)
    values ('{row}', 1, '{op}', 'Roam', true, 'https://roam.example', '{hidden}');
insert into identity.card (id, version, operator_id, uid, kind, user_id, label, active)
    values ('{row}', 1, '{op}', 'UID', 'rfid', '{row}', '', true);
insert into identity.login (id, version, operator_id, email, password_hash, role, active)
    values ('{row}', 1, '{op}', '{op}', '{hidden}', 'operator-admin', true);
insert into registry.location (id, operator_id, version, name, street, postal_code, city, country,
    time_zone) values ('{row}', '{op}', 1, 'Yard', 'A', '1', 'B', 'DE', 'UTC');
insert into registry.station (id, operator_id, version, name, location_id, active,
    credential_version, password_hash)
    values ('S-{op}', '{op}', 1, 'S', '{row}', true, 1, '{hidden}');
insert into registry.evse (operator_id, station_id, evse_id) values ('{op}', 'S-{op}', 1);
insert into registry.connector
    values ('{op}', 'S-{op}', 1, 1, 'IEC_62196_T2', 'SOCKET', 'AC_3_PHASE');
insert into registry.alert (id, operator_id, version, rule_id, rule_name, kind, severity,
    station_id, evse_id, since_at, raised_at) values ('{row}', '{op}', 1, '{row}', 'R', 'offline',
    'info', 'S-{op}', 0, '2026-01-01', '2026-01-01');
insert into billing.tariff (id, operator_id, series_id, name, currency, tax_included, vat_percent,
    energy_price, time_price, start_fee, valid_from)
    values ('{row}', '{op}', '{row}', 'T', 'EUR', true, 19, 0.49, 0, 0, '2020-01-01');
insert into billing.session (id, operator_id, state, transaction_id, station_id, evse_id,
    connector_id, id_token, token_status, started_at, ended_at, energy_wh)
    values ('{row}', '{op}', 'ended', '1', 'S-{op}', 1, 1, 'UID', 'Accepted', '2026-01-01',
    '2026-01-02', 5);
insert into billing.incident (session_id, kind, operator_id, detail, opened_at)
    values ('{row}', 'clock', '{op}', '', now());
insert into billing.record (id, operator_id, session_id, transaction_id, station_id, evse_id,
    connector_id, id_token, token_status, started_at, ended_at, time_zone, energy_wh, tariff_id,
    currency, tax_included, vat_percent, lines, total_net, vat, total_gross)
    values ('{record}', '{op}', '{row}', '1', 'S-{op}', 1, 1, 'UID', 'Accepted',
    '2026-01-01', '2026-01-02', 'UTC', 5, '{row}', 'EUR', true, 19, '[]', 1, 0.19, 1.19);
"""


class Place:
    """A database with two operators that have a row of everything, and a reader of the first."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.mine, self.theirs = uuid7(), uuid7()
        self.row_id = {self.mine: uuid7(), self.theirs: uuid7()}
        self.record_id = {self.mine: uuid7(), self.theirs: uuid7()}
        self.made: dict[str, Any] = {}

    def reader_url(self, **made: Any) -> str:
        login = self.made | made
        _, _, address = self.url.partition("@")
        return f"postgresql://{login['role']}:{login['password']}@{address}"

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[asyncpg.Connection]:
        db = await asyncpg.connect(self.url)
        await db.execute("set csms.operator = '*'")
        yield db
        await db.close()

    @asynccontextmanager
    async def reader(self, **made: Any) -> AsyncIterator[asyncpg.Connection]:
        db = await asyncpg.connect(self.reader_url(**made))
        yield db
        await db.close()

    async def fill(self) -> None:
        for service in SERVICES:
            await asyncio.to_thread(migrate.upgrade, service, self.url)
        async with self.owner() as db:
            for operator in (self.mine, self.theirs):
                own = {"row": self.row_id[operator], "record": self.record_id[operator]}
                await db.execute(SEED.format(op=operator, hidden=HIDDEN, **own))
            self.made = await sql_access.make(db, self.mine)


@pytest.fixture(scope="module")
async def place(servers: Servers) -> AsyncIterator[Place]:
    place = Place(await servers.database(f"views-{uuid7().hex[-12:]}"))
    await place.fill()
    yield place
    async with place.owner() as db:
        for row in await sql_access.listed(db):
            await sql_access.drop(db, row["operator_id"])


async def views(db: asyncpg.Connection) -> list[str]:
    query = "select relname from pg_class where relnamespace = 'export'::regnamespace"
    return [row["relname"] for row in await db.fetch(query)]


@contextmanager
def forbidden(*kinds: type[asyncpg.PostgresError]) -> Iterator[None]:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, *kinds)):
        yield


async def test_a_reader_sees_its_operators_rows_of_every_view(place: Place) -> None:
    async with place.reader() as db:
        names = await views(db)
        assert set(names) == MODELS.keys() | PARTS
        for name in names:
            rows = await db.fetch(f"select * from export.{name}")
            assert [row["operator_id"] for row in rows] == [place.mine], name
            assert HIDDEN not in str(rows) and HIDDEN.encode().hex() not in str(rows), name
        (session,) = await db.fetch("select * from sessions")
        assert session["record_id"] == place.record_id[place.mine]
        assert session["review"] == "pending"
        (user,) = await db.fetch("select * from users")
        assert user["group_ids"] == [place.row_id[place.mine]]


CORRECT: Final = """
insert into billing.record (id, kind, refers_to, operator_id, session_id, transaction_id,
    station_id, evse_id, connector_id, id_token, token_status, started_at, ended_at, time_zone,
    energy_wh, tariff_id, currency, tax_included, vat_percent, lines, total_net, vat, total_gross)
select '{id}', '{kind}', id, operator_id, session_id, transaction_id, station_id, evse_id,
    connector_id, id_token, token_status, started_at, ended_at, time_zone, energy_wh, tariff_id,
    currency, tax_included, vat_percent, lines, total_net, vat, total_gross
    from billing.record where id = '{record}';
"""
DECIDE: Final = """
insert into billing.decision (id, operator_id, station_id, session_id, about, verdict, reason,
    incidents, decided_by, decided_as, decided_at, idempotency_key, asked)
    values ('{id}', '{op}', '', '{row}', 'review', 'corrected', '', '[]', '', '', now(), '', '');
update billing.incident set decided_at = now() where session_id = '{row}';
"""
UNDO: Final = """
delete from billing.decision where operator_id = '{op}';
delete from billing.record where operator_id = '{op}' and refers_to is not null;
update billing.incident set decided_at = null where session_id = '{row}';
"""


async def test_a_corrected_session_is_shown_once_with_the_record_that_counts(
    place: Place,
) -> None:
    of = {"op": place.mine, "row": place.row_id[place.mine], "record": place.record_id[place.mine]}
    correction = uuid7()
    async with place.owner() as owner, place.reader() as reader:
        await owner.execute(CORRECT.format(id=uuid7(), kind="cancellation", **of))
        await owner.execute(CORRECT.format(id=correction, kind="correction", **of))
        await owner.execute(DECIDE.format(id=uuid7(), **of))
        (session,) = await reader.fetch("select record_id, review from sessions")
        assert dict(session) == {"record_id": correction, "review": "corrected"}
        rows = await reader.fetch("select review from records")
        assert [row["review"] for row in rows] == ["corrected"] * 3
        await owner.execute(UNDO.format(**of))


@pytest.mark.parametrize(
    "before",
    [
        "select set_config('csms.operator', '*', false)",
        "select set_config('csms.operator', '{theirs}', false)",
        "set csms.operator = '{theirs}'",
        "set row_security = off",
        "set search_path = identity, registry, billing, export_access, export",
        "set role csms_export_reader",
        "set session characteristics as transaction read write",
    ],
)
async def test_no_setting_shows_another_operators_rows(place: Place, before: str) -> None:
    async with place.reader() as db:
        await db.execute(before.format(theirs=place.theirs))
        for name in await views(db):
            try:
                rows = await db.fetch(f"select operator_id from export.{name}")
            except asyncpg.InsufficientPrivilegeError:
                assert before == "set row_security = off"  # then nothing at all is shown
                continue
            assert [row["operator_id"] for row in rows] == [place.mine], name


@pytest.mark.parametrize(
    "role",
    [
        "csms_export", "csms_identity", "csms_registry", "csms_billing", "csms", "postgres",
        "pg_read_all_data", "{theirs}",
    ],
)  # fmt: skip
async def test_a_reader_becomes_nobody_else(place: Place, role: str) -> None:
    async with place.owner() as owner:
        try:
            other = (await sql_access.make(owner, place.theirs))["role"]
        except sql_access.Refused:
            other = sql_access.role_name(place.theirs)
    async with place.reader() as db:
        for statement in ("set role {role}", "set session authorization {role}"):
            with forbidden(asyncpg.UndefinedObjectError, asyncpg.InvalidParameterValueError):
                await db.execute(statement.format(role=role.format(theirs=other)))
        assert await db.fetchval("select session_user") == place.made["role"]
        assert await db.fetchval("select count(*) from cards") == 1


# Conditions that fail on a row, and tell what is in it, if they come to see it.
LEAKY: Final = (
    "select * from users where 1 / (case when name like '%{theirs}%' then 0 else 1 end) = 1",
    "select * from users where (case when name like '%{theirs}%' then name else '1' end)::int = 1",
    "select * from users where name::uuid is not null and name like '%{theirs}%'",
    "select * from stations where xmlparse(content '<' || id) is null and id like '%{theirs}%'",
)


@pytest.mark.parametrize("query", LEAKY)
async def test_no_function_of_a_query_sees_another_operators_row(place: Place, query: str) -> None:
    async with place.reader() as db:
        # Where the planner would rather run the condition first.
        await db.execute("set enable_indexscan = off; set enable_bitmapscan = off")
        try:
            rows = await db.fetch(query.format(theirs=place.theirs))
        except asyncpg.PostgresError as error:  # of one's own row
            rows, told = [], str(error)
        else:
            told = ""
        assert {row["operator_id"] for row in rows} <= {place.mine}
        assert str(place.theirs) not in told
        assert "division" not in told


WRITES: Final = (
    "insert into export.locations (name) values ('x')",
    "update export.cards set active = false",
    "delete from export.records",
    "update export.users set name = 'x' where operator_id = '{theirs}'",
    "select * from export.cards for update",
    "truncate billing.record",
    "update export_access.reader set operator_id = '{theirs}'",
    "insert into export_access.reader values (session_user, '{theirs}')",
    "create table mine (id int)",
    "create table public.mine (id int)",
    "create temporary table mine (id int)",
    "create schema mine",
    "create function export.leak(text) returns boolean language sql as 'select true'",
    "create view export.mine as select 1",
    "select lo_create(0)",
    "select lo_from_bytea(0, 'x')",
    "select pg_logical_emit_message(false, 'x', 'y')",
    "select pg_advisory_lock(1)",
    "select pg_advisory_xact_lock(hashtext('audit chain'))",
    "select pg_try_advisory_lock_shared(1, 1)",
    "begin; lock table export.cards in access exclusive mode",
    "create role mine",
    "grant csms_export to {role}",
    "alter role {role} superuser",
    "alter role {role} connection limit -1",
    "alter role {role} bypassrls",
    "alter role {role} set temp_file_limit = -1",
    "alter role {role} reset temp_file_limit",
    "set temp_file_limit = -1",
    "alter view export.cards owner to {role}",
    "copy export.cards to program 'cat'",
    "copy export.cards to '/tmp/cards'",
    "comment on view export.cards is 'mine'",
    "set session_replication_role = replica",
    "refresh materialized view export.cards",
)


@pytest.mark.parametrize("statement", WRITES)
async def test_a_reader_writes_locks_and_makes_nothing(place: Place, statement: str) -> None:
    async with place.reader() as db:
        await db.execute("set session characteristics as transaction read write")
        with forbidden(asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.WrongObjectTypeError):
            await db.execute(statement.format(theirs=place.theirs, role=place.made["role"]))


async def test_a_reader_writes_nothing_by_default(place: Place) -> None:
    async with place.reader() as db:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await db.execute("select txid_current(); create temporary table mine (id int)")
        assert await db.fetchval("show statement_timeout") == "1min"
        assert await db.fetchval("show temp_file_limit") == "1GB"


SECRETS: Final = (
    "select * from pg_authid", "select * from pg_shadow", "select * from pg_user_mapping",
    "select * from pg_hba_file_rules", "select * from pg_largeobject",
    "select pg_read_file('/etc/passwd')", "select * from pg_ls_dir('.')",
    "select stanullfrac from pg_statistic", "select * from pg_subscription",
    "select * from export_access.reader",
    "select * from identity.users", "select * from identity.login",
    "select * from identity.signing_key", "select name from identity.partner",
    "select * from registry.station", "select * from billing.record",
    "select * from billing.outbox", "select * from identity.change_note",
    "select identity.masked('{}', '{}')",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'csms'",
)  # fmt: skip


@pytest.mark.parametrize("query", SECRETS)
async def test_a_reader_sees_no_table_and_no_secret_of_the_server(place: Place, query: str) -> None:
    async with place.reader() as db:
        with forbidden():
            await db.fetch(query)


async def test_statistics_and_activity_tell_a_reader_nothing_of_others(place: Place) -> None:
    async with place.owner() as owner:
        await owner.execute("analyze")
        token = "select 'of the owner'"
        await owner.fetch(token)
        async with place.reader() as db:
            seen = await db.fetch(
                "select schemaname, tablename from pg_stats where schemaname <> 'pg_catalog'"
            )
            assert not [row for row in seen if row["schemaname"] != "information_schema"]
            asked = await db.fetch("select query from pg_stat_activity where usename <> user")
            assert token not in {row["query"] for row in asked}
            config = await db.fetch("select rolconfig, rolpassword from pg_roles")
            assert str(place.theirs) not in str(config)
            assert {row["rolpassword"] for row in config} == {"********"}


async def test_readers_have_the_rights_that_were_meant_and_no_others(place: Place) -> None:
    """What the catalogue says: no table, no column but the views', no function of ours."""
    async with place.owner() as db:
        rows = await db.fetch(
            """
            select n.nspname as schema, c.relname as name, c.relkind::text as kind
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
            and c.relkind in ('r', 'p', 'v', 'm', 'f') and (
                has_table_privilege($1::name, c.oid, 'insert,update,delete,truncate,references')
                or has_any_column_privilege($1::name, c.oid, 'select'))
            """,
            place.made["role"],
        )
        assert {(row["schema"], row["kind"]) for row in rows} == {("export", "v")}
        owned = await db.fetch(
            "select c.relname, pg_get_userbyid(c.relowner) as owner, c.reloptions from pg_class c "
            "where c.relnamespace = 'export'::regnamespace"
        )
        for row in owned:
            assert (row["owner"], row["reloptions"]) == ("csms_export", ["security_barrier=true"])
        owner = await db.fetchrow("select * from pg_roles where rolname = 'csms_export'")
        assert owner is not None
        assert not (owner["rolsuper"] or owner["rolbypassrls"] or owner["rolcanlogin"])
        members = await db.fetchval(
            "select count(*) from pg_auth_members where roleid = 'csms_export'::regrole "
            "and inherit_option"
        )
        assert members == 0


SECRET_NAMES: Final = ("password", "secret", "hash", "sealed", "jwk", "private")


async def test_the_owner_of_the_views_may_read_no_column_with_a_secret(place: Place) -> None:
    """Beneath the views: even a view that asked for one could not have it."""
    async with place.owner() as db:
        rows = await db.fetch(
            """
            select c.oid::regclass::text as "table", a.attname as name from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            where c.relnamespace = any($1::regnamespace[]) and c.relkind in ('r', 'p')
            and has_column_privilege('csms_export', c.oid, a.attnum, 'select')
            """,
            list(SERVICES),
        )
        shown = {(row["table"], row["name"]) for row in rows}
        assert len(shown) > 100
        assert not {one for one in shown if any(word in one[1] for word in SECRET_NAMES)}
        assert ("registry.station", "password_hash") not in shown
        assert ("identity.partner", "secret") not in shown
        assert not {table for table, _ in shown} & {
            "identity.login", "identity.api_key", "identity.totp", "identity.passkey",
            "identity.signing_key", "identity.sign_in", "identity.refresh_token",
        }  # fmt: skip


async def test_columns_are_named_as_in_the_rest_api(place: Place) -> None:
    async with place.reader() as db:
        for view, model in MODELS.items():
            columns = {a.name for a in (await db.prepare(f"select * from {view}")).get_attributes()}
            told = set(model.model_fields)
            if view == "locations":
                told |= set(Address.model_fields)
            if "holder" in told:  # of which the views have what rows are looked for by
                told = told - {"holder"} | {"partner_id", "company_id", "cost_centre_id"}
            left_out = LEFT_OUT.get(view, {}).keys()
            assert columns == told - left_out, view
            assert left_out <= told, view


async def test_the_document_lists_every_view_and_column(place: Place) -> None:
    async with place.owner() as db:
        told = (await sql_access.columns(db)).strip()
    assert "None" not in told  # a column without a meaning
    _, _, found = DOCUMENT.read_text().partition("## The views\n")
    _, _, found = found.partition("-->\n")
    assert found.strip() == told, "python -m common.run sql-access columns"


async def test_renewed_the_old_password_is_out_and_dropped_the_role_is_gone(place: Place) -> None:
    operator = uuid7()
    async with place.owner() as owner:
        with pytest.raises(sql_access.Refused, match="no operator"):
            await sql_access.make(owner, operator)
        new = "insert into identity.operator (id, version, name, time_zone, currency) "
        await owner.execute(new + "values ($1, 1, 'Third', 'UTC', 'EUR')", operator)
        made = await sql_access.make(owner, operator, connections=1, timeout_s=5, days=1)
        with pytest.raises(sql_access.Refused, match="there already"):
            await sql_access.make(owner, operator)
        async with place.reader(**made) as db:
            assert await db.fetch("select * from users") == []
            with pytest.raises(asyncpg.TooManyConnectionsError):
                await asyncpg.connect(place.reader_url(**made))
            assert await db.fetchval("show statement_timeout") == "5s"
            renewed = await sql_access.renew(owner, operator)
            with pytest.raises(CUT_OFF):
                await db.fetch("select 1")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(place.reader_url(**made))
        async with place.reader(**renewed) as db:
            assert await db.fetchval("select count(*) from users") == 0
            await sql_access.drop(owner, operator)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(place.reader_url(**renewed))
        with pytest.raises(sql_access.Refused, match="has no role"):
            await sql_access.renew(owner, operator)
        noted = await owner.fetch(
            "select action, row_key from identity.change_note where operator_id = $1 order by seq",
            operator,
        )
        assert [row["action"] for row in noted] == ["insert", "update", "delete"]
        assert made["password"] not in str(noted)


async def test_of_a_restored_database_the_reader_is_dropped_and_made_anew(place: Place) -> None:
    operator = uuid7()
    async with place.owner() as owner:
        new = "insert into identity.operator (id, version, name, time_zone, currency) "
        await owner.execute(new + "values ($1, 1, 'Fourth', 'UTC', 'EUR')", operator)
        made = await sql_access.make(owner, operator)
        await owner.execute(f"drop role {made['role']}")  # another cluster never had it
        await sql_access.drop(owner, operator)
        again = await sql_access.make(owner, operator)
        async with place.reader(**again) as db:
            assert await db.fetchval("select count(*) from users") == 0


async def test_services_still_take_their_locks_after_readers_may_not(place: Place) -> None:
    async with place.owner() as db:
        for service in (*SERVICES, "csms_gateway"):
            async with db.transaction():
                if service != "csms_gateway":
                    await db.execute(f"set local role csms_{service}")
                await db.execute("select pg_advisory_xact_lock(hashtext('audit chain'))")
    # One that is migrated only now may as well.
    await asyncio.to_thread(migrate.upgrade, "reporting", place.url)
    async with place.owner() as db, db.transaction():
        await db.execute("set local role csms_reporting")
        await db.execute("select pg_advisory_xact_lock(1)")


async def test_an_owner_who_is_no_superuser_migrates_and_gives_access(servers: Servers) -> None:
    postgres = Postgres(servers.home / "postgres-of-an-owner", durable=False)
    await asyncio.to_thread(postgres.start)
    try:
        admin = await asyncpg.connect(postgres.url())
        await admin.execute("create role owning login createrole password 'owning'")
        await admin.execute("create database owned owner owning")
        await admin.close()
        place = Place(f"postgresql://owning:owning@127.0.0.1:{postgres.port}/owned")
        await place.fill()
        assert place.made["closed"] is False
        async with place.reader() as db:
            for name in await views(db):
                await db.execute(f"set csms.operator = '{place.theirs}'")
                rows = await db.fetch(f"select operator_id from export.{name}")
                assert [row["operator_id"] for row in rows] == [place.mine], name
        async with place.owner() as db:
            # What binds the owner of the views does not bind the owner of the tables.
            assert await db.fetchval("select count(*) from identity.users") == 2
            async with place.reader() as still_there:
                place.made |= await sql_access.renew(db, place.mine)
                with pytest.raises(CUT_OFF):
                    await still_there.fetch("select 1")
            async with place.reader() as still_there:
                await sql_access.drop(db, place.mine)
                with pytest.raises(CUT_OFF):
                    await still_there.fetch("select 1")
            assert await db.fetchval("select count(*) from identity.users") == 2
    finally:
        await asyncio.to_thread(postgres.stop)


async def test_the_command_prints_the_login_once(place: Place) -> None:
    operator = str(place.row_id[place.theirs])
    with pytest.raises(sql_access.Refused):
        await sql_access.command(place.url, ["make", operator])
    with pytest.raises(SystemExit):
        await sql_access.command(place.url, ["make", "nobody"])
    with pytest.raises(SystemExit):
        await sql_access.command(place.url, ["make", operator, "--connections", "0"])
    renewed = json.loads(await sql_access.command(place.url, ["renew", str(place.mine)]))
    place.made |= renewed
    async with place.reader() as db:
        assert await db.fetchval("select count(*) from cards") == 1
    told = await sql_access.command(place.url, ["list"])
    assert renewed["role"] in told
    assert renewed["password"] not in told


def test_a_verifier_is_what_postgresql_computes() -> None:
    """RFC 7677's example has its salt and rounds; the parts are checked by signing in above."""
    salt = bytes(16)
    assert sql_access.verifier("pencil", salt) == sql_access.verifier("pencil", salt)
    assert sql_access.verifier("pencil", salt) != sql_access.verifier("pen", salt)
    assert sql_access.role_name(UUID(int=0xABC)) == "export_000000000abc"
