"""Templates: what stations of one model are made of, and how their EVSE codes are formed."""

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, single
from common.auth import Caller, scoped
from common.database import Db
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected, require
from registry.hardware.evse_codes import CodePattern, made_of
from registry.hardware.models import Evse, EvseKind, EvseKinds
from registry.tables import StationTemplate

router = APIRouter(prefix="/v1/station-templates", tags=["station templates"])

reads = scoped("stations:read")
writes = scoped("stations:write")


class TemplateNameTaken(Problem):
    status = 409
    title = "There is a template with this name already"


class TemplateModelTaken(Problem):
    status = 409
    title = "There is a template for this model already"


class CodePatternUnfit(Problem):
    status = 422
    title = "The template's pattern makes no EVSE code of this station id"


class TemplateUnknown(Problem):
    status = 422
    title = "No such template"


class TemplateIn(Body):
    name: Line
    vendor: Line = Field(description="as stations tell it at boot; the case of letters is nothing")
    model: Line = Field(description="as stations tell it at boot")
    code_pattern: CodePattern | None = Field(
        default=None,
        description="{station}: the station's id in capitals, of it only A-Z, 0-9 and *; {evse}: "
        "the number of the EVSE; null: no codes are made",
    )
    evses: EvseKinds = Field(default_factory=lambda: [EvseKind(evse_id=1)])


class TemplatePatch(Patch):
    """The EVSEs are replaced as a whole. Stations that were made of it stay as they are."""

    may_be_null = frozenset({"code_pattern"})

    name: Line | None = None
    vendor: Line | None = None
    model: Line | None = None
    code_pattern: CodePattern | None = None
    evses: EvseKinds | None = None


class TemplateOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    version: int
    name: str
    vendor: str
    model: str
    code_pattern: str | None
    evses: list[EvseKind]


_REFUSALS = {
    "uq_station_template_operator_id_name": TemplateNameTaken("choose another name"),
    "uq_station_template_model": TemplateModelTaken("one template for a vendor's model"),
}


async def for_model(
    db: AsyncSession, operator_id: UUID, vendor: str | None, model: str | None
) -> StationTemplate | None:
    """An operator's template for what a station told of itself at boot."""
    if vendor is None or model is None:
        return None
    row: StationTemplate | None = await db.scalar(
        select(StationTemplate).where(
            StationTemplate.operator_id == operator_id,
            func.lower(StationTemplate.vendor) == vendor.strip().lower(),
            func.lower(StationTemplate.model) == model.strip().lower(),
        )
    )
    return row


async def by_model(db: AsyncSession) -> dict[tuple[UUID, str, str], UUID]:
    """Of each operator that is seen, vendor and model in small letters."""
    vendor, model = func.lower(StationTemplate.vendor), func.lower(StationTemplate.model)
    found = await db.execute(select(StationTemplate.operator_id, vendor, model, StationTemplate.id))
    return {(operator_id, by, named): its for operator_id, by, named, its in found}


async def find(db: AsyncSession, operator_id: UUID, template_id: UUID) -> StationTemplate:
    """Raises TemplateUnknown, for another operator's too: a platform admin sees every one's."""
    mine = {"operator_id": operator_id, "id": template_id}
    row: StationTemplate | None = await db.scalar(select(StationTemplate).filter_by(**mine))
    if row is None:
        raise TemplateUnknown("there is no such template", template_id=str(template_id))
    return row


def applied(template: StationTemplate, station_id: str) -> list[Evse]:
    """The EVSEs of a station of this model, with their codes. Raises CodePatternUnfit."""
    kinds = map(EvseKind.model_validate, template.evses)
    try:
        return made_of(kinds, template.code_pattern, station_id)
    except ValueError as error:
        raise CodePatternUnfit(str(error)) from error


@router.get("", summary="List station templates", dependencies=[reads])
async def list_templates(
    db: Db, limit: Limit = paging.LIMIT_DEFAULT, cursor: Cursor = None
) -> Page[TemplateOut]:
    query = select(StationTemplate)
    found, after = await paging.rows(db, query, StationTemplate.id, limit=limit, cursor=cursor)
    return Page(items=[TemplateOut.model_validate(row) for row in found], next_cursor=after)


@router.get("/{template_id}", summary="Read a station template", dependencies=[reads])
async def read_template(template_id: UUID, db: Db, response: Response) -> TemplateOut:
    row = await single.get(db, StationTemplate, template_id)
    return TemplateOut.model_validate(single.tagged(response, row))


@router.post("", summary="Make a station template", status_code=201, dependencies=[writes])
async def create_template(
    body: TemplateIn, db: Db, caller: Caller, response: Response
) -> TemplateOut:
    row = StationTemplate(operator_id=caller.tenant(), **body.model_dump())
    db.add(row)
    with refusing(_REFUSALS):
        await db.flush()
    return TemplateOut.model_validate(single.tagged(response, row))


@router.patch("/{template_id}", summary="Change a station template", dependencies=[writes])
async def change_template(
    template_id: UUID, body: TemplatePatch, db: Db, response: Response, expected: Expected
) -> TemplateOut:
    with refusing(_REFUSALS):
        row = await single.change(db, StationTemplate, template_id, expected, body.changes())
    return TemplateOut.model_validate(single.tagged(response, row))


@router.delete(
    "/{template_id}", summary="Delete a station template", status_code=204, dependencies=[writes]
)
async def delete_template(template_id: UUID, db: Db, expected: Expected) -> None:
    """Stations that were made of it stay as they are."""
    row = await single.get(db, StationTemplate, template_id)
    require(expected, row.version)
    await db.execute(delete(StationTemplate).where(StationTemplate.id == template_id))
