"""API keys: what programs sign in with. Shown once, kept as a hash."""

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Annotated, ClassVar, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import audit, client, paging, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, Db
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity.fields import Locations
from identity.public_posts import limited
from identity.refusals import UnknownOperator
from identity.staff import lockout, tokens
from identity.staff.logins import within
from identity.staff.roles import ACCOUNT, OF_AN_OPERATOR, SCOPES
from identity.staff.tokens import TokenOut
from identity.tables import ApiKey, Operator, Partner

router = APIRouter(tags=["api keys"])

reads = scoped("api-keys:read")
writes = scoped("api-keys:write")

PREFIX: Final = "olk_"
HINT: Final = 8
# What would let a key make itself another that may more.
OF_PEOPLE: Final = frozenset({"logins:write", "api-keys:write"})
NOTED_EVERY: Final = timedelta(minutes=1)  # when it was used last


class ScopeNotYours(Problem):
    status = 403
    title = "A key may do what its maker may, and no more"


class UnknownPartner(Problem):
    status = 422
    title = "The operator has no such partner"


class KeyRefused(Problem):
    status = 401
    title = "This API key is not good"


Scopes = Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=60)]


class ApiKeyIn(Body):
    name: Line
    scopes: Scopes
    partner_id: UUID | None = Field(
        default=None, description="a partner's key: it sees this partner's cards and sessions only"
    )
    location_ids: Locations | None = None
    expires_at: AnyMoment | None = None


class ApiKeyPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"expires_at"})

    name: Line | None = None
    expires_at: AnyMoment | None = None


class ApiKeyOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    partner_id: UUID | None
    name: str
    hint: str = Field(description="how it begins")
    scopes: list[str]
    location_ids: list[UUID] | None
    made_by: str
    made_at: AnyMoment
    expires_at: AnyMoment | None
    last_used_at: AnyMoment | None = Field(description="to the minute")
    last_used_ip: str | None
    revoked_at: AnyMoment | None
    version: int


class NewApiKey(ApiKeyOut):
    key: str = Field(description="shown this once")


class KeyIn(Body):
    api_key: Annotated[str, Field(min_length=1, max_length=100)]


