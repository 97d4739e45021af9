"""Users: the people who charge."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging, single
from common.auth import Caller, scoped
from common.clock import AnyMoment
from common.contacts import Email
from common.database import Db
from common.events import UserChanged
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity.refusals import UnknownOperator
from identity.tables import Card, User, UserGroupMember

router = APIRouter(prefix="/v1/users", tags=["users"])

reads = scoped("users:read")
writes = scoped("users:write")


class ExternalIdTaken(Problem):
    status = 409
    title = "Another user has this external id"


class UnknownUser(Problem):
    status = 422
    title = "The operator has no such user"


class ErasedUser(Problem):
    status = 409
    title = "This user was erased and stays so"


class UserIn(Body):
    name: Line
    email: Email | None = None
    external_id: Line | None = None
    active: bool = True


class UserPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"email", "external_id"})

    name: Line | None = None
    email: Email | None = None
    external_id: Line | None = None
    active: bool | None = None


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    email: str | None
    external_id: str | None
    active: bool
    erased_at: AnyMoment | None
    group_ids: list[UUID] = Field(default=[], description="the user groups they are in")
    cards: int = Field(default=0, description="how many they have, blocked ones too")
    version: int


def _chosen(
    caller: Caller,
    name: Line | None = None,
    email: Email | None = None,
    external_id: Line | None = None,
    active: bool | None = None,
    group_id: UUID | None = None,
    q: Annotated[
        Line | None, Query(description="in the name, the e-mail address or the external id")
    ] = None,
) -> list[ColumnElement[bool]]:
    wanted = {
        User.operator_id: caller.operator_id,
        User.name: name,
        User.email: email,
        User.external_id: external_id,
        User.active: active,
    }
    conditions = paging.given(wanted)
    if group_id is not None:
        of_it = select(UserGroupMember.user_id).where(UserGroupMember.group_id == group_id)
        conditions.append(User.id.in_(of_it))
    if q is not None:
        texts = (User.name, User.email, User.external_id)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    return conditions


# What a list is asked for, and a file of it.
Chosen = Annotated[list[ColumnElement[bool]], Depends(_chosen)]


@router.get("", summary="List the users", dependencies=[reads])
async def list_users(
    db: Db, chosen: Chosen, limit: Limit = 50, cursor: Cursor = None
) -> Page[UserOut]:
    query = select(User).where(*chosen)
    found, following = await rows(db, query, User.id, limit=limit, cursor=cursor)
    return Page(items=await told(db, found), next_cursor=following)


@router.get("/{user_id}", summary="Read a user", dependencies=[reads])
async def read_user(user_id: UUID, db: Db, response: Response) -> UserOut:
    row = await single.get(db, User, user_id)
    [out] = await told(db, [single.tagged(response, row)])
    return out


@router.post("", status_code=201, summary="Make a user", dependencies=[writes])
async def make_user(body: UserIn, db: Db, caller: Caller, response: Response) -> UserOut:
    row = User(operator_id=caller.tenant(), **body.model_dump())
    db.add(row)
    with _refusing(body.external_id):
        await db.flush()
    await tell_many(db, [row])
    return UserOut.model_validate(single.tagged(response, row))


@router.patch("/{user_id}", summary="Change a user", dependencies=[writes])
async def change_user(
    user_id: UUID, body: UserPatch, expected: Expected, db: Db, response: Response
) -> UserOut:
    with _refusing(body.external_id):
        row = await single.change(db, User, user_id, expected, body.changes())
    await tell_many(db, [row])
    [out] = await told(db, [single.tagged(response, row)])
    return out


def _refusing(external_id: str | None) -> AbstractContextManager[None]:
    taken = ExternalIdTaken(f"another user has the external id {external_id!r}")
    return refusing(
        {
            "uq_users_operator_id_external_id": taken,
            "ck_users_erased_is_nobody": ErasedUser("make another user for the person"),
            "fk_users_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
        }
    )


async def groups_of(db: AsyncSession, rows: Sequence[User]) -> dict[UUID, list[UUID]]:
    """The user groups of each."""
    member = UserGroupMember
    found = await db.execute(
        select(member.user_id, func.array_agg(member.group_id).label("groups"))
        .where(member.user_id.in_([row.id for row in rows]))
        .group_by(member.user_id)
    )
    return {user_id: sorted(groups) for user_id, groups in found}


async def told(db: AsyncSession, rows: Sequence[User]) -> list[UserOut]:
    groups = await groups_of(db, rows)
    of_each = (
        select(Card.user_id, func.count().label("number"))
        .where(
            Card.operator_id.in_({row.operator_id for row in rows}),
            Card.user_id.in_([row.id for row in rows]),
        )
        .group_by(Card.user_id)
    )
    cards = {row.user_id: row.number for row in await db.execute(of_each)}
    items = [UserOut.model_validate(row) for row in rows]
    for item in items:
        item.group_ids = groups.get(item.id, [])
        item.cards = cards.get(item.id, 0)
    return items


async def tell_many(db: AsyncSession, rows: Sequence[User]) -> None:
    """Tell others of users as they are now."""
    groups = await groups_of(db, rows)
    events = (
        UserChanged(
            operator_id=row.operator_id,
            user_id=row.id,
            version=row.version,
            name=row.name,
            active=row.active,
            group_ids=tuple(groups.get(row.id, ())),
        )
        for row in rows
    )
    await outbox.emit(db, *events)
