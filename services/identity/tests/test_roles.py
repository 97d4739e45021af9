"""The one table of roles and scopes."""

from typing import get_args

import pytest

from identity.staff import roles


def test_every_role_has_scopes_and_only_the_platform_sees_operators_and_keys() -> None:
    assert set(roles.SCOPES) == set(get_args(roles.Role))
    for role, scopes in roles.SCOPES.items():
        assert scopes
        for noun in ("operators", "signing-keys"):
            assert (f"{noun}:read" in scopes) == (role == "platform-admin")
            assert (f"{noun}:write" in scopes) == (role == "platform-admin")


def test_each_role_may_do_no_more_than_the_one_above_it() -> None:
    table = roles.SCOPES
    assert table["platform-admin"] > table["operator-admin"] > table["operator-staff"]
    assert table["operator-staff"] > table["read-only"]
    assert table["operator-admin"] > table["billing-clerk"]


def test_read_only_writes_nothing_and_sees_no_logins() -> None:
    scopes = roles.SCOPES["read-only"]
    assert all(scope.endswith(":read") for scope in scopes - roles.ACCOUNT)
    assert "logins:read" not in scopes
    assert "authorizations:read" in scopes


def test_a_billing_clerk_sets_prices_and_books_money_and_touches_nothing_else() -> None:
    writes = {scope for scope in roles.SCOPES["billing-clerk"] if scope.endswith(":write")}
    assert writes - roles.ACCOUNT == {
        f"{noun}:write"
        for noun in ("tariffs", "agreements", "records", *roles.PRICES, *roles.MONEY)
    }


@pytest.mark.parametrize(
    ("inviter", "invited", "may"),
    [
        ("platform-admin", "platform-admin", True),
        ("platform-admin", "read-only", True),
        ("operator-admin", "operator-admin", True),
        ("operator-admin", "billing-clerk", True),
        ("operator-admin", "platform-admin", False),
        ("operator-admin", "driver", False),
        ("operator-staff", "read-only", False),
        ("read-only", "read-only", False),
        ("driver", "driver", False),
    ],
)
def test_nobody_invites_to_more_than_they_may(inviter: str, invited: str, *, may: bool) -> None:
    assert roles.may_invite(inviter, invited) is may