@router.get("/v1/api-keys", summary="List the API keys", dependencies=[reads])
async def list_keys(
    db: Db,
    caller: Caller,
    partner_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ApiKeyOut]:
    wanted = {ApiKey.operator_id: caller.operator_id, ApiKey.partner_id: partner_id}
    conditions = paging.given(wanted)
    query = select(ApiKey).where(*conditions)
    found, following = await rows(db, query, ApiKey.id, limit=limit, cursor=cursor)
    return Page(items=[ApiKeyOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/v1/api-keys/{key_id}", summary="Read an API key", dependencies=[reads])
async def read_key(key_id: UUID, db: Db, response: Response) -> ApiKeyOut:
    row = await single.get(db, ApiKey, key_id)
    return ApiKeyOut.model_validate(single.tagged(response, row))


@router.post("/v1/api-keys", status_code=201, summary="Make an API key", dependencies=[writes])
async def make_key(body: ApiKeyIn, db: Db, caller: Caller, response: Response) -> NewApiKey:
    _allowed(body, caller)
    key = tokens.new(PREFIX)
    row = ApiKey(
        operator_id=caller.tenant(),
        key_hash=tokens.hashed(key),
        hint=key[:HINT],
        made_by=caller.sub,
        made_at=now(),
        **body.model_dump(exclude={"scopes"}),
        scopes=sorted(set(body.scopes)),
    )
    db.add(row)
    with _refusing(body):
        await db.flush()
    response.headers["Cache-Control"] = "no-store"
    told = ApiKeyOut.model_validate(single.tagged(response, row))
    return NewApiKey(**told.model_dump(), key=key)


def _allowed(body: ApiKeyIn, caller: Principal) -> None:
    """Raises ScopeNotYours."""
    wanted = set(body.scopes)
    may = (caller.scopes & OF_AN_OPERATOR) - ACCOUNT - OF_PEOPLE
    if body.partner_id is not None:
        may = SCOPES["partner"]
    if beyond := wanted - may:
        raise ScopeNotYours(f"not yours to give: {' '.join(sorted(beyond))}")
    within(caller, body.location_ids)


@router.patch(
    "/v1/api-keys/{key_id}",
    summary="Rename an API key, or end it at a moment",
    dependencies=[writes],
)
async def change_key(
    key_id: UUID, body: ApiKeyPatch, expected: Expected, db: Db, response: Response
) -> ApiKeyOut:
    row = await single.change(db, ApiKey, key_id, expected, body.changes())
    return ApiKeyOut.model_validate(single.tagged(response, row))


@router.delete(
    "/v1/api-keys/{key_id}", status_code=204, summary="Revoke an API key", dependencies=[writes]
)
async def revoke_key(key_id: UUID, db: Db) -> None:
    """It gives no more tokens; one given out lives a quarter of an hour at most."""
    await single.get(db, ApiKey, key_id)
    live = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    await db.execute(live.values(revoked_at=now(), version=ApiKey.version + 1))


def _refusing(body: ApiKeyIn) -> AbstractContextManager[None]:
    return refusing(
        {
            "fk_api_key_operator_id_partner_id": UnknownPartner(
                f"no partner has the id {body.partner_id}"
            ),
            "fk_api_key_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
        }
    )


@router.post(
    "/v1/token/api-key",
    summary="An access token for an API key",
    tags=["token"],
    dependencies=[limited("renew")],
)
async def sign_in_with_key(body: KeyIn, request: Request, response: Response) -> TokenOut:
    """Again when it ends; there is no refresh token, for the key itself is one."""
    response.headers["Cache-Control"] = "no-store"
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        key = await _good(db, tokens.hashed(body.api_key))
        if key is None:
            await _note_refusal(db, tokens.hashed(body.api_key))
        else:
            await _note_use(db, key)
            made = await _token(db, request, key)
    # Beyond the transaction: the note stays.
    if key is None:
        raise KeyRefused("it is unknown, expired or revoked, or its partner is not active")
    return made


async def _token(db: AsyncSession, request: Request, key: ApiKey) -> TokenOut:
    locations = key.location_ids
    return await tokens.issue(
        db,
        request,
        sub=key.id,
        role="partner" if key.partner_id else "api-key",
        operator_id=key.operator_id,
        scope=" ".join(key.scopes),
        partner_id=str(key.partner_id) if key.partner_id else None,
        locations=None if locations is None else [str(one) for one in locations],
    )


async def _note_refusal(db: AsyncSession, key_hash: bytes) -> None:
    """In the audit log, for who holds a key that is over may be a thief; now and then suffices."""
    key = await db.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash))
    if key is not None and await lockout.first(db, f"refused key {key.id}"):
        told = {
            "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
            "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        }
        await audit.note(
            db, "api_key", {"id": str(key.id)}, "refused",
            operator_id=key.operator_id, sub=str(key.id), role="nobody", after=told,
        )  # fmt: skip


async def _good(db: AsyncSession, key_hash: bytes) -> ApiKey | None:
    query = (
        select(ApiKey)
        .join(Operator, Operator.id == ApiKey.operator_id)
        .outerjoin(Partner, Partner.id == ApiKey.partner_id)
        .where(
            Operator.active,
            ApiKey.key_hash == key_hash,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()),
            or_(ApiKey.partner_id.is_(None), Partner.active),
        )
    )
    return await db.scalar(query)


async def _note_use(db: AsyncSession, key: ApiKey) -> None:
    at = now()
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < at - NOTED_EVERY)
    noted = update(ApiKey).where(ApiKey.id == key.id, stale)
    await db.execute(noted.values(last_used_at=at, last_used_ip=client.address.get()))
