"""R9: tenants are walls. Every route, with real ids, as somebody whose they are not."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import asyncpg
import every_route
import pytest
from every_route import Key, Route, asked, texts
from joserfc import jwt
from joserfc.jwk import OKPKey
from suite import Suite
from whole_operator import HERE, NOT_LISTED, THERE, UID, Whole, callers

from common.ids import uuid7
from common.run import SERVICES
from identity.staff import roles

# Tables without a wall, and why nobody but the platform reads them.
WITHOUT_A_WALL = {
    "alembic_version": "which migrations ran",
    "outbox": "events on their way, read by the relay",
    "inbox": "ids of handled events",
    "failed_event": "dead letters, read by the platform's commands",
    "gateway_replica": "replicas serve every operator",
    "alert_round": "replicas look at every operator's stations",
}

OF_LOCATIONS: Final = ("registry", "billing", "reporting", "csms-gateway")
# For a partner, or for staff who see every location; billing tests that others are refused.
OF_EVERY_LOCATION: Final = ("/v1/partner/", "/v1/webhooks", "/v1/me/", "/v1/trial-balance")
STREAMS: Final = {
    "/v1/commands/stream": "csms-gateway",
    "/v1/stations/{station_id}/messages/stream": "csms-gateway",
    "/v1/status/stream": "registry",
}

# What is left out below names a route and says why.
NAMES_ITS_OWN: Final = "a uid is the partner's own word: it makes or changes a card of its own"
ANOTHERS_PATH_IS_GOOD: Final[dict[Key, str]] = {
    ("put", "/v1/partner/cards/{uid}"): NAMES_ITS_OWN,
    ("post", "/v1/partner/cards/{uid}/block"): NAMES_ITS_OWN,
    ("post", "/v1/partner/cards/{uid}/unblock"): NAMES_ITS_OWN,
}
NO_LIST: Final[dict[Key, str]] = {
    ("get", "/v1/commands/stream"): "never ends; has a test below",
    ("get", "/v1/status/stream"): "never ends; has a test below",
    ("get", "/v1/settings/logo"): "there is none; identity tests it",
    ("get", "/v1/oidc-provider"): "there is none; identity tests it",
    ("get", "/v1/payment-provider"): "there is none; billing tests it",
    ("get", "/v1/qr-settings"): "an operator's own; registry tests it",
    ("get", "/v1/qr-settings/logo"): "there is none; registry tests it",
    ("get", "/v1/me"): "a driver's own; identity tests it",
    ("get", "/v1/signing-keys"): "the platform's own",
    ("get", "/v1/prices"): "of one station; billing tests whose",
}
# What the owner gets who asks for the same: why it is no success.
OWNER_GETS: Final[dict[Key, tuple[int, str]]] = {
    # billing tests that a partner reads what is decided, and no other's.
    ("get", "/v1/partner/records/{record_id}"): (404, "the session's review is pending"),
    ("post", "/v1/disputes/{dispute_id}/decisions"): (409, "the session's review is pending"),
    ("post", "/v1/records/{record_id}/corrections"): (409, "the session's review is pending"),
    ("post", "/v1/records/{record_id}/disputes"): (409, "there is an open one"),
    ("post", "/v1/accounts/{account_id}/close"): (409, "there is money in it"),
    ("post", "/v1/accounts/{account_id}/reopen"): (409, "it is not closed"),
    ("post", "/v1/privacy-requests/{request_id}/approve"): (409, "nobody asked for an erasure"),
    ("delete", "/v1/partner/lists/{list_id}"): (409, "it was applied before"),
    ("delete", "/v1/tariffs/{tariff_id}"): (409, "it is valid"),
    ("post", "/v1/invitations/{invitation_id}/send-again"): (429, "it was sent a moment ago"),
    ("post", "/v1/partners/{partner_id}/try"): (409, "it is not asked in real time"),
    ("post", "/v1/alert-rules/{rule_id}/secret"): (409, "it has no webhook"),
}
WRITES_NOTHING: Final[dict[Key, str]] = {
    ("post", "/v1/authorizations"): "asks what would be decided",
    ("post", "/v1/qr-label-sheets"): "draws what there is",
}
OF_THE_OPERATOR: Final = "the whole operator's, at no location"
AT_NO_LOCATION: Final[dict[str, str]] = {
    "/v1/tariffs/{tariff_id}": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/block": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/unblock": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/close": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/reopen": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/holds": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/journals": OF_THE_OPERATOR,
    "/v1/me/accounts/{account_id}/journals": OF_THE_OPERATOR,
    "/v1/charging-profiles/{id}": OF_THE_OPERATOR,
    "/v1/agreements/{agreement_id}": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/statement": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/transfer": OF_THE_OPERATOR,
    "/v1/accounts/{account_id}/transfer/code": OF_THE_OPERATOR,
    "/v1/bank-entries/{entry_id}": OF_THE_OPERATOR,
    "/v1/bank-entries/{entry_id}/assign": OF_THE_OPERATOR,
    "/v1/bank-entries/{entry_id}/dismiss": OF_THE_OPERATOR,
    "/v1/bank-statements/{statement_id}": OF_THE_OPERATOR,
    "/v1/bonuses/{bonus_id}": OF_THE_OPERATOR,
    "/v1/refunds/{refund_id}": OF_THE_OPERATOR,
    "/v1/topups/{topup_id}": OF_THE_OPERATOR,
    "/v1/topups/{topup_id}/refunds": OF_THE_OPERATOR,
    "/v1/accounting-strategies/{strategy_id}": OF_THE_OPERATOR,
    "/v1/strategy-assignments/{assignment_id}": OF_THE_OPERATOR,
    **{
        f"/v1/{path}{more}": OF_THE_OPERATOR
        for path in ("discounts/{discount_id}", "price-events/{event_id}")
        for more in ("", "/activate", "/end", "/preview", "/grants")
    },
    "/v1/station-groups/{group_id}": OF_THE_OPERATOR,
    "/v1/station-groups/{group_id}/stations": "registry tests whose stations it shows",
    "/v1/station-groups/{group_id}/stations/{station_id}": "registry tests whose it takes",
    "/v1/station-groups/{group_id}/groups": "registry tests which it shows",
    "/v1/station-groups/{group_id}/groups/{subgroup_id}": OF_THE_OPERATOR,
    "/v1/station-templates/{template_id}": OF_THE_OPERATOR,
    "/v1/pending-stations/{station_id}": "it is nowhere yet",
    "/v1/pending-stations/{station_id}/adopt": "it is nowhere yet",
}

# Bodies and filters that name what is another operator's.
REFERENCES: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("identity", "/v1/cards", {"uid": "04C0C0C001", "user_id": "{user}"}),
    ("identity", "/v1/cards", {"uid": "04C0C0C002", "company_id": "{company}"}),
    ("identity", "/v1/cards/{own card}/move", {"user_id": "{user}"}),
    ("identity", "/v1/user-groups/{own group}/members", {"user_ids": ["{user}"]}),
    ("identity", "/v1/api-keys", {
        "name": "X", "scopes": ["partner-cards:read"], "partner_id": "{partner}"}),
    ("identity", "/v1/privacy-requests", {"user_id": "{user}", "kind": "erasure"}),
    *(
        ("identity", "/v1/access-rules", {
            "name": "X", "effect": "deny", "holders": [{"kind": kind, "id": f"{{{name}}}"}],
            "places": [{"kind": "everywhere"}]})
        for kind, name in (
            ("user", "user"), ("card", "card"), ("user_group", "group"), ("company", "company"),
            ("partner", "partner"))
    ),
    ("identity", "/v1/access-rules", {
        "name": "X", "effect": "deny", "holders": [{"kind": "everybody"}],
        "places": [{"kind": "station", "id": HERE}]}),
    ("registry", "/v1/stations", {
        "id": "RIVALS", "name": "X", "location_id": f"{{location of {HERE}}}"}),
    ("registry", "/v1/stations", {"id": HERE, "name": "X"}),
    ("registry", "/v1/station-groups/{own station group}/stations", {"station_ids": [HERE]}),
    ("identity", "/v1/access-rules", {
        "name": "X", "effect": "deny", "holders": [{"kind": "everybody"}],
        "places": [{"kind": "station_group", "id": "{station group}"}]}),
    *(
        ("registry", "/v1/alert-rules", {
            "name": "X", "kind": "unused", "days": 7, "place": {"kind": kind, "id": name}})
        for kind, name in (
            ("station", HERE), ("location", f"{{location of {HERE}}}"),
            ("station_group", "{station group}"))
    ),
    *(
        ("billing", "/v1/accounts", {
            "owner_kind": kind, "owner_id": f"{{{kind}}}", "currency": "EUR"})
        for kind in ("user", "company", "card", "partner")
    ),
    ("billing", "/v1/agreements", {
        "name": "X", "partner_id": "{partner}", "places": [{"kind": "everywhere"}]}),
    ("billing", "/v1/accounting-strategies", {
        "name": "X", "method": "free", "currency": "EUR",
        "tariffs": [{"place": {"kind": "station", "id": HERE}}]}),
    *(
        ("billing", "/v1/strategy-assignments", {
            "strategy_id": "{own strategy}", "holder": {"kind": kind, "id": f"{{{name}}}"}})
        for kind, name in (("user", "user"), ("user_group", "group"), ("company", "company"))
    ),
    ("billing", "/v1/strategy-assignments", {
        "strategy_id": "{strategy}", "holder": {"kind": "everybody"}}),
    *(
        ("billing", f"/v1/{path}", every_route.DISCOUNT | more | {"places": [place]})
        for path, more in (("discounts", {}), ("price-events", every_route.EVENT_TIMES))
        for place in (
            {"kind": "station", "id": HERE}, {"kind": "station_group", "id": "{station group}"})
    ),
    ("billing", "/v1/webhooks", {
        "url": "https://walls.invalid/", "kinds": ["record.closed"], "partner_id": "{partner}"}),
    ("billing", "/v1/topups", {
        "way": "cash", "account_id": "{account}", "amount": {"amount": "1", "currency": "EUR"},
        "receipt": "X", "reason": "X"}),
    ("billing", "/v1/bonuses", {
        "account_id": "{account}", "amount": {"amount": "1", "currency": "EUR"}, "reason": "X"}),
]  # fmt: skip
FILTERS: Final = {
    "station_id": HERE, "user_id": "user", "card_id": "card", "company_id": "company",
    "partner_id": "partner", "group_id": "group", "location_id": f"location of {HERE}",
    "key": "user", "actor": "login", "uid": UID, "account_id": "account", "topup_id": "topup",
}  # fmt: skip
PARAMS: Final[dict[str, dict[str, str]]] = {"/v1/breakdowns": {"by": "month,station"}}


@pytest.fixture(scope="module")
async def both(suite: Suite) -> AsyncIterator[tuple[Whole, Whole]]:
    """An operator that has everything, and one that wants it."""
    async with callers(suite) as pair:
        yield pair


def with_ids() -> list[Route]:
    return [route for route in every_route.routes() if route.names]


def lists() -> list[Route]:
    return [
        route for route in every_route.routes()
        if route.method == "get" and not route.names and route.key not in NO_LIST
    ]  # fmt: skip


def test_what_is_left_out_is_a_route() -> None:
    keys = {route.key for route in every_route.routes()}
    paths = {path for _, path in keys}
    left_out = (ANOTHERS_PATH_IS_GOOD, NO_LIST, OWNER_GETS, WRITES_NOTHING)
    for named in (*left_out, every_route.BODIES):
        assert named.keys() <= keys, named.keys() - keys
    assert AT_NO_LOCATION.keys() | PARAMS.keys() | set(STREAMS) <= paths
    assert {of_list for of_list, _ in NOT_LISTED} <= {
        of_list for route in with_ids() for of_list in route.lists
    }
    bodies = {r.key for r in with_ids() if every_route.takes_a_body(r)}
    assert bodies == every_route.BODIES.keys()


def test_what_writes_asks_for_a_scope_to_write() -> None:
    for route in every_route.routes():
        writes = any(scope.endswith(":write") for scope in route.scopes)
        reads = route.method == "get" or route.key in WRITES_NOTHING
        assert writes != reads, (route.key, route.scopes)


async def every(calls: Iterable[Any]) -> None:
    """Some at a time."""
    turn = asyncio.Semaphore(8)

    async def one(call: Any) -> None:
        async with turn:
            await call

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call))


async def test_nobody_gets_in_and_a_bad_token_is_nobodys(both: tuple[Whole, Whole]) -> None:
    whole, _ = both
    old = whole.bearer("operator-admin", exp=int(time.time()) - 60)
    elsewhere = whole.bearer("operator-admin", iss="somebody-else")
    theirs = OKPKey.generate_key("Ed25519", {"kid": str(whole.key.kid), "use": "sig"})
    claims = jwt.decode(
        whole.bearer("operator-admin")["Authorization"][7:], whole.key, algorithms=["Ed25519"]
    ).claims
    signed = jwt.encode({"alg": "Ed25519", "kid": whole.key.kid}, claims, theirs, ["Ed25519"])
    unsigned = "eyJhbGciOiJub25lIn0." + signed.split(".")[1] + "."
    bad = [{}, old, elsewhere, *({"Authorization": f"Bearer {t}"} for t in (signed, unsigned))]

    async def refused(route: Route, headers: dict[str, str]) -> None:
        path = (await whole.paths(route))[0]
        url = whole.suite.urls[route.service] + path
        status, answer = await asked(whole.api, route, url, headers, whole.ids)
        assert status == 401, (route.key, answer)

    await every(refused(route, headers) for route in every_route.routes() for headers in bad)


async def test_every_role_is_kept_to_its_scopes(both: tuple[Whole, Whole]) -> None:
    """Of an operator that has nothing, so that what is let in finds nothing to change."""
    _, rival = both
    refused = 0

    async def kept(route: Route, role: roles.Role) -> None:
        nonlocal refused
        may = route.scopes <= roles.SCOPES[role]
        if may and (route.method != "get" or route.key in NO_LIST):
            return
        mine = {"partner": {"partner_id": rival.ids["partner"]},
                "driver": {"user_id": rival.ids["user"]}}.get(role, {})  # fmt: skip
        path = every_route.PARAMETER.sub(str(uuid7()), route.path)
        url = rival.suite.urls[route.service] + path
        status, answer = await asked(rival.api, route, url, rival.bearer(role, **mine), rival.ids)
        if may:
            assert status != 403, (role, route.key, answer)
            return
        refused += 1
        assert status == 403 and "missing-scope" in answer["type"], (role, route.key, answer)

    found = list(every_route.routes())
    assert all(route.scopes for route in found)
    for role in roles.SCOPES:
        await every(kept(route, role) for route in found)
    assert refused > 400


def hidden(status: int, answer: Any) -> bool:
    """Refused, not there, or an empty list or file of what is not there."""
    if isinstance(answer, str):
        empty = answer.count("\n") <= 1  # a header
    else:
        empty = answer is None or (isinstance(answer, dict) and answer.get("items") == [])
    return status in (403, 404) or (status == 200 and empty)


async def tried(whole: Whole, route: Route, paths: list[str], headers: dict[str, str]) -> int:
    """With real ids of what is not the caller's; nothing may come of it."""
    for path in paths:
        url = whole.suite.urls[route.service] + path
        status, answer = await asked(whole.api, route, url, headers, whole.ids)
        assert hidden(status, answer), (route.key, path, status, answer)
    return len(paths)


