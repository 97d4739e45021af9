"""Operators: the tenants. Only the platform's own staff has these scopes."""

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox
from common.auth import scoped
from common.database import Db, set_operator
from common.events import OperatorChanged
from common.ids import uuid7
from common.money import Currency
from common.paging import Cursor, Limit, Page, rows
from common.versions import Expected
from identity import single
from identity.fields import Body, Line, Patch, TimeZone
from identity.tables import Operator

router = APIRouter(prefix="/v1/operators", tags=["operators"])

reads = scoped("operators:read")
writes = scoped("operators:write")


class OperatorIn(Body):
    name: Line
    time_zone: TimeZone = "Europe/Berlin"
    currency: Currency = "EUR"


class OperatorPatch(Patch):
    name: Line | None = None
    time_zone: TimeZone | None = None
    currency: Currency | None = None


class OperatorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    time_zone: str
    currency: str
    version: int


@router.get("", summary="List the operators", dependencies=[reads])
async def list_operators(
    db: Db,
    name: Line | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[OperatorOut]:
    query = select(Operator)
    if name is not None:
        query = query.where(Operator.name == name)
    found, following = await rows(db, query, Operator.id, limit=limit, cursor=cursor)
    return Page(items=[OperatorOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{operator_id}", summary="Read an operator", dependencies=[reads])
async def read_operator(operator_id: UUID, db: Db, response: Response) -> OperatorOut:
    row = await single.get(db, Operator, operator_id)
    return OperatorOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make an operator", dependencies=[writes])
async def make_operator(body: OperatorIn, db: Db, response: Response) -> OperatorOut:
    operator_id = uuid7()
    # The new row's own wall: it is not yet that of the operator the caller may act for.
    await set_operator(db, operator_id)
    row = Operator(id=operator_id, **body.model_dump())
    db.add(row)
    await db.flush()
    await _tell(db, row)
    return OperatorOut.model_validate(single.tagged(response, row))


@router.patch("/{operator_id}", summary="Change an operator", dependencies=[writes])
async def change_operator(
    operator_id: UUID, body: OperatorPatch, expected: Expected, db: Db, response: Response
) -> OperatorOut:
    row = await single.change(db, Operator, operator_id, expected, body.changes())
    await _tell(db, row)
    return OperatorOut.model_validate(single.tagged(response, row))


async def _tell(db: AsyncSession, row: Operator) -> None:
    await outbox.emit(
        db,
        OperatorChanged(
            operator_id=row.id,
            version=row.version,
            name=row.name,
            time_zone=row.time_zone,
            currency=row.currency,
        ),
    )
