"""Who calls: a JWT signed by identity, verified here against its published keys.

Keys are fetched in the background. A request waits for them in one case: its token names a key that
is not known yet, and nobody has looked for a while.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID

import httpx
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel, ConfigDict, ValidationError

from common.problems import Problem

log = logging.getLogger(__name__)

ALGORITHM: Final = "Ed25519"
ISSUER: Final = "openlade"
KEYS_MAX_AGE_S = 60.0  # a new signing key is published at least two refreshes before its first use
KEYS_RETRY_S = 0.5  # at start identity may come up a moment after us
# For a key that is not known: a stranger can make up as many as he likes, so not more often.
KEYS_AGAIN_S = 5.0
KEYS_WAIT_S = 2.0  # a request

LoadKeys = Callable[[], Awaitable[dict[str, Any]]]


class Unauthenticated(Problem):
    status = 401
    title = "Not signed in"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - a constant of the class


class MissingScope(Problem):
    status = 403
    title = "Not allowed"


class OperatorRequired(Problem):
    status = 400
    title = "Name the operator"


class Principal(BaseModel):
    """Whoever holds the token."""

    model_config = ConfigDict(frozen=True)

    sub: str
    role: str
    # None: a platform admin who did not choose an operator by the Operator-Id header.
    operator_id: UUID | None
    scopes: frozenset[str]
    sid: UUID | None = None  # the sign-in that the token comes of
    # Staff who may see and change only these; None: every location of the operator.
    locations: frozenset[UUID] | None = None
    partner_id: UUID | None = None  # role partner: whose cards and sessions
    user_id: UUID | None = None  # role driver: whose cards and sessions

    def tenant(self) -> UUID:
        """The operator that new rows belong to. Raises OperatorRequired for a platform admin."""
        if self.operator_id is None:
            raise OperatorRequired("send the header Operator-Id to say which operator you act for")
        return self.operator_id


class KeyRing:
    """The public keys that tokens may be signed with."""

    def __init__(self, load: LoadKeys) -> None:
        self._load = load
        self._keys: KeySet | None = None
        self._looking = asyncio.Lock()
        self._looked_s = -KEYS_AGAIN_S

    @property
    def ready(self) -> bool:
        return self._keys is not None

    async def refresh(self) -> None:
        self._keys = KeySet.import_key_set(await self._load())  # type: ignore[arg-type]

    async def keep_fresh(self) -> None:
        while True:
            try:
                await self.refresh()
                pause_s = KEYS_MAX_AGE_S
            except NOT_REFRESHED as error:
                log.log(
                    logging.DEBUG if self._keys is None else logging.WARNING,
                    "signing keys not refreshed: %s",
                    error,
                )
                pause_s = KEYS_RETRY_S if self._keys is None else KEYS_MAX_AGE_S
            await asyncio.sleep(pause_s)

    def _lacks_key_of(self, token: str) -> bool:
        kid = _key_id(token)
        known = self._keys.keys if self._keys else ()
        return kid is not None and all(key.kid != kid for key in known)

    async def _look_again(self, token: str) -> None:
        """Those who wait share what the first of them finds."""
        async with self._looking:
            at_s = time.monotonic()
            if not self._lacks_key_of(token) or at_s < self._looked_s + KEYS_AGAIN_S:
                return
            self._looked_s = at_s
            try:
                async with asyncio.timeout(KEYS_WAIT_S):
                    await self.refresh()
            except NOT_REFRESHED as error:
                log.warning("no signing keys for a token of an unknown one: %r", error)

    async def claims(self, token: str) -> dict[str, Any]:
        """The verified claims. Raises Unauthenticated for any reason a token is not good."""
        if self._keys is None:
            raise Unauthenticated("the signing keys have not been loaded yet; try again")
        if self._lacks_key_of(token):
            await self._look_again(token)
        try:
            claims = jwt.decode(token, self._keys, algorithms=[ALGORITHM]).claims
            rules = jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": ISSUER}, exp={"essential": True}
            )
            rules.validate(claims)
        except (JoseError, ValueError) as error:
            raise Unauthenticated("the token is not valid or has expired") from error
        return dict(claims)


NOT_REFRESHED: Final = (httpx.HTTPError, ValueError, JoseError, OSError)  # time is up: OSError too


def _key_id(token: str) -> str | None:
    """As the token says it, not believed yet."""
    try:
        kid = jws.extract_compact(token.encode()).headers().get("kid")
    except (JoseError, ValueError, RecursionError):
        return None
    return kid if isinstance(kid, str) else None


def from_url(url: str) -> LoadKeys:
    async def load() -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=5) as client:
            response = await client.get(url)
            response.raise_for_status()
            keys: dict[str, Any] = response.json()
            return keys

    return load


bearer = HTTPBearer(auto_error=False, description="A token from identity's POST /v1/token")


async def _authenticate(
    request: Request,
    scopes: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Principal:
    if credentials is None:
        raise Unauthenticated("send a token: Authorization: Bearer …")
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        principal = await _principal(request, credentials.credentials)
        request.state.principal = principal
    if missing := set(scopes.scopes) - principal.scopes:
        raise MissingScope(f"the token lacks the scope {' '.join(sorted(missing))}")
    return principal


async def _principal(request: Request, token: str) -> Principal:
    claims = await request.app.state.keyring.claims(token)
    try:
        principal = Principal(
            sub=claims["sub"],
            role=claims["role"],
            operator_id=claims.get("operator_id"),
            scopes=frozenset(claims.get("scope", "").split()),
            sid=claims.get("sid"),
            locations=claims.get("locations"),
            partner_id=claims.get("partner_id"),
            user_id=claims.get("user_id"),
        )
        if principal.operator_id is None and (chosen := request.headers.get("Operator-Id")):
            principal = principal.model_copy(update={"operator_id": UUID(chosen)})
    except (KeyError, ValidationError) as error:
        raise Unauthenticated("the token lacks a claim") from error
    except ValueError as error:
        raise OperatorRequired("Operator-Id must be an operator's id") from error
    return principal


Caller = Annotated[Principal, Security(_authenticate)]


async def caller_if_any(request: Request) -> Principal | None:
    """Of a route that asks for no token but makes use of one. Raises Unauthenticated: a bad one."""
    credentials = await bearer(request)
    return await _principal(request, credentials.credentials) if credentials else None


def scoped(scope: str) -> Any:
    """A route's dependency: refuse callers whose token lacks the scope."""
    return Security(_authenticate, scopes=[scope])