async def test_another_operator_sees_nothing_and_changes_nothing(
    both: tuple[Whole, Whole],
) -> None:
    whole, rival = both
    before = await whole.settled()
    words = {HERE, THERE, *whole.ids.values()} - {UID}
    for route in lists():
        url = whole.suite.urls[route.service] + route.path
        params = PARAMS.get(route.path, {})
        ours = await whole.api.get(url, headers=whole.who(route), params=params)
        theirs = await whole.api.get(url, headers=rival.who(route), params=params)
        assert ours.status_code == theirs.status_code == 200, (route.key, theirs.text)
        if route.path != "/v1/operators":  # the platform's own
            assert not texts(words, theirs.text), route.key
        for name in route.query & FILTERS.keys():
            sought = whole.ids.get(FILTERS[name], FILTERS[name])
            answer = await whole.api.get(
                url, headers=rival.who(route), params=params | {name: sought}
            )
            assert not texts(words - {sought}, answer.text), (route.key, name)
            listed = answer.headers["content-type"] == "application/json"
            assert not (listed and answer.json().get("items")), (route.key, name)
    for route in with_ids():
        paths = await whole.paths(route)
        assert paths, f"{route.key}: the operator has none"
        # Of operators a platform admin's alone, who is no other operator.
        operators = route.path.startswith("/v1/operators")
        headers = rival.bearer("operator-admin") if operators else rival.who(route)
        if route.key in ANOTHERS_PATH_IS_GOOD:
            url = whole.suite.urls[route.service] + paths[0]
            status, answer = await asked(whole.api, route, url, headers, whole.ids)
            assert status < 300 and not texts(words, answer), (route.key, answer)
        elif route.path not in STREAMS:
            await tried(whole, route, paths, headers)
    assert await whole.settled() == before


