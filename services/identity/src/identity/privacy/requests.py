"""What people ask about their data: an archive of it, or to be forgotten (GDPR, 15, 17 and 20)."""

import asyncio
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, privacy
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, Db
from common.fields import Body
from common.paging import Cursor, Limit, Page, rows
from common.problems import NotFound, Problem
from common.refusals import refusing
from identity.people import cards, users
from identity.privacy import erasure, gathering
from identity.tables import PrivacyPart, PrivacyRequest, RetentionReport, User

router = APIRouter(prefix="/v1", tags=["privacy"])

reads = scoped("privacy:read")
writes = scoped("privacy:write")

ARCHIVE_KEPT: Final = timedelta(days=14)
ZIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}


class NoSuchPerson(Problem):
    status = 422
    title = "The operator has no such person"


class ErasedAlready(Problem):
    status = 409
    title = "This person is erased already"


class NotReadyYet(Problem):
    status = 409
    title = "The archive is not complete yet"
    headers = {"Retry-After": "2"}  # noqa: RUF012 - a constant of the class


class ArchiveGone(Problem):
    status = 410
    title = "The archive was kept for two weeks"


class NothingToApprove(Problem):
    status = 409
    title = "Only an erasure that a driver asked for is approved"


Kind = Literal["export", "erasure"]


class PrivacyRequestIn(Body):
    user_id: UUID
    kind: Kind


class OwnPrivacyRequestIn(Body):
    kind: Kind


class PrivacyRequestOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    user_id: UUID
    kind: Kind
    state: Literal["asked", "under_way", "done", "gone"] = Field(
        description="asked: a driver's wish that staff must approve; gone: its archive is deleted"
    )
    asked_by: str
    asked_at: AnyMoment
    done_at: AnyMoment | None
    changed: dict[str, dict[str, int]] = Field(
        default={}, description="of an erasure: rows by service and what they are"
    )


class RetentionReportOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    service: str
    at: AnyMoment
    changed: dict[str, int]


RequestPath = Annotated[UUID, Path()]


@router.post(
    "/privacy-requests",
    status_code=201,
    summary="Collect a person's data, or erase the person",
    dependencies=[writes],
)
async def ask(body: PrivacyRequestIn, db: Db, caller: Caller) -> PrivacyRequestOut:
    request = _new(caller, body.user_id, body.kind)
    db.add(request)
    with _refusing(body.user_id):
        await db.flush()
    await _carry_out(db, request)
    return PrivacyRequestOut.model_validate(request)


@router.post(
    "/privacy-requests/{request_id}/approve",
    summary="Carry out the erasure that a driver asked for",
    dependencies=[writes],
)
async def approve(request_id: RequestPath, db: Db) -> PrivacyRequestOut:
    approved = update(PrivacyRequest).where(
        PrivacyRequest.id == request_id, PrivacyRequest.state == "asked"
    )
    request = await db.scalar(approved.values(state="under_way").returning(PrivacyRequest))
    if request is None:
        await _get(db, request_id)
        raise NothingToApprove("it is under way or done")
    await _carry_out(db, request)
    return PrivacyRequestOut.model_validate(request)


