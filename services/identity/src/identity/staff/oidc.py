"""Signing in by the operator's own provider: OpenID Connect, authorization code with PKCE.

The browser keeps a handle from the beginning to the end, so an answer that somebody else began is
good for nothing in it. Nonce and PKCE's verifier are made of the handle and kept nowhere.
"""

import base64
import hashlib
import hmac
import logging
import secrets
import time
from datetime import timedelta
from typing import Annotated, Final, NamedTuple
from uuid import UUID

import httpx
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import sealed
from common.auth import Principal
from common.clock import now
from common.database import PLATFORM, Connections
from common.fields import Body
from common.problems import Problem
from common.refusals import refusing
from identity.public_posts import limited
from identity.staff import begun, id_tokens, providers, sessions, tokens
from identity.staff.id_tokens import Asked, NotBelieved, Person
from identity.staff.oidc_provider import of_operator, redirect_uri
from identity.staff.providers import Client, CodeRefused, Discovered, ProviderFailed
from identity.staff.tokens import TokenOut
from identity.tables import Login, OidcBegun, OidcProvider, OidcSubject, Operator

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/token/oidc", tags=["token"])

LASTS: Final = timedelta(minutes=10)  # people sign in there first, some with a second factor
HOW: Final = "oidc"


class NoProvider(Problem):
    status = 404
    title = "This operator has no provider to sign in by"


class ProviderUnavailable(Problem):
    """Why is in the log: it is the operator's own business."""

    status = 502
    title = "The operator's sign-in provider does not answer as it should"


class OidcRefused(Problem):
    """One answer for whatever is wrong with it."""

    status = 401
    title = "This sign-in is not good here"


class BeginIn(Body):
    operator_id: UUID


class BegunOut(BaseModel):
    authorization_url: str = Field(description="where the browser goes now")
    handle: str = Field(description="kept by the browser and sent to the finish; a secret")
    expires_in: int = Field(description="seconds")


Word = Annotated[str, Field(min_length=1, max_length=4000, pattern=r"^[ -~]+$")]


class FinishIn(Body):
    """state, code and iss as the provider's redirect brought them."""

    state: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")]
    code: Word
    handle: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[ -~]+$")]
    iss: Word | None = Field(default=None, description="RFC 9207")


