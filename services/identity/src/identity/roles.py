"""Pure: which role may do what. The only place where roles become scopes."""

from typing import Final, Literal, get_args

Role = Literal["platform-admin", "operator-admin", "operator-staff", "billing-clerk", "read-only"]
# Everyone but the platform's own staff belongs to one operator.
PLATFORM_ROLE: Final = "platform-admin"
OperatorRole = Literal["operator-admin", "operator-staff", "billing-clerk", "read-only"]

WRITABLE: Final = (
    "operators", "logins", "users", "cards", "stations", "locations", "commands", "sessions",
    "records", "tariffs",
)  # fmt: skip
# Facts that come from chargers or are computed: nobody writes them through REST.
READ_ONLY: Final = ("authorizations", "status", "messages", "breakdowns")


def _scopes(verb: str, *nouns: str) -> frozenset[str]:
    return frozenset(f"{noun}:{verb}" for noun in nouns)


EVERYTHING: Final = _scopes("read", *WRITABLE, *READ_ONLY) | _scopes("write", *WRITABLE)
# The list of operators is the platform's own business.
OF_AN_OPERATOR: Final = EVERYTHING - {"operators:read", "operators:write"}
READING: Final = frozenset(scope for scope in OF_AN_OPERATOR if scope.endswith(":read"))

SCOPES: Final[dict[Role, frozenset[str]]] = {
    "platform-admin": EVERYTHING,
    "operator-admin": OF_AN_OPERATOR,
    "operator-staff": READING
    | _scopes("write", "stations", "locations", "users", "cards", "commands"),
    "billing-clerk": _scopes(
        "read", "records", "sessions", "tariffs", "breakdowns", "users", "cards"
    )
    | {"tariffs:write"},
    "read-only": READING - {"logins:read"},
}
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