@router.get("/privacy-requests", summary="List what people asked", dependencies=[reads])
async def list_requests(
    db: Db,
    caller: Caller,
    user_id: UUID | None = None,
    kind: Kind | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[PrivacyRequestOut]:
    wanted = {
        PrivacyRequest.operator_id: caller.operator_id,
        PrivacyRequest.user_id: user_id,
        PrivacyRequest.kind: kind,
    }
    query = select(PrivacyRequest).where(*paging.given(wanted))
    found, following = await rows(db, query, PrivacyRequest.id, limit=limit, cursor=cursor)
    items = [PrivacyRequestOut.model_validate(row) for row in found]
    return Page(items=items, next_cursor=following)


@router.get(
    "/privacy-requests/{request_id}", summary="What came of a request", dependencies=[reads]
)
async def read_request(request_id: RequestPath, db: Db) -> PrivacyRequestOut:
    request = await _get(db, request_id)
    told = PrivacyRequestOut.model_validate(request)
    if request.kind == "erasure":
        of_it = select(PrivacyPart).where(PrivacyPart.request_id == request_id)
        told.changed = {part.service: part.rows[0] for part in await db.scalars(of_it)}
    return told


@router.get(
    "/privacy-requests/{request_id}/archive",
    summary="Everything about the person as a ZIP file of JSON",
    dependencies=[reads],
    response_class=Response,
    responses=ZIP,
)
async def read_archive(request_id: RequestPath, db: Db) -> Response:
    return await _archive(db, await _get(db, request_id))


@router.post(
    "/me/privacy-requests",
    status_code=201,
    summary="Ask for my data, or to be forgotten",
    dependencies=[scoped("me:write")],
)
async def ask_for_mine(body: OwnPrivacyRequestIn, db: Db, caller: Caller) -> PrivacyRequestOut:
    """An export begins at once; an erasure when staff have approved it."""
    request = _new(caller, _mine(caller), body.kind)
    if body.kind == "erasure":
        request.state = "asked"
    db.add(request)
    with _refusing(request.user_id):
        await db.flush()
    if body.kind == "export":
        await _carry_out(db, request)
    return PrivacyRequestOut.model_validate(request)


@router.get(
    "/me/privacy-requests/{request_id}/archive",
    summary="Everything about me as a ZIP file of JSON",
    dependencies=[scoped("me:read")],
    response_class=Response,
    responses=ZIP,
)
async def read_my_archive(request_id: RequestPath, db: Db, caller: Caller) -> Response:
    request = await _get(db, request_id)
    if request.user_id != _mine(caller):
        raise _unknown(request_id)
    return await _archive(db, request)


@router.get(
    "/retention-reports",
    summary="What was removed because it is kept no longer",
    dependencies=[reads],
)
async def list_reports(
    db: Db, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> Page[RetentionReportOut]:
    query = select(RetentionReport)
    if caller.operator_id is not None:
        query = query.where(RetentionReport.operator_id == caller.operator_id)
    found, following = await rows(db, query, RetentionReport.id, limit=limit, cursor=cursor)
    items = [RetentionReportOut.model_validate(row) for row in found]
    return Page(items=items, next_cursor=following)


def _new(caller: Principal, user_id: UUID, kind: Kind) -> PrivacyRequest:
    return PrivacyRequest(
        operator_id=caller.tenant(),
        user_id=user_id,
        kind=kind,
        state="under_way",
        asked_by=caller.sub,
        asked_at=now(),
    )


def _mine(caller: Principal) -> UUID:
    if caller.user_id is None:
        raise NoSuchPerson("the token is nobody's who charges")
    return caller.user_id


async def _carry_out(db: AsyncSession, request: PrivacyRequest) -> None:
    if request.kind == "export":
        await gathering.begin_export(db, request)
        return
    if await erasure.is_erased(db, request):
        raise ErasedAlready("nothing names them any more")
    user, their_cards = await erasure.erase(db, request)
    await users.tell_many(db, [user])
    for card in their_cards:
        await cards.tell(db, card)


async def _get(db: AsyncSession, request_id: UUID) -> PrivacyRequest:
    request = await db.get(PrivacyRequest, request_id)
    if request is None:
        raise _unknown(request_id)
    return request


def _unknown(request_id: UUID) -> NotFound:
    return NotFound(f"there is no privacy request with the id {request_id}")


async def _archive(db: AsyncSession, request: PrivacyRequest) -> Response:
    if request.kind != "export":
        raise _unknown(request.id)
    if request.state == "gone":
        raise ArchiveGone("ask for another")
    if request.state != "done":
        raise NotReadyYet("a service has not answered yet")
    of_it = select(PrivacyPart).where(PrivacyPart.request_id == request.id)
    parts = (await db.scalars(of_it)).all()
    whole = await asyncio.to_thread(gathering.archive, parts)
    headers = {
        "Content-Disposition": f'attachment; filename="personal-data-{request.user_id}.zip"',
        "Cache-Control": "no-store",
    }
    return Response(whole, media_type="application/zip", headers=headers)


def _refusing(user_id: UUID) -> AbstractContextManager[None]:
    unknown = NoSuchPerson(f"no user has the id {user_id}")
    return refusing({"fk_privacy_request_operator_id_user_id": unknown})


async def sweep_once(connections: Connections) -> None:
    """Archives are copies of personal data: they go after two weeks."""
    async with connections.begin(PLATFORM) as db:
        old = update(PrivacyRequest).where(
            PrivacyRequest.kind == "export",
            PrivacyRequest.state != "gone",
            PrivacyRequest.asked_at < now() - ARCHIVE_KEPT,
        )
        gone = (await db.scalars(old.values(state="gone").returning(PrivacyRequest.id))).all()
        await db.execute(delete(PrivacyPart).where(PrivacyPart.request_id.in_(gone)))
        # What was on its way to the audit log when they were erased.
        lately = select(User).where(User.erased_at > now() - privacy.TOKEN_KEPT)
        for user in (await db.scalars(lately)).all():
            await erasure.forget_changes(db, user.operator_id, user.id)
