"""An operator's OpenID provider, kept by its admins: by it the operator's staff signs in.

Who may change it decides who signs in, so its scope is that of logins.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import sealed, single, versions
from common.auth import Caller, scoped
from common.database import Connections, Db
from common.fields import Body, Line
from common.outbound import check_url
from common.problems import NotConfigured, NotFound, Problem
from common.refusals import refusing
from common.versions import ExpectedIfSaid
from identity.refusals import UnknownOperator
from identity.staff import providers, sessions
from identity.staff.providers import ProviderFailed
from identity.staff.roles import OperatorRole
from identity.tables import Login, OidcProvider, OidcSubject, SignIn

router = APIRouter(tags=["logins"])

reads = scoped("logins:read")
writes = scoped("logins:write")

PATH = "/v1/oidc-provider"


class ProviderNotGood(Problem):
    """detail: what the provider answered, or that it did not."""

    status = 422
    title = "This is no OpenID provider that we can use"


class SecretNeeded(Problem):
    """A secret never goes to another address than the one it was given for."""

    status = 422
    title = "Send the client secret as well"


Domain = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=253,
        pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$",
    ),
]


class OidcProviderIn(Body):
    issuer: Annotated[str, Field(max_length=500, pattern=r"^https?://[!-~]+$")] = Field(
        description="exactly as the provider says it", examples=["https://login.example.org"]
    )
    client_id: Line
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="left out: as it is, if issuer and client_id stay as they are"
    )
    email_domains: Annotated[list[Domain], Field(min_length=1, max_length=50)] = Field(
        description="who has a verified e-mail address of one of them may sign in",
        examples=[["example.org"]],
    )
    newcomers_role: OperatorRole | None = Field(
        default=None, description="of who has no login yet; null: an admin makes each login"
    )
    active: bool = True


class OidcProviderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    issuer: str
    client_id: str
    email_domains: list[str]
    newcomers_role: OperatorRole | None
    active: bool
    version: int
    redirect_uri: str = Field(description="to be entered at the provider")


def redirect_uri(request: Request) -> str:
    """The console's page that the provider sends people back to. Raises NotConfigured."""
    public_url: str | None = request.app.state.parts.settings.public_url
    if public_url is None:
        raise NotConfigured("set CSMS_PUBLIC_URL; the provider sends people back to it")
    return public_url.rstrip("/") + "/sign-in/oidc"


def _told(request: Request, response: Response, row: OidcProvider) -> OidcProviderOut:
    single.tagged(response, row)
    values = {
        name: getattr(row, name) for name in OidcProviderOut.model_fields if name != "redirect_uri"
    }
    return OidcProviderOut(**values, redirect_uri=redirect_uri(request))


async def of_operator(db: AsyncSession, operator_id: UUID) -> OidcProvider | None:
    query = select(OidcProvider).where(OidcProvider.operator_id == operator_id)
    return await db.scalar(query)


@router.get(PATH, summary="By which provider staff signs in", dependencies=[reads])
async def read_provider(
    db: Db, caller: Caller, request: Request, response: Response
) -> OidcProviderOut:
    row = await of_operator(db, caller.tenant())
    if row is None:
        raise NotFound("the operator has no provider of its own")
    return _told(request, response, row)


@router.put(PATH, summary="Set by which provider staff signs in", dependencies=[writes])
async def set_provider(
    body: OidcProviderIn,
    expected: ExpectedIfSaid,
    caller: Caller,
    request: Request,
    response: Response,
) -> OidcProviderOut:
    """It is asked for its configuration first, unless it is switched off; what cannot be used is
    not stored.

    Who is signed in by it is signed out when it is switched off or becomes another.
    """
    redirect_uri(request)
    operator_id = caller.tenant()
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        present = await of_operator(db, operator_id)
    if present is not None:
        versions.require(expected, present.version)
    values = _values(request, body, present)
    if body.active:
        await _look_at(request, body.issuer)
    async with connections.acting(caller) as db:
        row = await _put(db, operator_id, present, values)
        if present and (present.issuer != row.issuer or not row.active):
            await _sign_out(db, operator_id)
    return _told(request, response, row)


def _values(request: Request, body: OidcProviderIn, present: OidcProvider | None) -> dict[str, Any]:
    values = body.model_dump(exclude={"client_secret"})
    values["email_domains"] = sorted(set(body.email_domains))
    sealer = sealed.sealer(request)
    if body.client_secret is not None:
        values["sealed_secret"] = sealer.seal(body.client_secret.get_secret_value().encode())
    elif present is None or (present.issuer, present.client_id) != (body.issuer, body.client_id):
        raise SecretNeeded("there is none yet for this issuer and client_id")
    return values


async def _look_at(request: Request, issuer: str) -> None:
    """Raises ProviderNotGood."""
    try:
        check_url(issuer, request.app.state.parts.settings.allow_private_endpoints)
        if "?" in issuer:
            raise ValueError("an issuer has no ? in it")
        await providers.of_app(request).discover(issuer, anew=True)
    except ProviderFailed as error:
        raise ProviderNotGood(error.why) from error
    except ValueError as error:
        raise ProviderNotGood(str(error)) from error


async def _put(
    db: AsyncSession, operator_id: UUID, present: OidcProvider | None, values: dict[str, Any]
) -> OidcProvider:
    """Only onto what was looked at: a kept secret is of that issuer. Raises VersionChanged."""
    if present is not None:
        version = frozenset({present.version})
        return await single.change(db, OidcProvider, present.id, version, values)
    row = OidcProvider(operator_id=operator_id, **values)
    db.add(row)
    refusals: dict[str, Problem] = {
        "uq_oidc_provider_operator_id": versions.changed(1),
        "fk_oidc_provider_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
    }
    with refusing(refusals):
        await db.flush()
    return row


async def _sign_out(db: AsyncSession, operator_id: UUID) -> None:
    by_it = (SignIn.operator_id == operator_id, SignIn.how == "oidc")
    await sessions.end(db, "the provider was changed", *by_it)


@router.delete(PATH, status_code=204, summary="Forget the provider", dependencies=[writes])
async def delete_provider(db: Db, caller: Caller) -> None:
    """Who is signed in by it is signed out. Whom it knew is kept, for when it comes back."""
    operator_id = caller.tenant()
    await db.execute(delete(OidcProvider).where(OidcProvider.operator_id == operator_id))
    await _sign_out(db, operator_id)


@router.delete(
    "/v1/logins/{login_id}/oidc",
    status_code=204,
    summary="Forget who a login is at the provider, and sign it out everywhere",
    dependencies=[writes],
)
async def forget_subject(login_id: UUID, db: Db) -> None:
    """For a person who is somebody new at the provider; the next sign-in binds the login anew."""
    await single.get(db, Login, login_id)
    await db.execute(delete(OidcSubject).where(OidcSubject.login_id == login_id))
    await sessions.end(db, "the provider's account was forgotten", SignIn.login_id == login_id)
