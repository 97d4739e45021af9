"""Companies: one master card, whose account is billed, and many user cards."""

from contextlib import AbstractContextManager
from typing import Annotated, Any, ClassVar
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging, single
from common.auth import Caller, scoped
from common.contacts import Email
from common.database import Db
from common.events import CompanyChanged
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity.refusals import UnknownOperator
from identity.tables import Card, Company, CostCentre, Table

router = APIRouter(prefix="/v1/companies", tags=["companies"])

reads = scoped("companies:read")
writes = scoped("companies:write")

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]  # ISO 3166-1 alpha-2


class CompanyExternalIdTaken(Problem):
    status = 409
    title = "Another company has this external id"


class CompanyIn(Body):
    name: Line
    external_id: Line | None = None
    email: Email | None = None
    street: Line | None = None
    postal_code: Line | None = None
    city: Line | None = None
    country: Country | None = None
    vat_id: Line | None = None
    active: bool = True


class CompanyPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset(
        {"external_id", "email", "street", "postal_code", "city", "country", "vat_id"}
    )

    name: Line | None = None
    external_id: Line | None = None
    email: Email | None = None
    street: Line | None = None
    postal_code: Line | None = None
    city: Line | None = None
    country: Country | None = None
    vat_id: Line | None = None
    active: bool | None = None


class CompanyOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    external_id: str | None
    email: str | None
    street: str | None
    postal_code: str | None
    city: str | None
    country: str | None
    vat_id: str | None
    active: bool
    version: int


class CompanyWhole(CompanyOut):
    master_card_id: UUID | None = Field(description="the card whose account is billed")
    cards: int = Field(description="its cards, blocked ones and the master card too")
    cost_centres: int


@router.get("", summary="List the companies", dependencies=[reads])
async def list_companies(
    db: Db,
    caller: Caller,
    name: Line | None = None,
    external_id: Line | None = None,
    active: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[CompanyOut]:
    wanted = {
        Company.operator_id: caller.operator_id,
        Company.name: name,
        Company.external_id: external_id,
        Company.active: active,
    }
    conditions = paging.given(wanted)
    query = select(Company).where(*conditions)
    found, following = await rows(db, query, Company.id, limit=limit, cursor=cursor)
    return Page(items=[CompanyOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{company_id}", summary="Read a company", dependencies=[reads])
async def read_company(company_id: UUID, db: Db, response: Response) -> CompanyWhole:
    row = await single.get(db, Company, company_id)
    known = CompanyOut.model_validate(single.tagged(response, row))
    cards = (Card.operator_id == row.operator_id, Card.company_id == company_id)
    return CompanyWhole(
        **known.model_dump(),
        master_card_id=await db.scalar(select(Card.id).where(*cards, Card.company_master)),
        cards=await _count(db, Card, *cards),
        cost_centres=await _count(db, CostCentre, CostCentre.company_id == company_id),
    )


async def _count(db: AsyncSession, table: type[Table], *conditions: Any) -> int:
    return await db.scalar(select(func.count()).select_from(table).where(*conditions)) or 0


@router.post("", status_code=201, summary="Make a company", dependencies=[writes])
async def make_company(body: CompanyIn, db: Db, caller: Caller, response: Response) -> CompanyOut:
    row = Company(operator_id=caller.tenant(), **body.model_dump())
    db.add(row)
    with _refusing(body.external_id):
        await db.flush()
    await _tell(db, row)
    return CompanyOut.model_validate(single.tagged(response, row))


@router.patch(
    "/{company_id}", summary="Change a company, or switch all its cards off", dependencies=[writes]
)
async def change_company(
    company_id: UUID, body: CompanyPatch, expected: Expected, db: Db, response: Response
) -> CompanyOut:
    with _refusing(body.external_id):
        row = await single.change(db, Company, company_id, expected, body.changes())
    await _tell(db, row)
    return CompanyOut.model_validate(single.tagged(response, row))


def _refusing(external_id: str | None) -> AbstractContextManager[None]:
    taken = CompanyExternalIdTaken(f"another company has the external id {external_id!r}")
    return refusing(
        {
            "uq_company_operator_id_external_id": taken,
            "fk_company_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
        }
    )


async def _tell(db: AsyncSession, row: Company) -> None:
    event = CompanyChanged(
        operator_id=row.operator_id,
        company_id=row.id,
        version=row.version,
        name=row.name,
        active=row.active,
        vat_id=row.vat_id,
    )
    await outbox.emit(db, event)
