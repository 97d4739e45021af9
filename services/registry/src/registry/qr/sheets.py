"""Label sheets of many EVSEs, to be printed."""

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Caller, scoped
from common.database import Connections
from common.fields import Body
from common.problems import NotFound, Problem
from registry.qr import codes, links, settings
from registry.qr.labels import Job, Label
from registry.qr.layouts import LAYOUTS, LayoutName
from registry.qr.words import Language
from registry.tables import Evse, Location, Station, StationGroup, StationGroupMember

router = APIRouter(tags=["qr"])
log = logging.getLogger(__name__)

LABELS_MAX: Final = 1000
TOLD_MAX: Final = 50  # of what a problem lists
DRAWN_WITHIN_S: Final = 60.0  # a thousand take 5 s of a core (2026-11-28)
WAIT_S: Final = 20.0
# Each is a process that takes a core; a second waits, more would only make all of them slow.
_drawing: Final = asyncio.Semaphore(1)


class TooManyLabels(Problem):
    status = 422
    title = "Too many labels for one file"


class NothingToPrint(Problem):
    status = 422
    title = "There is no label to print"


class EvsesWithoutCode(Problem):
    status = 409
    title = "EVSEs without a code have no QR code"


class NoSuchEvses(Problem):
    status = 422
    title = "Some EVSE codes are of no EVSE in service"


class SkipsTooMany(Problem):
    status = 422
    title = "The sheet has no more labels than that"


class LabelsBusy(Problem):
    status = 503
    title = "Other label sheets are being drawn"
    headers = {"Retry-After": "20"}  # noqa: RUF012 - a class variable of Problem


class LabelSheetIn(Body):
    """Of which EVSEs: exactly one of evse_codes, location_id and station_group_id."""

    evse_codes: (
        Annotated[
            list[Annotated[str, Field(max_length=codes.CODE_MAX)]],
            Field(min_length=1, max_length=LABELS_MAX),
        ]
        | None
    ) = Field(default=None, description="printed in this order")
    location_id: UUID | None = None
    station_group_id: UUID | None = Field(default=None, description="with the groups in it")
    layout: LayoutName | None = Field(default=None, description="null: that of qr-settings")
    skip: int = Field(
        default=0, ge=0, le=100, description="labels of the first sheet that are gone already"
    )
    languages: Annotated[list[Language], Field(min_length=1, max_length=2)] = Field(
        default=["de"], description="the first leads; a second where there is room"
    )
    leave_out_without_code: bool = Field(
        default=False, description="False: an EVSE without a code is a problem"
    )

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        given = (self.evse_codes, self.location_id, self.station_group_id)
        if sum(one is not None for one in given) != 1:
            raise ValueError("send one of evse_codes, location_id and station_group_id")
        if len(set(self.languages)) != len(self.languages):
            raise ValueError("a language is given twice")
        return self


