"""An operator that has one of everything at each of two locations, and tokens of any role."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import asyncpg
import bank_files
import every_route
import httpx
from every_route import Route
from joserfc import jwt
from joserfc.jwk import OKPKey
from pictures import png
from stack import eventually
from suite import ADMIN, PASSWORD, Suite

from common import auth
from common.ids import uuid7
from common.run import SERVICES
from common.sealing import Sealer
from fleet import Charger
from identity.staff import roles
from local_stack import demo_data

HERE, THERE = "WALLED-HERE", "WALLED-THERE"
UID: Final = "04A1A1A1A1"
ADDRESS: Final = {"street": "A 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
FILE: Final = b"external_id;name\nW-1;Walled Person\n"
# Tables that grow or move by themselves.
UNSTEADY: Final = {
    "change_note": "on its way to the audit log",
    "audit_entry": "the audit log, which tells of what was made before",
    "audit_personal": "the audit log, which tells of what was made before",
    "outbox": "on its way", "inbox": "what came in", "failed_event": "what came in",
}  # fmt: skip

# By SQL: what only a charger or a browser makes.
SEED: Final = """
insert into identity.passkey (id, version, login_id, operator_id, credential_id, public_key,
    sign_count, name, transports, synced, backed_up, made_at)
    values ('{passkey}', 1, '{login}', '{operator}', '{passkey}', 'x', 0, 'Key', '{{}}', false,
    false, now());
insert into billing.ledger_finding (id, operator_id, kind, subject, account_id, detail)
    values (gen_random_uuid(), '{operator}', 'hold_expired', 'WALLED', '{account}', '');
insert into registry.pending_station (id, operator_id, address, first_seen_at, last_seen_at)
    values ('WALLED-PENDING', '{operator}', '192.0.2.1', now(), now()),
    ('WALLED-REFUSED', '{operator}', '192.0.2.1', now(), now());
insert into identity.login (id, version, operator_id, email, role, active, user_id)
    values ('{driver}', 1, '{operator}', 'driver@walls.localhost', 'driver', true, '{user}');
update billing.session set holder = '{{"partner_id": "{partner}"}}'
    where operator_id = '{operator}';
update billing.record set holder = '{{"partner_id": "{partner}"}}'
    where operator_id = '{operator}';
insert into billing.webhook_delivery (id, webhook_id, operator_id, kind, body, made_at, wanted_at,
    tries, next_try_at, given_up_at) values ('{delivery}', '{webhook}', '{operator}',
    'record.closed', '{{}}', now(), now(), 9, now(), now());
"""
OF_A_STATION: Final = """
insert into csms_gateway.issued_certificate (id, operator_id, station_id, use, certificate,
    fingerprint, request_digest, serial_number, not_before, not_after, issued_at, state,
    command_id) select gen_random_uuid(), '{operator}', '{station}', 'station', certificate,
    '{station}', '{station}', 'AB', now(), now(), now(), 'issued', gen_random_uuid()
    from csms_gateway.certificate_authority where operator_id = '{operator}' limit 1;
insert into csms_gateway.reservation (id, operator_id, station_id, reservation_id, state,
    id_token, id_token_key, expires_at, requested_at)
    values (gen_random_uuid(), '{operator}', '{station}', {number}, 'rejected', 'X', 'X', now(),
    now());
"""

DOUBTS: Final = """
insert into billing.incident (operator_id, session_id, kind, detail, opened_at)
    select operator_id, id, 'clock', 'Walled', now() from billing.session
    where operator_id = '{operator}';
