"""Tokens: signed ones that say who calls, random ones that are kept as a hash only."""

import hashlib
import secrets
import time
from typing import Any, Literal
from uuid import UUID

from fastapi import Request
from joserfc import jwt
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common import sealed
from common.auth import ALGORITHM, ISSUER
from identity.staff import keys, roles
from identity.staff.key_schedule import TOKEN_S


class TokenOut(BaseModel):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - not a password
    expires_in: int = Field(description="seconds")
    refresh_token: str | None = Field(
        default=None,
        description="for the next access token, once; its answer has the one after it. "
        "None: sign in again",
    )
    operator_id: UUID | None = Field(description="null: the platform's own staff")
    role: roles.Role | Literal["api-key"]
    limited: bool = Field(
        default=False,
        description="good for the own account only: set up a second factor, then refresh",
    )


async def issue(
    db: AsyncSession,
    request: Request,
    *,
    sub: UUID,
    role: roles.Role | Literal["api-key"],
    operator_id: UUID | None,
    scope: str,
    **more: Any,
) -> TokenOut:
    """more: claims that are left out if None (common.auth.Principal)."""
    kid, key = await keys.current(db, sealed.if_any(request))
    issued_at = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": str(sub),
        "role": role,
        "operator_id": str(operator_id) if operator_id else None,
        "scope": scope,
        "iat": issued_at,
        "exp": issued_at + TOKEN_S,
        **{name: value for name, value in more.items() if value is not None},
    }
    token = jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, key, algorithms=[ALGORITHM])
    return TokenOut(access_token=token, expires_in=TOKEN_S, operator_id=operator_id, role=role)


def new(prefix: str) -> str:
    """256 bits; the prefix says what it is when it turns up where it should not."""
    return prefix + secrets.token_urlsafe(32)


def hashed(token: str) -> bytes:
    """Without salt: it is as random as a hash."""
    return hashlib.sha256(token.encode()).digest()
