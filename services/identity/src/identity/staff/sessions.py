"""Where people are signed in. Every way to sign in ends in open_session.

A refresh token is good for one use (RFC 9700, 4.14.2). One that comes a second time was copied: by
a thief or from the owner, nobody can tell, so the sign-in ends for both. Only an answer that was
lost is forgiven: for GRACE the same token may be used again.
"""

import logging
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import client, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, Db, OwnDb, PlatformDb, set_actor
from common.fields import Body
from common.ids import uuid7
from common.problems import NotFound, Problem
from identity.policies import Policies
from identity.public_posts import limited
from identity.staff import roles, second_factors, tokens
from identity.staff.tokens import TokenOut
from identity.tables import Login, OidcProvider, Operator, RefreshToken, SignIn

log = logging.getLogger(__name__)

router = APIRouter(tags=["token"])

PREFIX: Final = "olr_"
IDLE: Final = timedelta(days=14)
LIFETIME: Final = timedelta(days=90)
GRACE: Final = timedelta(seconds=10)
AGENT_MAX: Final = 200
KEPT: Final = timedelta(days=90)  # after its end, so that staff can see it was there
LISTED_MAX: Final = 200


class RefreshRefused(Problem):
    status = 401
    title = "This sign-in is over"


class ProviderOnly(Problem):
    """Told only to who has proved to be the login's owner."""

    status = 403
    title = "Sign in by your operator's own provider"


class RefreshIn(Body):
    refresh_token: Annotated[str, Field(min_length=1, max_length=100)]


class SignInOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    how: str
    made_at: AnyMoment
    last_used_at: AnyMoment
    expires_at: AnyMoment
    ip: str | None
    user_agent: str | None
    current: bool = Field(default=False, description="the one that asks")


class SignIns(BaseModel):
    items: list[SignInOut]


async def may_sign_in(db: AsyncSession, login: Login) -> bool:
    """Whether the login is active, and its operator; db must see the platform."""
    if login.operator_id is None:
        return login.active
    on = select(Operator.active).where(Operator.id == login.operator_id)
    return login.active and bool(await db.scalar(on))


async def open_session(db: AsyncSession, login: Login, request: Request, how: str) -> TokenOut:
    """Sign in; db must see the platform.

    The caller has made sure that it is this person, and that they may_sign_in. Raises ProviderOnly.
    """
    if await _must_use_provider(db, login, how):
        raise ProviderOnly("POST /v1/token/oidc/begin")
    at = now()
    row = SignIn(
        id=uuid7(),
        login_id=login.id,
        operator_id=login.operator_id,
        how=how,
        made_at=at,
        last_used_at=at,
        expires_at=at + IDLE,
        ends_at=at + LIFETIME,
        ip=client.address.get(),
        user_agent=_printable(request.headers.get("user-agent", ""))[:AGENT_MAX] or None,
    )
    await db.execute(update(Login).where(Login.id == login.id).values(last_sign_in_at=at))
    # From here on it is noted.
    await _acts(db, login)
    db.add(row)
    await db.flush()
    return await _tokens(db, login, row, request)


async def _must_use_provider(db: AsyncSession, login: Login, how: str) -> bool:
    """By the operator's policy; without a provider that is active it would lock everybody out."""
    if how == "oidc" or login.operator_id is None or login.role == "driver" or login.break_glass:
        return False
    on = select(OidcProvider.id).where(
        OidcProvider.operator_id == login.operator_id, OidcProvider.active
    )
    operator = await db.get(Operator, login.operator_id)
    policies = Policies.model_validate(getattr(operator, "policies", None) or {})
    return policies.sso_only and await db.scalar(on) is not None


async def _acts(db: AsyncSession, login: Login) -> None:
    """Staff come and go in the audit log; drivers, who are many, in sign_in alone."""
    if login.role != "driver":
        await set_actor(db, str(login.id), login.role)


def _printable(text: str) -> str:
    return "".join(one for one in text if one.isprintable())


async def _tokens(db: AsyncSession, login: Login, row: SignIn, request: Request) -> TokenOut:
    refresh = tokens.new(PREFIX)
    db.add(
        RefreshToken(
            token_hash=tokens.hashed(refresh), sign_in_id=row.id, operator_id=row.operator_id
        )
    )
    role = roles.known(login.role)
    limited = login.location_ids
    only_account = await _only_account(db, login, row.how)
    made = await tokens.issue(
        db,
        request,
        sub=login.id,
        role=role,
        operator_id=login.operator_id,
        scope=second_factors.scope(role, only_account=only_account),
        sid=str(row.id),
        locations=None if limited is None else [str(one) for one in limited],
        user_id=str(login.user_id) if login.user_id else None,
    )
    return made.model_copy(update={"refresh_token": refresh, "limited": only_account})


async def _only_account(db: AsyncSession, login: Login, how: str) -> bool:
    """Asked for each token, so that a policy holds for those who are signed in already."""
    operator = await db.get(Operator, login.operator_id) if login.operator_id else None
    policies = getattr(operator, "policies", None) or {}
    return second_factors.limited(policies, login.role, how)


@router.post(
    "/v1/token/refresh",
    summary="The next access token, and the next refresh token",
    dependencies=[limited("renew")],
)
async def refresh(body: RefreshIn, request: Request, response: Response) -> TokenOut:
    """What the login may do is read anew: a role taken away is gone from the next token on."""
    response.headers["Cache-Control"] = "no-store"
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        made = await _refreshed(db, tokens.hashed(body.refresh_token), request)
    # Beyond the transaction: that a stolen one ended the sign-in stays.
    if made is None:
        raise RefreshRefused("sign in again")
    return made