"""


class Whole:
    """Ids by name; headers of whoever is of the operator."""

    def __init__(self, suite: Suite, api: httpx.AsyncClient, key: OKPKey) -> None:
        self.suite = suite
        self.api = api
        self.key = key
        self.ids: dict[str, str] = {}
        self._listed: dict[tuple[str, str, str | None], list[str]] = {}

    @property
    def operator(self) -> str:
        return self.ids["operator"]

    def bearer(self, role: roles.Role, **claims: Any) -> dict[str, str]:
        """Headers of a caller with every scope of the role, of this operator."""
        at = int(time.time())
        platform = role == roles.PLATFORM_ROLE
        body = {
            "iss": auth.ISSUER, "sub": str(uuid7()), "role": role, "iat": at, "exp": at + 600,
            "operator_id": None if platform else self.operator, "scope": roles.scope_claim(role),
        } | claims  # fmt: skip
        header = {"alg": auth.ALGORITHM, "kid": self.key.kid}
        token = jwt.encode(header, body, self.key, algorithms=[auth.ALGORITHM])
        return {"Authorization": f"Bearer {token}"}

    def who(self, route: Route, **claims: Any) -> dict[str, str]:
        """Whom of the operator's a route is for."""
        if route.path.startswith("/v1/partner/"):
            return self.bearer("partner", partner_id=self.ids["partner"], **claims)
        if route.path.startswith("/v1/me/"):
            driver = {"user_id": self.ids["user"], "sub": self.ids["driver"]}
            return self.bearer("driver", **driver, **claims)
        if route.path.startswith("/v1/operators"):
            return self.bearer("platform-admin", **claims)
        return self.bearer("operator-admin", **({"sub": self.ids["login"]} | claims))

    async def send(self, service: str, method: str, path: str, **more: Any) -> Any:
        headers = more.pop("headers", None) or self.bearer("operator-admin")
        extra = more.pop("extra", {})
        url = f"{self.suite.urls[service]}/v1/{path}"
        answer = await self.api.request(method, url, headers=headers | extra, **more)
        assert answer.is_success, (method, path, answer.text)
        return answer.json() if answer.content else None

    async def made(self, called: str, service: str, path: str, /, **body: Any) -> str:
        self.ids[called] = str((await self.send(service, "POST", path, json=body))["id"])
        return self.ids[called]

    async def make(self, name: str) -> None:
        """The operator, a login and what partners and drivers act with."""
        platform = await asyncio.to_thread(
            demo_data.token, self.suite.urls["identity"], ADMIN, PASSWORD
        )
        headers = {"Authorization": f"Bearer {platform}"}
        operator = await self.send(
            "identity", "POST", "operators", json={"name": name}, headers=headers
        )
        self.ids["operator"] = str(operator["id"])
        login = {"email": f"{name.lower()}@walls.localhost", "password": "a password of walls"}
        await self.made("login", "identity", "logins", role="operator-admin", **login)
        await self.send("identity", "POST", "token", json=login)  # a session of the account
        clerk = {"email": f"clerk-{login['email']}", "password": "another password of walls"}
        await self.made("clerk", "identity", "logins", role="billing-clerk", **clerk)
        await self.made("user", "identity", "users", name=f"{name} Person", external_id="W-0")
        await self.made("partner", "identity", "partners", name=f"{name} Partner")
        self.ids["driver"] = str(uuid7())
        self.ids["account"] = str(uuid7())  # until it has one

    async def fill(self) -> None:
        user = self.ids["user"]
        await self.made("company", "identity", "companies", name="Walled Works")
        path = f"companies/{self.ids['company']}/cost-centres"
        await self.made("centre", "identity", path, code="1", name="One")
        await self.made("card", "identity", "cards", uid=UID, user_id=user)
        await self.made("group", "identity", "user-groups", name="Walled")
        await self.send("identity", "PUT", f"user-groups/{self.ids['group']}/members/{user}")
        await self.made("key", "identity", "api-keys", name="Walled", scopes=["users:read"])
        await self.made("privacy", "identity", "privacy-requests", user_id=user, kind="export")
        holders = [{"kind": "user", "id": user}]
        await self.made(
            "rule", "identity", "access-rules", name="Walled", effect="reserve", holders=holders,
            places=[{"kind": "everywhere"}], active=False,
        )  # fmt: skip
        self.ids["import"] = (
            await self.send(
                "identity", "POST", "imports/people", content=FILE,
                extra={"Content-Type": "text/csv"},
            )
        )["id"]  # fmt: skip
        partner = self.bearer("partner", partner_id=self.ids["partner"])
        await self.send("identity", "PUT", "partner/cards/04B2B2B2B2", json={}, headers=partner)
        self.ids["list"] = (
            await self.send(
                "identity", "POST", "partner/lists", json={"mode": "delta"}, headers=partner,
                extra={"Idempotency-Key": "walled"},
            )
        )["id"]  # fmt: skip
        await self.made(
            "tariff", "billing", "tariffs", name="Walled", currency="EUR", vat_percent="19",
            energy_price="0.5", valid_from="2020-01-01T00:00:00Z",
        )  # fmt: skip
        await self._account(user)
        await self.made(
            "profile", "csms-gateway", "charging-profiles", name="Walled",
            schedules=[{"unit": "A", "periods": [{"start_s": 0, "limit": 6.0}]}],
        )  # fmt: skip
        await self.send("csms-gateway", "POST", "certificate-authority")
        pay = {"pay_url": "https://pay.walls.example", "domain": "walls.example", "brand": "W"}
        await self.send("registry", "PUT", "qr-settings", json=pay)
        for number, station in enumerate((HERE, THERE), 1):
            await self.station(number, station)
        await self._alerted()
        await self._agreed()
        await self._paid()

        async def priced() -> bool:
            return len((await self.send("billing", "GET", "records"))["items"]) == 2

        await eventually(priced)
        await self._doubted()
        await self.seed(SEED, passkey=str(uuid7()), delivery=str(uuid7()), **self.ids)

    async def _account(self, user: str) -> None:
        account = {"owner_kind": "user", "owner_id": user, "currency": "EUR"}
        url = f"{self.suite.urls['billing']}/v1/accounts"

        async def opened() -> str | None:
            headers = self.bearer("operator-admin")
            answer = await self.api.post(url, json=account, headers=headers)
            # 422: billing has not heard of the user yet.
            return str(answer.json()["id"]) if answer.is_success else None

        self.ids["account"] = str(await eventually(opened))

    async def _doubted(self) -> None:
        """Each of its sessions waits for a review, and somebody disputes each of its records."""
        await self.seed(DOUBTS, **self.ids)
        for record in (await self.send("billing", "GET", "records"))["items"]:
            self.ids["record"] = record["id"]
            await self.send(
                "billing", "POST", f"records/{record['id']}/disputes",
                json={"raised_by": "customer", "reason": "Walled"},
                extra={"Idempotency-Key": record["id"]},
            )  # fmt: skip

    async def _agreed(self) -> None:
        """What there is between it and its partner, and what names both its stations."""
        model = {"name": "Walled", "vendor": "Walled", "model": "Walled"}
        await self.made("station template", "registry", "station-templates", **model)
        await self.made("station group", "registry", "station-groups", name="Walled")
        path = f"station-groups/{self.ids['station group']}/stations"
        both = {"station_ids": [HERE, THERE]}
        await self.send("registry", "POST", path, json=both)
        await self.made("outer station group", "registry", "station-groups", name="Outer")
        inner = f"{self.ids['outer station group']}/groups/{self.ids['station group']}"
        await self.send("registry", "PUT", f"station-groups/{inner}")
        guest = {"email": "guest@walls.localhost", "role": "read-only"}
        login = self.bearer("operator-admin", sub=self.ids["login"])
        invited = await self.send("identity", "POST", "invitations", json=guest, headers=login)
        self.ids["invitation"] = invited["id"]
        partner = {"partner_id": self.ids["partner"], "name": "Walled"}

        async def agreed() -> bool:
            everywhere = {"places": [{"kind": "everywhere"}]}
            answer = await self.api.post(
                f"{self.suite.urls['billing']}/v1/agreements",
                json=partner | everywhere,
                headers=self.bearer("operator-admin"),
            )
            return answer.status_code == 201  # 422: billing has not heard of the partner yet

        await eventually(agreed)
        strategy = {"name": "Walled", "method": "monthly", "currency": "EUR"}
        given = {
            "strategy_id": await self.made(
                "strategy", "billing", "accounting-strategies", **strategy
            ),
            "holder": {"kind": "everybody"},
        }
        await self.made("assignment", "billing", "strategy-assignments", **given)
        address = {"url": "https://walls.invalid/", "kinds": ["record.closed"], "active": False}
        await self.made("webhook", "billing", "webhooks", **address)
        await self._discounted()

    async def _discounted(self) -> None:
        """Two drafts of each form, for one is activated and one deleted, with previews."""
        for form, more in (("discount", {}), ("price-event", every_route.EVENT_TIMES)):
            for number in (1, 2):
                body = every_route.DISCOUNT | more | {"name": f"Walled {number}"}
                made = await self.made(f"{form} {number}", "billing", f"{form}s", **body)
                path = f"{form}s/{made}/preview?wait_s=20"
                await self.send("billing", "POST", path, json={})

    async def _paid(self) -> None:
        """Money in its person's account, some of it paid back, and a statement of its bank."""
        of_user = {"owner_kind": "user", "owner_id": self.ids["user"], "currency": "EUR"}
        account = await self.made("account", "billing", "accounts", **of_user)
        amount = {"amount": "20.00", "currency": "EUR"}
        cash = {"way": "cash", "amount": amount, "receipt": "W-1"}
        of_account = {"account_id": account, "reason": "Walled"}
        key = {"Idempotency-Key": "walled"}
        topup = await self.send("billing", "POST", "topups", json=cash | of_account, extra=key)
        self.ids["topup"] = topup["id"]
        bonus = of_account | {"amount": amount}
        await self.send("billing", "POST", "bonuses", json=bonus, extra=key)
        back = {"amount": "1.00", "reason": "Walled", "receipt": "W-1"}
        path = f"topups/{topup['id']}/refunds"
        await self.send("billing", "POST", path, json=back, extra=key)
        any_version = {"If-Match": "*"}
        await self.send(
            "identity", "PATCH", "settings", json={"iban": bank_files.IBAN}, extra=any_version
        )
        transfers = [bank_files.entry("5.00", text=[word]) for word in ("Walled", "again")]

        async def imported() -> bool:
            answer = await self.api.post(
                f"{self.suite.urls['billing']}/v1/bank-statements",
                content=bank_files.file(*transfers),
                headers=self.bearer("operator-admin"),
            )
            return answer.status_code == 201  # 422: billing has not heard of the IBAN yet

        await eventually(imported)

    async def _alerted(self) -> None:
        """Its stations are offline by now."""
        for station in (HERE, THERE):
            place = {"kind": "location", "id": self.ids[f"location of {station}"]}
            rule = {"name": f"Walled {station}", "kind": "offline", "after_s": 0, "place": place}
            await self.made(f"alert rule of {station}", "registry", "alert-rules", **rule)

        async def raised() -> bool:
            return len((await self.send("registry", "GET", "alerts"))["items"]) == 2

        await eventually(raised)

    async def station(self, number: int, station: str) -> None:
        """With a location, a session and everything that hangs on a station."""
        place = f"location of {station}"
        await self.made(place, "registry", "locations", name=f"at {station}", address=ADDRESS)
        photos = f"locations/{self.ids[place]}/photos"
        await self.send("registry", "POST", photos, content=png(), params={"caption": station})
        body = {"id": station, "name": station, "location_id": self.ids[place],
                "evses": [{"evse_id": 1, "code": f"DE*WAL*E{number}"}]}  # fmt: skip
        made = await self.send("registry", "POST", "stations", json=body)

        async def known() -> bool:
            url = f"{self.suite.urls['csms-gateway']}/v1/stations/{station}/registration"
            here = self.bearer("operator-admin", locations=[self.ids[place]])
            return (await self.api.get(url, headers=here)).status_code == 200

        await eventually(known)
        async with Charger(self.suite.urls["ocpp"], station, made["password"]) as charger:
            await charger.wait_ready()
            result = await charger.charge(1, UID, energy_wh=5_000, duration_s=600, backdate=True)
            await charger.drain()
            command = {"type": "clear_cache"}
            key = {"Idempotency-Key": f"walled {station}"}
            await self.send(
                "csms-gateway", "POST", f"stations/{station}/commands", json=command, extra=key
            )
        assert result.status == "Accepted"
        path, any_version = f"local-lists/{station}", {"If-Match": "*"}
        await self.send("csms-gateway", "PUT", path, json={"entries": []}, extra=any_version)
        await self.seed(OF_A_STATION, station=station, number=str(number), operator=self.operator)

    async def seed(self, statements: str, **values: str) -> None:
        db = await asyncpg.connect(self.suite.postgres.url())
        await db.execute(statements.format(**values))
        await db.close()

    async def snapshot(self) -> dict[str, str]:
        """Of each table of each service what the operator's rows are, as a digest."""
        db = await asyncpg.connect(self.suite.postgres.url())
        tables = await db.fetch(
            "select n.nspname || '.' || c.relname as name from pg_class c "
            "join pg_namespace n on n.oid = c.relnamespace "
            "join pg_attribute a on a.attrelid = c.oid and a.attname = 'operator_id' "
            "where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any($1) "
            "and c.relname <> all($2)",
            [name.replace("-", "_") for name in SERVICES],
            list(UNSTEADY),
        )
        found = {}
        for row in tables:
            query = (
                "select count(*) || md5(coalesce(string_agg(t::text, '|' order by t::text), '')) "
                f"from {row['name']} t where operator_id = $1"
            )
            found[row["name"]] = await db.fetchval(query, UUID(self.operator))
        await db.close()
        return found

    async def settled(self) -> dict[str, str]:
        """The snapshot once nothing moves any more."""
        last: dict[str, str] = {}

        async def still() -> bool:
            nonlocal last
            before, last = last, await self.snapshot()
            await asyncio.sleep(0.7)
            return before == last

        await eventually(still, 60)
        return last

    async def paths(self, route: Route, about: str | None = None) -> list[str]:
        """The route's path with each combination of ids that its lists give the operator.

        about: of items of lists only those that tell of this, a station's id.
        """
        ready = [route.path]
        for name, of_list in zip(route.names, route.lists, strict=True):
            further: list[str] = []
            for path in ready:
                known = path[: path.index(f"{{{name}}}") - 1]
                found = await self.listed(of_list, known, name, about)
                further += [path.replace(f"{{{name}}}", one, 1) for one in found]
            ready = further
        return ready

    async def listed(self, of_list: str, path: str, name: str, about: str | None) -> list[str]:
        if (of_list, name) in NOT_LISTED:
            return [self.ids.get(one, one) for one in NOT_LISTED[of_list, name]]
        if (path, name, about) not in self._listed:
            self._listed[path, name, about] = await self._list(of_list, path, name, about)
        return self._listed[path, name, about]

    async def _list(self, of_list: str, path: str, name: str, about: str | None) -> list[str]:
        service, path = LISTED_AS.get(of_list, (None, path))
        route = next(
            one for one in every_route.routes()
            if one.method == "get" and one.path == (path if service else of_list)
            and service in (None, one.service)
        )  # fmt: skip
        url = self.suite.urls[route.service] + path
        answer = await self.api.get(url, headers=self.who(route), params={"limit": 200})
        if answer.status_code == 422:  # a list without pages
            answer = await self.api.get(url, headers=self.who(route))
        assert answer.status_code == 200, (url, answer.text)
        items = [i for i in answer.json()["items"] if about is None or about in json.dumps(i)]
        return [every_route.id_of(item, name) for item in items[:2]]


