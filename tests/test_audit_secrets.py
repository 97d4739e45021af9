"""No secret is in an audit log in clear: of every kind one is made, and then looked for."""

import asyncio
import re
from typing import Any, Final

import asyncpg
import httpx
import pyotp
from stack import eventually
from suite import Suite

from common.run import SERVICES

SCHEMAS: Final = [name.replace("-", "_") for name in SERVICES]
SECRET: Final = re.compile(
    r"password|secret|hash|sealed|token|jwk|private|credential|code|public_key|image|key$"
)
# Columns of audited tables that are called like a secret and are none.
HARMLESS: Final = {
    "alert_rule.error_codes": "of chargers",
    "card.group_id": "an OCPP group",
    "company.postal_code": "of an address",
    "cost_centre.code": "of an accountant",
    "bank_entry.key": "a digest of a transfer",
    "bonus.idempotency_key": "the sender's word for a bonus",
    "refund.idempotency_key": "the sender's word for a refund",
    "topup.idempotency_key": "the sender's word for a top-up",
    "evse.bare_code": "the public EVSE id, as it is compared",
    "evse.code": "the public EVSE id",
    "location.postal_code": "of an address",
    "qr_revision.code": "the public EVSE id",
    "operator.postal_code": "of an address",
    "station_template.code_pattern": "of public EVSE ids",
    "partner_list.idempotency_key": "the sender's word for a list",
    "command.idempotency_key": "the sender's word for a command",
    "decision.idempotency_key": "the sender's word for a decision",
    "dispute.idempotency_key": "the sender's word for a dispute",
    "command.start_id_token": "a card's uid, as in sessions",
    "reservation.id_token": "a card's uid, as in sessions",
    "reservation.id_token_key": "the same in upper case",
    "reservation.id_token_type": "of a card",
    "reservation.group_id_token": "a card's group",
    "station.credential_version": "a number",
    "installed_certificate.hash_algorithm": "of a certificate, which is public",
    "installed_certificate.issuer_name_hash": "of a certificate, which is public",
    "installed_certificate.issuer_key_hash": "of a certificate, which is public",
}


async def audited_columns(db: asyncpg.Connection) -> list[asyncpg.Record]:
    """Of each table that is audited, each column and whether its values are masked."""
    # Arguments of a trigger are texts that end with a zero byte; the second lists the columns.
    query = r"""
        select n.nspname as schema, c.relname as name, a.attname as column, a.attname = any(
            (string_to_array(encode(t.tgargs, 'escape'), '\000'))[2]::text[]) as masked
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where t.tgname = 'note_insert' and n.nspname = any($1)
    """
    return list(await db.fetch(query, SCHEMAS))


async def test_every_column_that_is_called_like_a_secret_is_masked(suite: Suite) -> None:
    db = await asyncpg.connect(suite.postgres.url())
    rows = await audited_columns(db)
    await db.close()
    masked = {f"{row['name']}.{row['column']}" for row in rows if row["masked"]}
    assert {"login.password_hash", "command.secrets", "command.parameters"} <= masked
    clear = {f"{row['name']}.{row['column']}" for row in rows if not row["masked"]}
    assert {one for one in clear if SECRET.search(one.partition(".")[2])} <= HARMLESS.keys()
    assert HARMLESS.keys() <= clear, HARMLESS.keys() - clear


