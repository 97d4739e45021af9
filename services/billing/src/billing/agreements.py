"""Agreements with partners: at which stations their cards charge, and at which price.

A partner that has one charges only where and when one of its agreements says (identity decides
that), one without any charges everywhere. Of several that mean a station the one that names it most
closely counts (pricing.resolution).
"""

from contextlib import AbstractContextManager
from datetime import date
from typing import Annotated, ClassVar, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from billing import tables, tariffs
from billing.places import check_places
from common import outbox, paging, single
from common.auth import Caller, Principal, scoped
from common.database import Db
from common.events import AgreementChanged
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page
from common.places import PlaceIn
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected

router = APIRouter(prefix="/v1/agreements", tags=["agreements"])

reads = scoped("agreements:read")
writes = scoped("agreements:write")

NAMED_MAX: Final = 1000
TOLD: Final = (
    "operator_id", "version", "partner_id", "name", "places", "valid_from", "valid_until",
    "tariff_id",
)  # fmt: skip


class UnknownPartner(Problem):
    status = 422
    title = "The operator has no such partner"


class TariffNotForAgreements(Problem):
    status = 422
    title = "An agreement names a tariff that is agreed only"


class AgreementNameTaken(Problem):
    status = 409
    title = "There is an agreement with this name already"


class AgreementReversed(Problem):
    status = 422
    title = "The agreement would end before it begins"


class AgreementsOfEveryLocation(Problem):
    status = 403
    title = "Agreements are made by staff who see every location"


Places = Annotated[list[PlaceIn], Field(min_length=1, max_length=NAMED_MAX)]
LastDay = Annotated[date | None, Field(description="the last day")]
TariffOfIt = Annotated[
    UUID | None, Field(description="one that is agreed_only; null: the operator's own price")
]


class AgreementIn(Body):
    partner_id: UUID
    name: Line
    places: Places
    valid_from: date | None = Field(default=None, description="by the operator's clock")
    valid_until: LastDay = None
    tariff_id: TariffOfIt = None


class AgreementPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"valid_from", "valid_until", "tariff_id"})

    name: Line | None = None
    places: Places | None = None
    valid_from: date | None = None
    valid_until: LastDay = None
    tariff_id: TariffOfIt = None


class AgreementOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    partner_id: UUID
    name: str
    places: list[PlaceIn]
    valid_from: date | None
    valid_until: date | None
    tariff_id: UUID | None
    version: int


@router.get("", summary="List the agreements", dependencies=[reads])
async def list_agreements(
    db: Db,
    caller: Caller,
    partner_id: UUID | None = None,
    limit: Limit = paging.LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Page[AgreementOut]:
    table = tables.Agreement
    wanted = {table.operator_id: caller.operator_id, table.partner_id: partner_id}
    query = select(table).where(*paging.given(wanted))
    found, after = await paging.rows(db, query, table.id, limit=limit, cursor=cursor)
    return Page(items=[AgreementOut.model_validate(row) for row in found], next_cursor=after)


@router.get("/{agreement_id}", summary="Read an agreement", dependencies=[reads])
async def read_agreement(agreement_id: UUID, db: Db, response: Response) -> AgreementOut:
    row = await single.get(db, tables.Agreement, agreement_id)
    return AgreementOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make an agreement", dependencies=[writes])
async def make_agreement(
    body: AgreementIn, db: Db, caller: Caller, response: Response
) -> AgreementOut:
    """From the next session on; those that run keep their price."""
    _of_every_location(caller)
    operator_id = caller.tenant()
    partner = await db.get(tables.Partner, body.partner_id)
    if partner is None or partner.operator_id != operator_id:
        raise UnknownPartner(f"no partner has the id {body.partner_id}")
    await _check(db, operator_id, body)
    places = [place.model_dump() for place in body.places]
    row = tables.Agreement(operator_id=operator_id, **body.model_dump() | {"places": places})
    db.add(row)
    with _refusing(body.name):
        await db.flush()
    await _tell(db, row)
    return AgreementOut.model_validate(single.tagged(response, row))


@router.patch("/{agreement_id}", summary="Change an agreement", dependencies=[writes])
async def change_agreement(
    agreement_id: UUID,
    body: AgreementPatch,
    expected: Expected,
    db: Db,
    caller: Caller,
    response: Response,
) -> AgreementOut:
    """To end it, send valid_until. From the next session on; those that run keep their price."""
    _of_every_location(caller)
    operator_id = (await single.get(db, tables.Agreement, agreement_id)).operator_id
    await _check(db, operator_id, body)
    with _refusing(body.name):
        row = await single.change(db, tables.Agreement, agreement_id, expected, body.changes())
    await _tell(db, row)
    return AgreementOut.model_validate(single.tagged(response, row))


def _of_every_location(caller: Principal) -> None:
    if caller.locations is not None:
        raise AgreementsOfEveryLocation("ask an admin")


async def _check(db: AsyncSession, operator_id: UUID, body: AgreementIn | AgreementPatch) -> None:
    """Raises UnknownStation, UnknownLocation, TariffNotForAgreements."""
    await check_places(db, operator_id, body.places or ())
    if body.tariff_id is None:
        return
    await tariffs.keep_valid(db, [body.tariff_id])
    tariff = await db.get(tables.Tariff, body.tariff_id)
    if tariff is None or tariff.operator_id != operator_id:
        raise TariffNotForAgreements(f"there is no tariff with the id {body.tariff_id}")
    if not tariff.agreed_only:
        raise TariffNotForAgreements("make a tariff with agreed_only true")
    if tariff.withdrawn_at is not None:
        raise TariffNotForAgreements(f"{tariff.name!r} has been withdrawn")


def _refusing(name: str | None) -> AbstractContextManager[None]:
    return refusing(
        {
            "ck_agreement_valid_from_before_until": AgreementReversed("exchange the two days"),
            "uq_agreement_operator_id_name": AgreementNameTaken(f"there is one called {name!r}"),
        }
    )


async def _tell(db: AsyncSession, row: tables.Agreement) -> None:
    facts = {name: getattr(row, name) for name in TOLD}
    await outbox.emit(db, AgreementChanged(agreement_id=row.id, **facts))
