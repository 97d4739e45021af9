"""Signing in: an e-mail address and a password become a token.

No database connection is held while a password is checked: a dozen people signing in would
otherwise starve the authorize decisions, which share the pool.
"""

import time
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from joserfc import jwt
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import select

from common.auth import ALGORITHM, ISSUER
from common.database import PLATFORM, Connections
from common.problems import Problem
from identity.fields import Body, Email
from identity.staff import keys, lockout, roles
from identity.staff.passwords import Hashing
from identity.tables import Login

router = APIRouter(prefix="/v1/token", tags=["token"])

TOKEN_S: Final = 900  # how long a blocked login can still act; a token cannot be called back


class SignInRefused(Problem):
    """One answer for an unknown address, a wrong password and a login that is switched off."""

    status = 401
    title = "E-mail address or password is wrong"


class TokenIn(Body):
    email: Email
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]


class TokenOut(BaseModel):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - not a password
    expires_in: int = Field(description="seconds")
    operator_id: UUID | None = Field(description="null: the platform's own staff")
    role: roles.Role


@router.post("", summary="Sign in")
async def sign_in(body: TokenIn, request: Request, response: Response, hasher: Hashing) -> TokenOut:
    connections: Connections = request.app.state.connections
    hasher.refuse_if_full()  # before the attempt counts: our load is not the person's failure
    async with connections.begin(PLATFORM) as db:
        await lockout.count(db, body.email)
        login = await db.scalar(select(Login).where(Login.email == body.email))
    hashed = login.password_hash if login else None
    right = await hasher.matches(hashed, body.password.get_secret_value())
    if login is None or not right or not login.active:
        raise SignInRefused("check both, or ask who gave you the login")
    async with connections.begin(PLATFORM) as db:
        await lockout.forgive(db, body.email)
        kid, key = await keys.current(db)
    issued_at = int(time.time())
    role = roles.known(login.role)
    claims = {
        "iss": ISSUER,
        "sub": str(login.id),
        "role": role,
        "operator_id": str(login.operator_id) if login.operator_id else None,
        "scope": roles.scope_claim(role),
        "iat": issued_at,
        "exp": issued_at + TOKEN_S,
    }
    token = jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, key, algorithms=[ALGORITHM])
    response.headers["Cache-Control"] = "no-store"
    return TokenOut(
        access_token=token, expires_in=TOKEN_S, operator_id=login.operator_id, role=role
    )