async def _refreshed(db: AsyncSession, token_hash: bytes, request: Request) -> TokenOut | None:
    at = now()
    token = RefreshToken
    first = update(token).where(token.token_hash == token_hash, token.used_at.is_(None))
    sign_in_id = await db.scalar(first.values(used_at=at).returning(token.sign_in_id))
    if sign_in_id is None:
        sign_in_id = await _used_again(db, token_hash)
    if sign_in_id is None:
        return None
    found = await db.execute(
        select(SignIn, Login)
        .join(Login, Login.id == SignIn.login_id)
        .outerjoin(Operator, Operator.id == Login.operator_id)
        .where(
            SignIn.id == sign_in_id,
            SignIn.revoked_at.is_(None),
            SignIn.expires_at > at,
            SignIn.ends_at > at,
            Login.active,
            or_(Login.operator_id.is_(None), Operator.active),
        )
        .with_for_update(of=SignIn)
    )
    if (row := found.one_or_none()) is None:
        return None
    sign_in, login = row
    if await _must_use_provider(db, login, sign_in.how):
        return None
    sign_in.last_used_at = at
    sign_in.expires_at = min(at + IDLE, sign_in.ends_at)
    sign_in.ip = client.address.get()
    return await _tokens(db, login, sign_in, request)


async def _used_again(db: AsyncSession, token_hash: bytes) -> UUID | None:
    """The sign-in of a token whose answer was lost; one that was copied ends its sign-in."""
    token = await db.get(RefreshToken, token_hash)
    if token is None or token.used_at is None:
        return None
    if token.used_at > now() - GRACE:
        return token.sign_in_id
    await set_actor(db, "unknown", "nobody")  # its owner or a thief
    ended = await end(db, "a refresh token was used twice", SignIn.id == token.sign_in_id)
    if ended:
        log.warning("sign-in %s ended: a refresh token was used twice", token.sign_in_id)
    return None


@router.post(
    "/v1/token/revoke", status_code=204, summary="Sign out", dependencies=[limited("renew")]
)
async def sign_out(body: RefreshIn, request: Request) -> None:
    """With any of the sign-in's refresh tokens. One that is unknown is signed out already."""
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        token = await db.get(RefreshToken, tokens.hashed(body.refresh_token))
        if token is None:
            return
        of_it = SignIn.id == token.sign_in_id
        login = await db.scalar(
            select(Login).join(SignIn, SignIn.login_id == Login.id).where(of_it)
        )
        if login is not None:
            await _acts(db, login)
        await end(db, "signed out", of_it)


async def end(db: AsyncSession, why: str, *which: object) -> int:
    """Sign-ins that shall give no more tokens; those given out live TOKEN_S at most."""
    ended = update(SignIn).where(SignIn.revoked_at.is_(None), *which)  # type: ignore[arg-type]
    done = await db.execute(ended.values(revoked_at=now(), revoked_why=why))
    return int(getattr(done, "rowcount", 0))


async def prune_once(connections: Connections) -> None:
    """Long over: also their tokens, by cascade."""
    async with connections.begin(PLATFORM) as db:
        oldest = now() - KEPT
        over = or_(SignIn.expires_at < oldest, SignIn.revoked_at < oldest)
        await db.execute(delete(SignIn).where(over))
        # One that old is refused as unknown.
        await db.execute(delete(RefreshToken).where(RefreshToken.used_at < now() - IDLE))


@router.get(
    "/v1/account/sessions",
    summary="Where I am signed in",
    dependencies=[scoped("account:read")],
)
async def list_my_sessions(db: PlatformDb, caller: Caller) -> SignIns:
    return await _open(db, own_id(caller), caller)


@router.delete(
    "/v1/account/sessions/{sign_in_id}",
    status_code=204,
    summary="Sign out another device of mine",
    dependencies=[scoped("account:write")],
)
async def end_my_session(sign_in_id: UUID, db: OwnDb, caller: Caller) -> None:
    await _end_one(db, sign_in_id, SignIn.login_id == own_id(caller))


@router.get(
    "/v1/logins/{login_id}/sessions",
    summary="Where a login is signed in",
    dependencies=[scoped("logins:read")],
)
async def list_sessions(login_id: UUID, db: Db, caller: Caller) -> SignIns:
    await single.get(db, Login, login_id)
    return await _open(db, login_id, caller)


@router.delete(
    "/v1/logins/{login_id}/sessions",
    status_code=204,
    summary="Sign a login out everywhere",
    dependencies=[scoped("logins:write")],
)
async def end_sessions(login_id: UUID, db: Db) -> None:
    await single.get(db, Login, login_id)
    await end(db, "by an admin", SignIn.login_id == login_id)


def own_id(caller: Principal) -> UUID:
    """The login that calls. Raises NotFound for what is no login: API keys have no account."""
    try:
        return UUID(caller.sub)
    except ValueError:
        raise NotFound("the token is of no login") from None


async def _open(db: AsyncSession, login_id: UUID, caller: Principal) -> SignIns:
    at = now()
    query = (
        select(SignIn)
        .where(SignIn.login_id == login_id, SignIn.revoked_at.is_(None), SignIn.expires_at > at)
        .order_by(SignIn.last_used_at.desc())
        .limit(LISTED_MAX)
    )
    items = [SignInOut.model_validate(row) for row in await db.scalars(query)]
    for item in items:
        item.current = item.id == caller.sid
    return SignIns(items=items)


async def _end_one(db: AsyncSession, sign_in_id: UUID, *which: object) -> None:
    if not await end(db, "by its owner", SignIn.id == sign_in_id, *which):
        raise NotFound(f"you have no sign-in with the id {sign_in_id}")
