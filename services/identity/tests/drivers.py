"""Drivers with a login, for tests that are about something else than how they registered."""

from typing import Any
from uuid import UUID

import httpx
from postbox import mailbox
from stack import Running

from identity.tables import User

from .test_signing_in import make_login


class Driver:
    """Calls as the driver, with a token like that of POST /v1/token."""

    def __init__(self, identity: Running, operator: UUID, login: dict[str, Any]) -> None:
        self.login: str = login["id"]
        self.user: str = login["user_id"]
        self.email: str = login["email"]
        self.http: httpx.AsyncClient = identity.as_(
            operator, "me:read", "me:write", "account:read", "account:write",
            sub=self.login, role="driver", user_id=self.user,
        )  # fmt: skip


async def make_driver(identity: Running, operator: UUID, **login: Any) -> Driver:
    """The one who made it closes driver.http."""
    email = login.pop("email", None) or mailbox()
    async with identity.app.state.connections.begin(operator) as db:
        user = User(operator_id=operator, name="Ada Lovelace", email=email, active=True)
        db.add(user)
    values = {"email": email, "role": "driver", "user_id": user.id} | login
    return Driver(identity, operator, await make_login(identity, operator, **values))
