"""Signing in: an e-mail address and a password become a token.

No database connection is held while a password is checked: a dozen people signing in would
otherwise starve the authorize decisions, which share the pool.
"""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, SecretStr
from sqlalchemy import Select, select

from common import client
from common.contacts import Email
from common.database import PLATFORM, Connections
from common.fields import Body
from common.problems import Problem
from identity.public_posts import limited
from identity.staff import lockout, sessions, totp
from identity.staff.passwords import Hashing
from identity.staff.tokens import TokenOut
from identity.tables import Login

router = APIRouter(prefix="/v1/token", tags=["token"])

STAFF: Final = Login.role != "driver"


class SignInRefused(Problem):
    """One answer for an unknown address, a wrong password and a login that is switched off."""

    status = 401
    title = "E-mail address or password is wrong"


class TokenIn(Body):
    email: Email
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]
    operator_id: UUID | None = Field(
        default=None, description="of a driver: whose customer signs in; null: staff"
    )
    code: totp.Code | None = None


@router.post("", summary="Sign in", dependencies=[limited("sign-in")])
async def sign_in(body: TokenIn, request: Request, response: Response, hasher: Hashing) -> TokenOut:
    connections: Connections = request.app.state.connections
    hasher.refuse_if_full()  # before the attempt counts: our load is not the person's failure
    tried = attempt(body.email, body.operator_id, client.network(client.address.get()))
    async with connections.begin(PLATFORM) as db:
        refused = await lockout.count(db, tried)
        login = await db.scalar(wanted(body.email, body.operator_id))
        switched_on = login is not None and await sessions.may_sign_in(db, login)
    hashed = login.password_hash if login else None
    right = await hasher.matches(hashed, body.password.get_secret_value())
    if login is None or not right or not switched_on:
        known = (login.id, login.operator_id) if login else (None, None)
        await lockout.failed(connections, tried, refused, *known)
        raise SignInRefused("check both, or ask who gave you the login")
    how = await totp.check(request, login, body.code)
    async with connections.begin(PLATFORM) as db:
        await lockout.forgive(db, tried)
        # As it is now: meanwhile an admin may have switched it off or changed its password.
        same = select(Login).where(
            Login.id == login.id, Login.active, Login.password_hash == login.password_hash
        )
        # Not a shared lock: two sign-ins of one login would wait for each other's to end when they
        # write when the last one was.
        login = await db.scalar(
            same.with_for_update(key_share=True).execution_options(populate_existing=True)
        )
        if login is None or not await sessions.may_sign_in(db, login):
            raise SignInRefused("check both, or ask who gave you the login")
        made = await sessions.open_session(db, login, request, how)
    response.headers["Cache-Control"] = "no-store"
    return made


def wanted(email: str, operator_id: UUID | None) -> Select[Login]:
    """Whose login is meant: a driver's of the operator; without one, staff's."""
    drivers = (Login.role == "driver") & (Login.operator_id == operator_id)
    return select(Login).where(Login.email == email, drivers if operator_id else STAFF)


def attempt(email: str, operator_id: UUID | None, network: str) -> lockout.Attempt:
    return lockout.Attempt(f"{operator_id} {email}" if operator_id else email, network)