async def test_another_operators_things_cannot_be_named(both: tuple[Whole, Whole]) -> None:
    whole, rival = both
    await rival.made("own card", "identity", "cards", uid="04C0C0C0C0")
    own = {"name": "Own", "method": "free", "currency": "EUR"}
    await rival.made("own strategy", "billing", "accounting-strategies", **own)
    await rival.made("own station group", "registry", "station-groups", name="Own")
    await rival.made("own group", "identity", "user-groups", name="Own")
    before = await whole.settled()
    ids = rival.ids | {n: v for n, v in whole.ids.items() if not n.startswith("own")}
    for service, path, body in REFERENCES:
        url = rival.suite.urls[service] + path.format(**ids)
        answer = await rival.api.post(
            url, json=every_route.filled(body, ids),
            headers=rival.bearer("operator-admin") | {"Idempotency-Key": uuid7().hex},
        )  # fmt: skip
        assert answer.status_code in (404, 409, 422), (path, body, answer.text)
        assert not texts({str(whole.ids["operator"])}, answer.text), (path, answer.text)
        assert "invalid-request" not in answer.text, (path, answer.text)
    asked_of = {"station_id": HERE, "id_token": UID}
    url = f"{rival.suite.urls['identity']}/v1/authorizations"
    decided = await rival.api.post(url, json=asked_of, headers=rival.bearer("operator-admin"))
    assert decided.status_code == 404 or decided.json()["status"] != "Accepted", decided.text
    assert await whole.settled() == before


