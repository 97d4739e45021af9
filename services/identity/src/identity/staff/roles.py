"""Pure: which role may do what. The only place where roles become scopes."""

from typing import Final, Literal, get_args

Role = Literal[
    "platform-admin", "operator-admin", "operator-staff", "billing-clerk", "read-only", "partner",
    "driver",
]  # fmt: skip
# Everyone but the platform's own staff belongs to one operator.
PLATFORM_ROLE: Final = "platform-admin"
# What staff may be given; partners sign in with API keys, drivers register themselves.
OperatorRole = Literal["operator-admin", "operator-staff", "billing-clerk", "read-only"]
StaffRole = Literal[
    "platform-admin", "operator-admin", "operator-staff", "billing-clerk", "read-only"
]

WRITABLE: Final = (
    "operators", "settings", "logins", "api-keys", "users", "user-groups", "companies", "cards",
    "partners", "access-rules", "privacy", "stations", "station-groups", "locations", "commands",
    "sessions", "records", "tariffs", "agreements", "webhooks", "alerts", "signing-keys",
    "accounting-strategies", "price-events", "discounts", "accounts", "payments",
)  # fmt: skip
PRICES: Final = ("accounting-strategies", "price-events", "discounts")
MONEY: Final = ("accounts", "payments")
# Facts that come from chargers or are computed: nobody writes them through REST.
READ_ONLY: Final = ("audit", "authorizations", "status", "messages", "breakdowns")


def _scopes(verb: str, *nouns: str) -> frozenset[str]:
    return frozenset(f"{noun}:{verb}" for noun in nouns)


# Everybody's own login: password, second factors, where it is signed in.
ACCOUNT: Final = _scopes("read", "account") | _scopes("write", "account")
EVERYTHING: Final = ACCOUNT | _scopes("read", *WRITABLE, *READ_ONLY) | _scopes("write", *WRITABLE)
# The list of operators and the keys of all tokens are the platform's own business.
OF_THE_PLATFORM: Final = ("operators", "signing-keys")
OF_AN_OPERATOR: Final = (
    EVERYTHING - _scopes("read", *OF_THE_PLATFORM) - _scopes("write", *OF_THE_PLATFORM)
)
# What tells of staff and of people's wishes about their data is the admins' business.
READING: Final = frozenset(
    scope for scope in OF_AN_OPERATOR - ACCOUNT if scope.endswith(":read")
) - {"api-keys:read", "audit:read", "privacy:read"}

SCOPES: Final[dict[Role, frozenset[str]]] = {
    "platform-admin": EVERYTHING,
    "operator-admin": OF_AN_OPERATOR,
    "operator-staff": ACCOUNT
    | READING
    | _scopes(
        "write", "stations", "station-groups", "locations", "users", "user-groups", "companies",
        "cards", "access-rules", "commands", "alerts",
    ),
    "billing-clerk": ACCOUNT
    | _scopes(
        "read", "records", "sessions", "tariffs", "breakdowns", "users", "user-groups",
        "companies", "cards", "settings", "partners", "agreements", *PRICES, *MONEY,
    )
    | _scopes("write", "tariffs", "agreements", "records", *PRICES, *MONEY),
    "read-only": ACCOUNT | READING - {"logins:read"},
    "partner": _scopes("read", "partner-cards", "partner-sessions")
    | _scopes("write", "partner-cards")
    | _scopes("read", "webhooks")
    | _scopes("write", "webhooks"),
    "driver": ACCOUNT | _scopes("read", "me") | _scopes("write", "me"),
}  # fmt: skip
assert set(SCOPES) == set(get_args(Role))


def scope_claim(role: Role) -> str:
    """The token's scope claim: names apart by blanks (RFC 9068, 2.2.3), in a stable order."""
    return " ".join(sorted(SCOPES[role]))


def known(role: str) -> Role:
    """A stored role. Raises ValueError for one that the table above does not name."""
    for name in SCOPES:
        if name == role:
            return name
    raise ValueError(f"no role {role!r}")


def may_invite(inviter: str, invited: str) -> bool:
    """Whether one of the first role may make a login of the second: nobody gives what they lack."""
    own = SCOPES[known(inviter)]
    return "logins:write" in own and SCOPES[known(invited)] <= own
