"""Every route of every service with real ids in its path, for the tests of the walls.

An id is discovered from the list that its place in the path belongs to: /v1/cards/{card_id} takes
its from GET /v1/cards. Bodies that pass validation stand here, for a route that refuses what was
sent has not looked at whose it is.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import httpx
from pictures import png
from public_routes import PUBLIC

from common.ids import uuid7
from common.run import SERVICES
from local_stack import docs

STREAM: Final = "text/event-stream"
PARAMETER: Final = re.compile(r"{(\w+)}")
WORD: Final = {"name": "Renamed"}
DISCOUNT: Final = {"name": "Renamed", "kind": "percent", "amount": "10"}
EVENT_TIMES: Final = {"valid_from": "2199-01-01T00:00", "valid_until": "2199-01-02T00:00"}
RULING: Final = {"verdict": "valid", "reason": "Walled"}
NDJSON: Final = {"Content-Type": "application/x-ndjson"}

Key = tuple[str, str]  # method and path

# What passes validation; "{name}" is what the whole operator's `ids` has of that name.
BODIES: Final[dict[Key, Any]] = {
    ("post", "/v1/disputes/{dispute_id}/decisions"): RULING,
    ("post", "/v1/records/{record_id}/corrections"): RULING | {"verdict": "void"},
    ("post", "/v1/records/{record_id}/disputes"): {"raised_by": "staff", "reason": "Walled"},
    ("post", "/v1/reviews/{session_id}/decisions"): RULING,
    ("patch", "/v1/access-rules/{rule_id}"): WORD,
    ("patch", "/v1/accounts/{account_id}"): {"minimum": "1", "reason": "renamed"},
    ("post", "/v1/accounts/{account_id}/block"): {"reason": "unpaid"},
    ("post", "/v1/accounts/{account_id}/unblock"): {"reason": "paid"},
    ("post", "/v1/accounts/{account_id}/close"): {"reason": "moved away"},
    ("post", "/v1/accounts/{account_id}/reopen"): {"reason": "back"},
    ("patch", "/v1/accounting-strategies/{strategy_id}"): WORD,
    ("patch", "/v1/strategy-assignments/{assignment_id}"): {"priority": 1},
    ("patch", "/v1/agreements/{agreement_id}"): WORD,
    ("patch", "/v1/alert-rules/{rule_id}"): WORD,
    ("put", "/v1/discounts/{discount_id}"): DISCOUNT,
    ("post", "/v1/discounts/{discount_id}/end"): {},
    ("post", "/v1/discounts/{discount_id}/preview"): {},
    ("put", "/v1/price-events/{event_id}"): DISCOUNT | EVENT_TIMES,
    ("post", "/v1/price-events/{event_id}/end"): {},
    ("post", "/v1/price-events/{event_id}/preview"): {},
    ("post", "/v1/bank-entries/{entry_id}/assign"): {"account_id": "{account}", "reason": "told"},
    ("post", "/v1/bank-entries/{entry_id}/dismiss"): {"reason": "told"},
    ("post", "/v1/topups/{topup_id}/refunds"): {
        "amount": "1.00",
        "reason": "moved",
        "receipt": "W-2",
    },
    ("post", "/v1/alerts/{alert_id}/acknowledge"): {"note": "on my way"},
    ("patch", "/v1/me/cards/{card_id}"): {"label": "Renamed"},
    ("post", "/v1/me/cards/{card_id}/block"): {"reason": "lost"},
    ("post", "/v1/partners/{partner_id}/try"): {"id_token": "04DDDDDDDD"},
    ("patch", "/v1/station-groups/{group_id}"): WORD,
    ("post", "/v1/station-groups/{group_id}/stations"): {"station_ids": ["WALLED-HERE"]},
    ("patch", "/v1/webhooks/{webhook_id}"): {"active": False},
    ("patch", "/v1/account/passkeys/{passkey_id}"): WORD,
    ("patch", "/v1/api-keys/{key_id}"): WORD,
    ("patch", "/v1/cards/{card_id}"): {"label": "Renamed"},
    ("post", "/v1/cards/{card_id}/move"): {"user_id": "{user}"},
    ("post", "/v1/cards/{card_id}/replace"): {"uid": "04FFFFFFFF"},
    ("patch", "/v1/companies/{company_id}"): WORD,
    ("post", "/v1/companies/{company_id}/cost-centres"): {"code": "2", "name": "Two"},
    ("patch", "/v1/companies/{company_id}/cost-centres/{cost_centre_id}"): WORD,
    ("patch", "/v1/logins/{login_id}"): {"role": "read-only"},
    ("patch", "/v1/operators/{operator_id}"): WORD,
    ("put", "/v1/partner/cards/{uid}"): {"label": "Renamed"},
    ("post", "/v1/partner/cards/{uid}/block"): {"reason": "lost"},
    ("put", "/v1/partner/lists/{list_id}/parts/{number}"): b'{"uid": "04EEEEEEEE"}\n',
    ("post", "/v1/partner/lists/{list_id}/apply"): {"parts": 1},
    ("patch", "/v1/partners/{partner_id}"): WORD,
    ("patch", "/v1/user-groups/{group_id}"): WORD,
    ("post", "/v1/user-groups/{group_id}/members"): {"user_ids": ["{user}"]},
    ("patch", "/v1/users/{user_id}"): WORD,
    ("patch", "/v1/locations/{location_id}"): WORD,
    ("post", "/v1/locations/{location_id}/photos"): png(),
    ("patch", "/v1/station-templates/{template_id}"): WORD,
    ("post", "/v1/stations/{station_id}/decommission"): {"reason": "sold"},
    ("post", "/v1/pending-stations/{station_id}/adopt"): {"name": "Adopted"},
    ("patch", "/v1/stations/{station_id}"): WORD,
    ("patch", "/v1/charging-profiles/{id}"): WORD,
    ("put", "/v1/local-lists/{station_id}"): {"entries": []},
    ("post", "/v1/stations/{station_id}/commands"): {"type": "clear_cache"},
    ("put", "/v1/stations/{station_id}/cost-display"): {"shows_cost": True},
    ("patch", "/v1/stations/{station_id}/registration"): {"registration": "pending"},
    ("patch", "/v1/stations/{station_id}/security"): {"security_profile": 1},
}


class Route(NamedTuple):
    service: str
    method: str
    path: str
    scopes: frozenset[str]
    query: frozenset[str]

    @property
    def key(self) -> Key:
        return self.method, self.path

    @property
    def names(self) -> list[str]:
        """Of the parameters of its path."""
        return PARAMETER.findall(self.path)

    @property
    def lists(self) -> list[str]:
        """Of each parameter, the path of the list that it is of."""
        return [self.path[: found.start() - 1] for found in PARAMETER.finditer(self.path)]


@cache
def routes() -> tuple[Route, ...]:
    """Those that ask for a token."""
    return tuple(_routes())


def takes_a_body(route: Route) -> bool:
    return "requestBody" in docs_of(route.service)["paths"][route.path][route.method]


def _routes() -> Iterator[Route]:
    for service in SERVICES:
        for path, operations in docs_of(service)["paths"].items():
            for method, operation in operations.items():
                if (method, path) in PUBLIC:
                    continue
                scopes = [s for one in operation["security"] for of in one.values() for s in of]
                parameters = operation.get("parameters", [])
                query = frozenset(one["name"] for one in parameters if one["in"] == "query")
                yield Route(service, method, path, frozenset(scopes), query)


@cache
def docs_of(service: str) -> dict[str, Any]:
    return dict(json.loads(docs.openapi(service)))


def id_of(item: dict[str, Any], name: str) -> str:
    """What of a list's item stands in the path for the parameter of this name."""
    for member in (name, "id") if name in ("station_id", "uid") else ("id", name):
        if member in item:
            return str(item[member])
    raise AssertionError(f"nothing in the item is a {name}: {item}")


def filled(body: Any, ids: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {name: filled(value, ids) for name, value in body.items()}
    if isinstance(body, list):
        return [filled(value, ids) for value in body]
    return body.format(**ids) if isinstance(body, str) else body


async def asked(
    api: httpx.AsyncClient, route: Route, url: str, headers: dict[str, str], ids: dict[str, str]
) -> tuple[int, Any]:
    """Status and answer: JSON where it is, text where not, of an event stream nothing."""
    more = {"If-Match": "*", "Idempotency-Key": uuid7().hex}
    body = BODIES.get(route.key)
    kind: dict[str, Any] = {}
    if isinstance(body, bytes):
        kind, more = {"content": body}, more | NDJSON
    elif body is not None:
        kind = {"json": filled(body, ids)}
    async with api.stream(route.method, url, headers=headers | more, **kind) as answer:
        if answer.headers.get("content-type", "").startswith(STREAM):
            return answer.status_code, None
        await answer.aread()
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, answer.text


def texts(words: Iterable[str], answer: Any) -> set[str]:
    """Which of the words are in an answer."""
    told = str(answer)
    return {word for word in words if word in told}