async def replayed(whole: Whole, path: str, headers: dict[str, str], until: str = "") -> str:
    """What a stream has to tell from its beginning: in two seconds, or until it tells of that."""
    told = ""
    url = whole.suite.urls[STREAMS[path]] + path.format(station_id=HERE)
    try:
        async with (
            asyncio.timeout(60 if until else 2),
            whole.api.stream("GET", url, headers=headers | {"Last-Event-ID": "0"}) as answer,
        ):
            if answer.status_code != 200:
                return ""
            async for part in answer.aiter_text():
                told += part
                if until and until in told:
                    break
    except TimeoutError:
        pass
    return told


@pytest.mark.parametrize("path", STREAMS)
async def test_a_stream_tells_of_ones_own_only(both: tuple[Whole, Whole], path: str) -> None:
    whole, rival = both
    elsewhere = [whole.ids[f"location of {THERE}"]]
    ours, theirs, limited = await asyncio.gather(
        replayed(whole, path, whole.bearer("operator-admin"), until=HERE),
        replayed(whole, path, rival.bearer("operator-admin")),
        replayed(whole, path, whole.bearer("operator-admin", locations=elsewhere)),
    )
    assert HERE in ours
    assert HERE not in theirs + limited


async def test_staff_of_one_location_see_and_change_nothing_of_another(
    both: tuple[Whole, Whole],
) -> None:
    whole, _ = both
    before = await whole.settled()
    headers = whole.bearer("operator-admin", locations=[whole.ids[f"location of {HERE}"]])
    words = {THERE, whole.ids[f"location of {THERE}"]}
    told_of = 0
    for route in lists():
        if route.service not in OF_LOCATIONS or route.path.startswith(OF_EVERY_LOCATION):
            continue
        url = whole.suite.urls[route.service] + route.path
        params = PARAMS.get(route.path, {})
        answer = await whole.api.get(url, headers=headers, params=params)
        assert answer.status_code == 200, (route.key, answer.text)
        assert not texts(words, answer.text), route.key
        everything = await whole.api.get(url, headers=whole.who(route), params=params)
        if texts(words, everything.text):
            told_of += 1
            assert texts({HERE}, answer.text), route.key
        for name in route.query & {"station_id", "location_id"}:
            sought = THERE if name == "station_id" else whole.ids[f"location of {THERE}"]
            answer = await whole.api.get(url, headers=headers, params=params | {name: sought})
            is_json = "json" in answer.headers["content-type"]
            found = answer.json() if is_json else answer.text
            assert hidden(answer.status_code, found), (route.key, answer.text)
    assert told_of >= 8
    for route in with_ids():
        if route.service not in OF_LOCATIONS or route.path in (*AT_NO_LOCATION, *STREAMS):
            continue
        if route.path.startswith(OF_EVERY_LOCATION):
            continue
        paths = await whole.paths(route, about=THERE)
        assert paths, f"{route.key}: there is none at that location"
        await tried(whole, route, paths, headers)
    elsewhere = {"location_id": whole.ids[f"location of {THERE}"]}
    any_version = headers | {"If-Match": "*"}
    stations = f"{whole.suite.urls['registry']}/v1/stations"
    adopted = f"{whole.suite.urls['registry']}/v1/pending-stations/WALLED-PENDING/adopt"
    for answer in (
        await whole.api.post(
            stations, json={"id": "WALLED-NEW", "name": "X"} | elsewhere, headers=headers
        ),
        await whole.api.patch(f"{stations}/{HERE}", json=elsewhere, headers=any_version),
        await whole.api.post(adopted, json=elsewhere, headers=headers),
    ):
        assert answer.status_code in (403, 404, 422), answer.text
        assert "invalid-request" not in answer.text
    assert await whole.settled() == before