class Handle(NamedTuple):
    """What is made of it: one cannot be found from another."""

    text: str

    def _made(self, of: str) -> str:
        digest = hmac.digest(self.text.encode(), of.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def nonce(self) -> str:
        return self._made("nonce")

    @property
    def verifier(self) -> str:
        return self._made("verifier")

    @property
    def challenge(self) -> str:
        """RFC 7636, S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@router.post(
    "/begin", summary="Begin to sign in by the operator's provider", dependencies=[limited("begin")]
)
async def begin(body: BeginIn, request: Request, response: Response) -> BegunOut:
    """Good once, for ten minutes."""
    back = redirect_uri(request)
    connections: Connections = request.app.state.connections
    handle, state = Handle(secrets.token_urlsafe(32)), secrets.token_urlsafe(32)
    async with connections.begin(body.operator_id) as db:
        provider = await of_operator(db, body.operator_id)
        operator = await db.get(Operator, body.operator_id)
    if provider is None or not provider.active or operator is None or not operator.active:
        raise NoProvider("sign in another way")
    async with connections.begin(PLATFORM) as db:
        admitted = await begun.admit(db, OidcBegun, LASTS)
        db.add(
            OidcBegun(
                state_hash=tokens.hashed(state),
                handle_hash=tokens.hashed(handle.text),
                provider_id=provider.id,
                provider_version=provider.version,
                operator_id=provider.operator_id,
                **admitted,
            )
        )
    found = await _discover(request, provider)
    there = httpx.URL(found.authorization_endpoint).copy_merge_params(
        {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": back,
            "scope": "openid email",
            "state": state,
            "nonce": handle.nonce,
            "code_challenge": handle.challenge,
            "code_challenge_method": "S256",
        }
    )
    response.headers["Cache-Control"] = "no-store"
    return BegunOut(
        authorization_url=str(there),
        handle=handle.text,
        expires_in=int(LASTS.total_seconds()),
    )


async def _discover(request: Request, provider: OidcProvider) -> Discovered:
    try:
        return await providers.of_app(request).discover(provider.issuer)
    except ProviderFailed as error:
        log.warning("the provider of operator %s: %s", provider.operator_id, error.why)
        raise ProviderUnavailable("try again, or ask an admin") from error


@router.post(
    "/finish",
    summary="Sign in with what the operator's provider sent back",
    dependencies=[limited("sign-in")],
)
async def finish(body: FinishIn, request: Request, response: Response) -> TokenOut:
    response.headers["Cache-Control"] = "no-store"
    provider = await _take(request, body)
    if provider is None:
        raise OidcRefused("begin again, in this browser")
    found = await _discover(request, provider)
    if (found.authorization_response_iss_parameter_supported or body.iss) and (
        body.iss != provider.issuer
    ):
        raise _refused(provider, "its answer came by another provider")
    try:
        person = await _person(request, provider, found, body)
        email = id_tokens.admitted(person, provider.email_domains)
    except ProviderFailed as error:
        log.warning("the provider of operator %s: %s", provider.operator_id, error.why)
        raise ProviderUnavailable("begin again, or ask an admin") from error
    except (CodeRefused, NotBelieved) as error:
        raise _refused(provider, str(error)) from error
    login_id = await _login_of(request, provider, person.subject, email)
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        login = await _staff(db, provider, Login.id == login_id)
        if login is None or not await sessions.may_sign_in(db, login):
            raise _refused(provider, "the login is switched off")
        return await sessions.open_session(db, login, request, HOW)


def _refused(provider: OidcProvider, why: str) -> OidcRefused:
    log.info("a sign-in by the provider of operator %s: %s", provider.operator_id, why)
    return OidcRefused("begin again, or ask an admin whether you have a login")


async def _take(request: Request, body: FinishIn) -> OidcProvider | None:
    """The provider that this browser was sent to, as it was then; used up in any case."""
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        row = OidcBegun
        used = delete(row).where(
            row.state_hash == tokens.hashed(body.state), row.expires_at > now()
        )
        taken = (
            await db.execute(used.returning(row.provider_id, row.provider_version, row.handle_hash))
        ).one_or_none()
        if taken is None or not hmac.compare_digest(taken[2], tokens.hashed(body.handle)):
            return None
        same = select(OidcProvider).where(
            OidcProvider.id == taken[0], OidcProvider.version == taken[1], OidcProvider.active
        )
        return await db.scalar(same)


async def _person(
    request: Request, provider: OidcProvider, found: Discovered, body: FinishIn
) -> Person:
    """Raises ProviderFailed, CodeRefused or NotBelieved."""
    asking, handle = providers.of_app(request), Handle(body.handle)
    client = Client(provider.client_id, sealed.opened(request, provider.sealed_secret).decode())
    got = await asking.exchange(found, client, body.code, handle.verifier, redirect_uri(request))
    key = await asking.key(found, got.id_token)
    asked = Asked(provider.issuer, provider.client_id, handle.nonce)
    person = id_tokens.believed(got.id_token, key, asked, got.access_token, time.time())
    if person.email is None and found.userinfo_endpoint:
        told = await asking.person(found.userinfo_endpoint, got.access_token)
        if told.subject != person.subject:
            raise NotBelieved("its userinfo tells of somebody else")
        return told
    return person


async def _login_of(request: Request, provider: OidcProvider, subject: str, email: str) -> UUID:
    """The login that the provider's subject is bound to; at the first sign-in it is bound.

    Within the operator's walls: a provider reaches no other operator's logins, nor the platform's.
    """
    connections: Connections = request.app.state.connections
    # So that the audit log notes what comes of it.
    acting = Principal(
        sub=f"{HOW} {provider.id}",
        role=HOW,
        operator_id=provider.operator_id,
        scopes=frozenset(),
    )
    async with connections.acting(acting) as db:
        bound = await db.scalar(
            select(OidcSubject)
            .where(
                OidcSubject.operator_id == provider.operator_id,
                OidcSubject.issuer == provider.issuer,
                OidcSubject.subject == subject,
            )
            .with_for_update()
        )
        if bound is not None:
            bound.last_used_at = now()
            return bound.login_id
        login = await _staff(db, provider, Login.email == email, Login.active)
        login = login or await _newcomer(db, provider, email)
        row = OidcSubject(
            login_id=login.id,
            issuer=provider.issuer,
            subject=subject,
            operator_id=provider.operator_id,
            made_at=now(),
            last_used_at=now(),
        )
        db.add(row)
        taken = _refused(provider, "the login is bound to somebody else there")
        names = ("pk_oidc_subject", "uq_oidc_subject_operator_id_issuer_subject")
        with refusing(dict.fromkeys(names, taken)):
            await db.flush()
        return login.id


async def _newcomer(db: AsyncSession, provider: OidcProvider, email: str) -> Login:
    if provider.newcomers_role is None:
        raise _refused(provider, "there is no login with this e-mail address")
    login = Login(
        operator_id=provider.operator_id,
        email=email,
        role=provider.newcomers_role,
        active=True,
    )
    db.add(login)
    # Of another operator, of the platform, or switched off: no word of which.
    elsewhere = _refused(provider, "the e-mail address is of another login")
    with refusing({"uq_login_email": elsewhere}):
        await db.flush()
    return login


async def _staff(db: AsyncSession, provider: OidcProvider, *which: object) -> Login | None:
    """Of this operator; neither a driver nor, being of no operator, a platform admin."""
    query = select(Login).where(
        Login.operator_id == provider.operator_id,
        Login.role.not_in(("driver", "platform-admin")),
        *which,  # type: ignore[arg-type]
    )
    return await db.scalar(query.with_for_update(key_share=True))