class Maker:
    """Makes things with secrets by REST, and remembers the secrets."""

    def __init__(self, suite: Suite, api: httpx.AsyncClient) -> None:
        self.suite = suite
        self.api = api
        self.secrets: dict[str, str] = {}

    async def send(self, service: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = await self.api.request(method, f"{self.suite.urls[service]}/v1/{path}", **more)
        assert answer.is_success, (path, answer.text)
        return dict(answer.json()) if answer.content else {}

    async def login_and_account(self) -> None:
        first, second = "the first long password", "the second long password"
        third = "the third long password"
        email = "secretive@demo.localhost"
        body = {"email": email, "password": first, "role": "operator-staff"}
        login = await self.send("identity", "POST", "logins", json=body)
        await self.send(
            "identity", "PATCH", f"logins/{login['id']}", json={"password": second},
            headers={"If-Match": '"1"'},
        )  # fmt: skip
        proof = {"email": email, "password": second}
        tokens = await self.send("identity", "POST", "token", json=proof)
        mine = {"headers": {"Authorization": f"Bearer {tokens['access_token']}"}}
        app = await self.send("identity", "POST", "account/totp", **mine)
        code = pyotp.TOTP(app["secret"]).now()
        codes = await self.send(
            "identity", "POST", "account/totp/confirm", json={"code": code}, **mine
        )
        new = {"password": second, "new_password": third}
        await self.send("identity", "POST", "account/password", json=new, **mine)
        self.secrets |= {f"code {n}": one for n, one in enumerate(codes["recovery_codes"])}
        self.secrets |= {
            "first": first, "second": second, "third": third, "totp": app["secret"],
            "access": tokens["access_token"], "refresh": tokens["refresh_token"],
        }  # fmt: skip

    async def keys_and_partners(self) -> None:
        key = await self.send(
            "identity", "POST", "api-keys", json={"name": "Secretive", "scopes": ["users:read"]}
        )
        partner = await self.send("identity", "POST", "partners", json={"name": "Secretive"})
        secret = await self.send("identity", "POST", f"partners/{partner['id']}/secret")
        hook = {"url": "https://walls.invalid/", "kinds": ["record.closed"], "active": False}
        rule = {
            "name": "Secretive", "kind": "unused", "days": 366, "place": {"kind": "everywhere"},
            "webhook_url": "https://walls.invalid/",
        }  # fmt: skip
        told = await self.send("billing", "POST", "webhooks", json=hook)
        watched = await self.send("registry", "POST", "alert-rules", json=rule)
        live = "live_secret_of_it"
        paid = {"kind": "mollie", "secret": live, "active": False}
        await self.send("billing", "PUT", "payment-provider", json=paid)
        self.secrets |= {
            "api key": key["key"], "partner": secret["secret"], "webhook": told["secret"],
            "alert rule": watched["webhook_secret"], "payment provider": live,
        }  # fmt: skip

    async def station(self) -> None:
        made = await self.send(
            "registry", "POST", "stations", json={"id": "SECRETIVE", "name": "Secretive"}
        )
        renewed = await self.send("registry", "POST", "stations/SECRETIVE/password")

        async def known() -> bool:
            url = f"{self.suite.urls['csms-gateway']}/v1/stations/SECRETIVE/security"
            return (await self.api.get(url)).status_code == 200

        await eventually(known)
        await self.send("csms-gateway", "POST", "certificate-authority")
        asked: list[dict[str, Any]] = [
            {"type": "set_variables", "variables": [
                {"component": "SecurityCtrlr", "variable": "BasicAuthPassword",
                 "value": "basic-auth-secret-of-it"},
                {"component": "Vendor", "variable": "AdminPassword",
                 "value": "vendors-own-secret"}]},
            {"type": "get_log", "location": "ftp://user:ftp-secret-of-it@files.example/"},
            {"type": "update_firmware", "location": "ftp://user:firmware-secret@files.example/f"},
        ]  # fmt: skip
        for number, command in enumerate(asked):
            headers = {"Idempotency-Key": f"secretive-{number}"}
            path = "stations/SECRETIVE/commands"
            await self.send("csms-gateway", "POST", path, json=command, headers=headers)
        self.secrets |= {
            "station": made["password"], "renewed": renewed["password"],
            "basic auth": "basic-auth-secret-of-it", "vendor": "vendors-own-secret",
            "ftp": "ftp-secret-of-it", "firmware": "firmware-secret",
        }  # fmt: skip


async def stored_secrets(db: asyncpg.Connection) -> dict[str, str]:
    """What is in the masked columns, hashes and sealed ones, as the audit would have written it."""
    found = {}
    for row in await audited_columns(db):
        if not row["masked"]:
            continue
        table, column = f"{row['schema']}.{row['name']}", row["column"]
        query = f"select to_jsonb(t) ->> '{column}' as value from {table} t"
        for number, one in enumerate(await db.fetch(query)):
            if one["value"] and len(one["value"]) >= 8:
                found[f"{table}.{column} {number}"] = one["value"]
    return found


async def logged(db: asyncpg.Connection) -> tuple[str, int]:
    """Every word of every audit table of every service, and how many rows there were."""
    names = await db.fetch(
        "select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n "
        "on n.oid = c.relnamespace where n.nspname = any($1) and c.relname = any($2)",
        SCHEMAS,
        ["change_note", "audit_entry", "audit_personal"],
    )
    assert len(names) == len(SCHEMAS) + 2
    rows: list[str] = []
    for name in names:
        rows += [
            row["line"] for row in await db.fetch(f"select t::text as line from {name['name']} t")
        ]
    # Quotes and backslashes of JSON within a row's text are doubled.
    return "\n".join(rows).replace("\\", "").replace('""', '"'), len(rows)


async def test_no_secret_is_in_an_audit_log_in_clear(suite: Suite) -> None:
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:
        maker = Maker(suite, api)
        await maker.login_and_account()
        await maker.keys_and_partners()
        await maker.station()

    db = await asyncpg.connect(suite.postgres.url())
    for table in ("command", "certificate_authority", "login", "totp", "api_key", "partner"):

        async def kept(table: str = table) -> bool:
            of = "select count(*) from identity.audit_entry where table_name = $1"
            return bool(await db.fetchval(of, table))

        await eventually(kept)
    await asyncio.sleep(1)  # what is still on its way is in one of the tables; let it move on
    text, count = await logged(db)
    secrets = maker.secrets | await stored_secrets(db)
    await db.close()
    assert count > 30 and len(secrets) > 30
    # The search would find one: names are noted in clear.
    assert "Secretive" in text and "secretive@demo.localhost" in text
    assert not {name for name, secret in secrets.items() if secret.replace("\\", "") in text}