async def test_its_own_operator_is_let_in_by_the_same_requests(both: tuple[Whole, Whole]) -> None:
    """Or the refusals above would prove nothing. Last of these, for it changes and deletes."""
    whole, _ = both
    before = await whole.settled()
    turns = ("get", "put", "post", "patch", "delete")
    # A driver's own first: of a card that staff replaced nothing is theirs to change.
    wanted = sorted(
        with_ids(),
        key=lambda r: (
            turns.index(r.method), -len(r.names), not r.path.startswith("/v1/me/"),
        ),
    )  # fmt: skip
    found = {route: await whole.paths(route) for route in wanted}
    for route, paths in found.items():
        if route.path in STREAMS:
            continue
        expected, _ = OWNER_GETS.get(route.key, (None, ""))
        for path in paths:
            url = whole.suite.urls[route.service] + path
            status, answer = await asked(whole.api, route, url, whole.who(route), whole.ids)
            good = status < 300 or status == expected
            if good:
                break
        assert good, (route.key, status, answer)
    after = await whole.snapshot()
    # And the snapshots above would have shown it.
    assert len({name for name in before if before[name] != after[name]}) >= 15


async def test_every_table_has_a_wall_or_a_reason(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.postgres.url())
    rows = await connection.fetch(
        """
        select c.relname, n.nspname, c.relrowsecurity and c.relforcerowsecurity as closed,
            c.relispartition, pg_get_userbyid(c.relowner) = 'csms_' || n.nspname as own,
            exists (select from pg_policy p where p.polrelid = c.oid) as policy
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname = any($1)
        """,
        [name.replace("-", "_") for name in SERVICES],
    )
    await connection.close()
    assert len(rows) > 30
    for row in rows:
        name = f"{row['nspname']}.{row['relname']}"
        assert not row["own"], f"{name} belongs to its service, whom walls would not bind"
        if row["relname"] in WITHOUT_A_WALL or row["relispartition"]:
            continue
        assert row["closed"] and row["policy"], f"{name} has no wall"


async def test_a_service_may_use_its_own_schema_only(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.postgres.url())
    await connection.execute("set role csms_billing")
    for statement in ("select * from identity.card", "create table billing.mine (id int)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    assert await connection.fetchval("select count(*) from billing.record") == 0
    await connection.close()
