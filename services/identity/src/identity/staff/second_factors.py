"""Pure: who must prove more than a password, and what one may who has not."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from identity.staff.roles import ACCOUNT, OperatorRole, Role, scope_claim

PASSWORD: Final = "password"  # noqa: S105 - a way to sign in
# The ways to sign in that prove two things; an operator's own provider decides for itself.
ENOUGH: Final = frozenset({"password+totp", "password+recovery-code", "passkey", "oidc"})


def needed(policies: Mapping[str, Any], role: str) -> bool:
    """By the operator's policy: none, admins or staff. Drivers choose for themselves."""
    of = {"admins": ("operator-admin",), "staff": get_args(OperatorRole)}
    return role in of.get(str(policies.get("require_second_factor")), ())


def limited(policies: Mapping[str, Any], role: str, how: str) -> bool:
    """Whether a sign-in is good for one's own account only, where a second factor is enrolled."""
    return how not in ENOUGH and needed(policies, role)


def scope(role: Role, *, only_account: bool) -> str:
    return " ".join(sorted(ACCOUNT)) if only_account else scope_claim(role)