@router.post(
    "/v1/qr-label-sheets",
    summary="Labels with QR codes, as a PDF to be printed",
    response_class=Response,
    responses={200: {"content": {"application/pdf": {}}}},
    dependencies=[scoped("stations:read")],
)
async def draw_label_sheets(body: LabelSheetIn, caller: Caller, request: Request) -> Response:
    """At most 1000 labels. Stations that are decommissioned are left out; one whose EVSE is asked
    for by its code is a problem. Print at 100 %: the file asks for it.
    """
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        job = await _job(body, db, caller.tenant(), request)
    pdf = await _drawn(job)
    headers = {
        "Content-Disposition": 'inline; filename="qr-labels.pdf"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(pdf, media_type="application/pdf", headers=headers)


async def _job(body: LabelSheetIn, db: AsyncSession, operator_id: UUID, request: Request) -> Job:
    row = await settings.of_operator(db, operator_id)
    layout = LAYOUTS[name := body.layout or row.layout]  # type: ignore[index]
    if body.skip >= layout.per_page:
        raise SkipsTooMany(f"a sheet of {name} has {layout.per_page}: skip fewer")
    made = await codes.stamp(request, db, operator_id)
    labels = [
        Label(code=code, link=made.link(operator_id, code, one.revision))
        for one in await _chosen(body, db, operator_id)
        if (code := one.evse.code)
    ]
    if not labels:
        raise NothingToPrint("no EVSE in service with a code is there")
    return Job(
        layout=name,  # type: ignore[arg-type]
        languages=body.languages,
        skip=body.skip,
        brand=row.brand,
        domain=row.domain,
        logo=await settings.logo_of(db, operator_id),
        labels=labels,
    )


async def _chosen(
    body: LabelSheetIn, db: AsyncSession, operator_id: UUID
) -> Sequence[codes.Issued]:
    """Raises NotFound, NoSuchEvses, EvsesWithoutCode or TooManyLabels."""
    query = codes.query().where(Evse.operator_id == operator_id, Station.active)
    if body.evse_codes is not None:
        return await _by_code(body.evse_codes, db, query)
    if body.location_id is not None:
        await _require(db, select(Location.id).filter_by(id=body.location_id))
        query = query.where(Station.location_id == body.location_id)
    else:
        group = {"operator_id": operator_id, "group_id": body.station_group_id}
        await _require(db, select(StationGroup.id).filter_by(id=body.station_group_id))
        members = select(StationGroupMember.station_id).filter_by(**group)
        query = query.where(Station.id.in_(members))
    query = query.order_by(Station.name, Station.id, Evse.evse_id).limit(LABELS_MAX + 1)
    if body.leave_out_without_code:
        query = query.where(Evse.code.is_not(None))
    found = [codes.issued(row) for row in (await db.execute(query)).all()]
    if len(found) > LABELS_MAX:
        raise TooManyLabels(f"at most {LABELS_MAX}: print by smaller groups, or by codes")
    without = [
        {"station_id": one.evse.station_id, "evse_id": one.evse.evse_id}
        for one in found
        if one.evse.code is None
    ]
    if without:
        raise EvsesWithoutCode(
            f"{len(without)} have none: give them one, or leave them out", evses=without[:TOLD_MAX]
        )
    return found


async def _by_code(sent: list[str], db: AsyncSession, query: Any) -> list[codes.Issued]:
    """In the order in which they were sent, each once."""
    wanted = dict.fromkeys(links.stripped(code) for code in sent)
    rows = await db.execute(query.where(codes.comparable(Evse.code).in_(list(wanted))))
    found = {links.stripped(str(row[0].code)): codes.issued(row) for row in rows.all()}
    if missing := [code for code in sent if links.stripped(code) not in found]:
        raise NoSuchEvses(
            f"{len(missing)} are of no EVSE in service", evse_codes=missing[:TOLD_MAX]
        )
    return [found[code] for code in wanted]


async def _require(db: AsyncSession, query: Any) -> None:
    if await db.scalar(query) is None:
        raise NotFound("there is no such location or station group")


async def _drawn(job: Job) -> bytes:
    """By the program of registry.qr.labels. Raises LabelsBusy."""
    try:
        async with asyncio.timeout(WAIT_S):
            await _drawing.acquire()
    except TimeoutError:
        raise LabelsBusy("try again in a moment") from None
    try:
        return await _run(job.model_dump_json().encode())
    finally:
        _drawing.release()


async def _run(job: bytes) -> bytes:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "registry.qr.labels",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={},  # it needs none of our secrets
    )  # fmt: skip
    try:
        async with asyncio.timeout(DRAWN_WITHIN_S):
            pdf, errors = await program.communicate(job)
    except TimeoutError:
        raise LabelsBusy("the machine is too busy for so many labels") from None
    finally:
        if program.returncode is None:  # too slow, or the caller is gone
            program.kill()
            await program.wait()
    if program.returncode != 0:
        log.error("label sheets: %s", errors.decode(errors="replace")[-2000:])
        raise RuntimeError("the label sheets could not be drawn")
    return pdf