# Lists that are of another path, or of another service.
LISTED_AS: Final[dict[str, tuple[str, str]]] = {
    "/v1/stations": ("registry", "/v1/stations"),
    "/v1/me/privacy-requests": ("identity", "/v1/privacy-requests"),
}
# Of what has no list, the names of its ids or the ids themselves.
NOT_LISTED: Final[dict[tuple[str, str], list[str]]] = {
    ("/v1/imports", "import_id"): ["import"],
    ("/v1/evses", "code"): ["DE*WAL*E2"],
    ("/v1/operators", "operator_id"): ["operator"],
    ("/v1/partner/records", "record_id"): ["record"],
    ("/v1/partner/lists/{list_id}/parts", "number"): ["1"],
}


@asynccontextmanager
async def callers(suite: Suite) -> AsyncIterator[tuple[Whole, Whole]]:
    """An operator that has everything, and one that wants it."""
    db = await asyncpg.connect(suite.postgres.url())
    kept = await db.fetchval("select sealed_jwk from identity.signing_key order by made_at limit 1")
    await db.close()
    opened = Sealer(suite.environment["CSMS_SECRET_KEY"], "identity").open(kept)
    key = OKPKey.import_key(json.loads(opened))
    async with httpx.AsyncClient(timeout=20) as api:
        whole, rival = Whole(suite, api, key), Whole(suite, api, key)
        await whole.make("Walled")
        await rival.make("Rivalling")
        await whole.fill()
        yield whole, rival
