"""The payment provider that an operator has set, and the routes that set it."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables
from billing.payments import mollie
from billing.payments.amounts import of_every_location
from billing.payments.mollie import Mollie
from billing.payments.provider import Provider, ProviderFailed
from common import sealed, single, versions
from common.auth import Caller, scoped
from common.database import Connections, Db
from common.fields import Body
from common.outbound import Outbound, check_url
from common.problems import NotFound, Problem
from common.refusals import refusing
from common.sealing import Sealer
from common.versions import ExpectedIfSaid

router = APIRouter(tags=["payments"])

reads = scoped("payments:read")
writes = scoped("payments:write")

PATH: Final = "/v1/payment-provider"
# One kind of adapter a name; each is made as Mollie is.
KINDS: Final = {"mollie": Mollie}
ENDPOINTS: Final = {"mollie": mollie.ENDPOINT}


class PaymentProviderNotGood(Problem):
    """detail: what the provider answered, or that it did not."""

    status = 422
    title = "The payment provider cannot be used so"


class SecretNeeded(Problem):
    """A secret never goes to another address than the one it was given for."""

    status = 422
    title = "Send the secret as well"


class PaymentProviderIn(Body):
    kind: Literal["mollie"]
    endpoint: Annotated[str, Field(max_length=500, pattern=r"^https?://[!-~]+$")] | None = Field(
        default=None, description="null: the provider's own", examples=[mollie.ENDPOINT]
    )
    secret: Annotated[SecretStr, Field(min_length=8, max_length=500)] | None = Field(
        default=None,
        description="the API key; left out: as it is, if kind and endpoint stay as they are",
    )
    active: bool = Field(default=True, description="if not, nobody begins to pay online")


class PaymentProviderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    kind: Literal["mollie"]
    endpoint: str
    active: bool
    version: int


class Providers:
    """Makes what speaks to an operator's provider; each raises ProviderFailed."""

    def __init__(self, calls: Outbound, sealer: Sealer | None, *, allow_private: bool) -> None:
        self._calls = calls
        self._sealer = sealer
        self._allow_private = allow_private

    async def of(self, db: AsyncSession, operator_id: UUID) -> Provider:
        """Also one that is not active: what was begun with it is ended with it."""
        row = await of_operator(db, operator_id)
        if row is None:
            raise ProviderFailed("The operator has no payment provider.")
        if self._sealer is None:
            raise ProviderFailed("CSMS_SECRET_KEY is not set.")
        try:
            secret = self._sealer.open(row.sealed_secret).decode()
        except ValueError as error:
            raise ProviderFailed("The secret cannot be read with CSMS_SECRET_KEY.") from error
        return self.made(row.kind, row.endpoint, secret)

    def made(self, kind: str, endpoint: str, secret: str) -> Provider:
        return KINDS[kind](self._calls, endpoint, secret, allow_private=self._allow_private)


async def of_operator(db: AsyncSession, operator_id: UUID) -> tables.PaymentProvider | None:
    table = tables.PaymentProvider
    return await db.scalar(select(table).where(table.operator_id == operator_id))


@router.get(PATH, summary="By which provider customers pay online", dependencies=[reads])
async def read_payment_provider(db: Db, caller: Caller, response: Response) -> PaymentProviderOut:
    row = await of_operator(db, caller.tenant())
    if row is None:
        raise NotFound("the operator has no payment provider")
    return PaymentProviderOut.model_validate(single.tagged(response, row))


@router.put(PATH, summary="Set by which provider customers pay online", dependencies=[writes])
async def set_payment_provider(
    body: PaymentProviderIn,
    expected: ExpectedIfSaid,
    caller: Caller,
    request: Request,
    response: Response,
) -> PaymentProviderOut:
    """It is asked with the secret first, unless it is switched off; what cannot be used is not
    stored. What was begun with another account at the provider is no longer found there.
    """
    of_every_location(caller)
    operator_id = caller.tenant()
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        present = await of_operator(db, operator_id)
    if present is not None:
        versions.require(expected, present.version)
    values = _values(request, body, present)
    if body.active:
        await _look_at(request, values)
    async with connections.acting(caller) as db:
        row = await _put(db, operator_id, present, values)
    return PaymentProviderOut.model_validate(single.tagged(response, row))


def _values(
    request: Request, body: PaymentProviderIn, present: tables.PaymentProvider | None
) -> dict[str, Any]:
    """Raises SecretNeeded, PaymentProviderNotGood, NotConfigured."""
    endpoint = (body.endpoint or ENDPOINTS[body.kind]).rstrip("/")
    try:
        check_url(endpoint, request.app.state.parts.settings.allow_private_endpoints)
        if "?" in endpoint:
            raise ValueError("an endpoint has no ? in it")
    except ValueError as error:
        raise PaymentProviderNotGood(str(error)) from error
    values: dict[str, Any] = {"kind": body.kind, "endpoint": endpoint, "active": body.active}
    if body.secret is not None:
        kept = sealed.sealer(request).seal(body.secret.get_secret_value().encode())
        return values | {"sealed_secret": kept}
    if present is None or (present.kind, present.endpoint) != (body.kind, endpoint):
        raise SecretNeeded("there is none yet for this provider and endpoint")
    return values | {"sealed_secret": present.sealed_secret}


async def _look_at(request: Request, values: dict[str, Any]) -> None:
    """Raises PaymentProviderNotGood."""
    secret = sealed.opened(request, values["sealed_secret"]).decode()
    providers: Providers = request.app.state.beside.payments.providers
    try:
        await providers.made(values["kind"], values["endpoint"], secret).check()
    except ProviderFailed as error:
        raise PaymentProviderNotGood(error.why) from error


async def _put(
    db: AsyncSession,
    operator_id: UUID,
    present: tables.PaymentProvider | None,
    values: dict[str, Any],
) -> tables.PaymentProvider:
    """Only onto what was looked at. Raises VersionChanged."""
    if present is not None:
        version = frozenset({present.version})
        return await single.change(db, tables.PaymentProvider, present.id, version, values)
    row = tables.PaymentProvider(operator_id=operator_id, **values)
    db.add(row)
    with refusing({"uq_payment_provider_operator_id": versions.changed(1)}):
        await db.flush()
    return row


@router.delete(PATH, status_code=204, summary="Forget the provider", dependencies=[writes])
async def delete_payment_provider(db: Db, caller: Caller) -> None:
    """What is open with it is asked about again once there is one."""
    of_every_location(caller)
    table = tables.PaymentProvider
    await db.execute(delete(table).where(table.operator_id == caller.tenant()))
