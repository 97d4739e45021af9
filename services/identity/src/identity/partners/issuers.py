"""Partners as the operator's staff keep them."""

from contextlib import AbstractContextManager
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbound, outbox, paging, sealed, single
from common.auth import Caller, scoped
from common.contacts import Email
from common.database import Db
from common.events import PartnerChanged
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from common.refusals import refusing
from common.versions import Expected
from identity.people.cards import Uid
from identity.refusals import UnknownOperator
from identity.staff import tokens
from identity.tables import Partner

router = APIRouter(prefix="/v1/partners", tags=["partners"])

reads = scoped("partners:read")
writes = scoped("partners:write")

PREFIX: Final = "olp_"


class PartnerNameTaken(Problem):
    status = 409
    title = "There is a partner with this name already"


class RealTimeIncomplete(Problem):
    status = 422
    title = "A partner that is asked in real time needs an endpoint and a secret"


class EndpointRefused(Problem):
    status = 422
    title = "This address will not be called"


Mode = Annotated[
    Literal["list", "real_time"],
    Field(
        description="list: the cards it pushes are its cards; real_time: it is asked at each tap"
    ),
]
Fallback = Annotated[
    Literal["accept", "refuse", "list"],
    Field(
        description="when a real-time partner does not answer; list: its pushed cards are accepted"
    ),
]
Endpoint = Annotated[
    str, Field(min_length=1, max_length=2000, examples=["https://cards.example/authorize"])
]
Prefixes = Annotated[
    list[Uid],
    Field(
        max_length=50,
        description="unknown tokens that begin with one of these are asked about in real time; "
        "the longest of all partners' prefixes decides who is asked",
    ),
]


class PartnerIn(Body):
    name: Line
    active: bool = True
    email: Email | None = None
    mode: Mode = "list"
    endpoint: Endpoint | None = None
    fallback: Fallback = "list"
    prefixes: Prefixes = Field(default=[])


class PartnerPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"email", "endpoint"})

    name: Line | None = None
    active: bool | None = None
    email: Email | None = None
    mode: Mode | None = None
    endpoint: Endpoint | None = None
    fallback: Fallback | None = None
    prefixes: Prefixes | None = None


class PartnerOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    active: bool
    email: str | None
    mode: Mode
    endpoint: str | None
    fallback: Fallback
    prefixes: list[str]
    version: int


class SecretOut(BaseModel):
    secret: str = Field(description="shown this once; signs what is sent to it")
    version: int


@router.get("", summary="List the partners", dependencies=[reads])
async def list_partners(
    db: Db,
    caller: Caller,
    name: Line | None = None,
    active: bool | None = None,
    mode: Mode | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PartnerOut]:
    wanted = {
        Partner.operator_id: caller.operator_id,
        Partner.name: name,
        Partner.active: active,
        Partner.mode: mode,
    }
    conditions = paging.given(wanted)
    query = select(Partner).where(*conditions)
    found, following = await rows(db, query, Partner.id, limit=limit, cursor=cursor)
    return Page(items=[PartnerOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{partner_id}", summary="Read a partner", dependencies=[reads])
async def read_partner(partner_id: UUID, db: Db, response: Response) -> PartnerOut:
    row = await single.get(db, Partner, partner_id)
    return PartnerOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make a partner", dependencies=[writes])
async def make_partner(
    body: PartnerIn, db: Db, caller: Caller, request: Request, response: Response
) -> PartnerOut:
    _check_endpoint(request, body.endpoint)
    row = Partner(operator_id=caller.tenant(), **body.model_dump())
    db.add(row)
    with _refusing(body.name):
        await db.flush()
    await _tell(db, row)
    return PartnerOut.model_validate(single.tagged(response, row))


@router.patch(
    "/{partner_id}",
    summary="Change a partner, or switch it and all its cards off",
    dependencies=[writes],
)
async def change_partner(
    partner_id: UUID,
    body: PartnerPatch,
    expected: Expected,
    db: Db,
    request: Request,
    response: Response,
) -> PartnerOut:
    """With active false its cards are refused at the next tap, and its keys sign in no more."""
    _check_endpoint(request, body.endpoint)
    with _refusing(body.name):
        row = await single.change(db, Partner, partner_id, expected, body.changes())
    await _tell(db, row)
    return PartnerOut.model_validate(single.tagged(response, row))


@router.post("/{partner_id}/secret", summary="Make the partner a new secret", dependencies=[writes])
async def make_secret(partner_id: UUID, db: Db, request: Request, response: Response) -> SecretOut:
    """The old one is of no use from this moment on."""
    secret = tokens.new(PREFIX)
    kept = sealed.sealer(request).seal(secret.encode())
    changed = (
        update(Partner)
        .where(Partner.id == partner_id)
        .values(secret=kept, version=Partner.version + 1)
        .returning(Partner)
    )
    row = await db.scalar(changed)
    if row is None:
        raise NotFound(f"there is no partner with the id {partner_id}")
    await _tell(db, row)
    response.headers["Cache-Control"] = "no-store"
    return SecretOut(secret=secret, version=single.tagged(response, row).version)


def _check_endpoint(request: Request, endpoint: str | None) -> None:
    """Raises EndpointRefused."""
    if endpoint is None:
        return
    try:
        outbound.check_url(endpoint, request.app.state.parts.settings.allow_private_endpoints)
    except ValueError as error:
        raise EndpointRefused(str(error)) from error


def _refusing(name: str | None) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_partner_operator_id_name": PartnerNameTaken(f"another partner is called {name!r}"),
            "ck_partner_real_time_complete": RealTimeIncomplete(
                "make the partner with mode list, then its secret, then send mode and endpoint"
            ),
            "fk_partner_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
        }
    )


async def _tell(db: AsyncSession, row: Partner) -> None:
    event = PartnerChanged(
        operator_id=row.operator_id,
        partner_id=row.id,
        version=row.version,
        name=row.name,
        active=row.active,
    )
    await outbox.emit(db, event)
