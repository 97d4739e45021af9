"""Cost centres: how a company splits its bill."""

from contextlib import AbstractContextManager
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, single
from common.auth import scoped
from common.database import Db
from common.events import CostCentreChanged
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from common.refusals import refusing
from common.versions import Expected
from identity.tables import Company, CostCentre

router = APIRouter(prefix="/v1/companies/{company_id}/cost-centres", tags=["companies"])

reads = scoped("companies:read")
writes = scoped("companies:write")


class CostCentreCodeTaken(Problem):
    status = 409
    title = "The company has a cost centre with this code already"


class CostCentreIn(Body):
    code: Line
    name: Line


class CostCentrePatch(Patch):
    code: Line | None = None
    name: Line | None = None


class CostCentreOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    company_id: UUID
    code: str
    name: str
    version: int


@router.get("", summary="List a company's cost centres", dependencies=[reads])
async def list_cost_centres(
    company_id: UUID, db: Db, limit: Limit = 50, cursor: Cursor = None
) -> Page[CostCentreOut]:
    await single.get(db, Company, company_id)
    query = select(CostCentre).where(CostCentre.company_id == company_id)
    found, following = await rows(db, query, CostCentre.id, limit=limit, cursor=cursor)
    return Page(items=[CostCentreOut.model_validate(row) for row in found], next_cursor=following)


@router.post("", status_code=201, summary="Make a cost centre", dependencies=[writes])
async def make_cost_centre(
    company_id: UUID, body: CostCentreIn, db: Db, response: Response
) -> CostCentreOut:
    company = await single.get(db, Company, company_id)
    row = CostCentre(operator_id=company.operator_id, company_id=company_id, **body.model_dump())
    db.add(row)
    with _refusing(body.code):
        await db.flush()
    await _tell(db, row)
    return CostCentreOut.model_validate(single.tagged(response, row))


@router.patch("/{cost_centre_id}", summary="Change a cost centre", dependencies=[writes])
async def change_cost_centre(
    company_id: UUID,
    cost_centre_id: UUID,
    body: CostCentrePatch,
    expected: Expected,
    db: Db,
    response: Response,
) -> CostCentreOut:
    if (await single.get(db, CostCentre, cost_centre_id)).company_id != company_id:
        raise NotFound(f"the company has no cost centre with the id {cost_centre_id}")
    with _refusing(body.code):
        row = await single.change(db, CostCentre, cost_centre_id, expected, body.changes())
    await _tell(db, row)
    return CostCentreOut.model_validate(single.tagged(response, row))


def _refusing(code: str | None) -> AbstractContextManager[None]:
    taken = CostCentreCodeTaken(f"the company has a cost centre {code!r}")
    return refusing({"uq_cost_centre_operator_id_company_id_code": taken})


async def _tell(db: AsyncSession, row: CostCentre) -> None:
    event = CostCentreChanged(
        operator_id=row.operator_id,
        cost_centre_id=row.id,
        company_id=row.company_id,
        version=row.version,
        code=row.code,
        name=row.name,
    )
    await outbox.emit(db, event)
