"""User groups: any set of users; a price, an event or a rule may be for one."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import outbox, paging, single
from common.auth import Caller, scoped
from common.database import Db
from common.events import UserGroupChanged
from common.fields import Body, Line, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity.people import users
from identity.people.users import UnknownUser, UserOut
from identity.refusals import UnknownOperator
from identity.tables import AccessRule, User, UserGroup, UserGroupMember

router = APIRouter(prefix="/v1/user-groups", tags=["user groups"])

reads = scoped("user-groups:read")
writes = scoped("user-groups:write")

AT_ONCE_MAX: Final = 1000
RULES_MAX: Final = 20  # that are told


class GroupInRules(Problem):
    status = 409
    title = "Access rules name this group"


class UserGroupNameTaken(Problem):
    status = 409
    title = "There is a user group with this name already"


class UserGroupIn(Body):
    name: Line


class UserGroupPatch(Patch):
    name: Line | None = None


class UserGroupOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID
    name: str
    version: int


class MembersIn(Body):
    user_ids: Annotated[list[UUID], Field(min_length=1, max_length=AT_ONCE_MAX)]


@router.get("", summary="List the user groups", dependencies=[reads])
async def list_groups(
    db: Db, caller: Caller, name: Line | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[UserGroupOut]:
    wanted = {UserGroup.operator_id: caller.operator_id, UserGroup.name: name}
    conditions = paging.given(wanted)
    query = select(UserGroup).where(*conditions)
    found, following = await rows(db, query, UserGroup.id, limit=limit, cursor=cursor)
    return Page(items=[UserGroupOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{group_id}", summary="Read a user group", dependencies=[reads])
async def read_group(group_id: UUID, db: Db, response: Response) -> UserGroupOut:
    row = await single.get(db, UserGroup, group_id)
    return UserGroupOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make a user group", dependencies=[writes])
async def make_group(body: UserGroupIn, db: Db, caller: Caller, response: Response) -> UserGroupOut:
    row = UserGroup(operator_id=caller.tenant(), name=body.name)
    db.add(row)
    with _refusing(body.name):
        await db.flush()
    await _tell(db, row)
    return UserGroupOut.model_validate(single.tagged(response, row))


@router.patch("/{group_id}", summary="Rename a user group", dependencies=[writes])
async def change_group(
    group_id: UUID, body: UserGroupPatch, expected: Expected, db: Db, response: Response
) -> UserGroupOut:
    with _refusing(body.name):
        row = await single.change(db, UserGroup, group_id, expected, body.changes())
    await _tell(db, row)
    return UserGroupOut.model_validate(single.tagged(response, row))


@router.delete("/{group_id}", status_code=204, summary="Delete a user group", dependencies=[writes])
async def delete_group(group_id: UUID, expected: Expected, db: Db) -> None:
    """Its users stay; prices that were for it are for nobody. Not while an access rule names it:
    a deny or a reserve would end unseen.
    """
    row = await single.change(db, UserGroup, group_id, expected, {})
    holder = [{"kind": "user_group", "id": str(group_id)}]
    naming = select(AccessRule.name).where(
        AccessRule.operator_id == row.operator_id, AccessRule.holders.contains(holder)
    )
    if names := (await db.scalars(naming.order_by(AccessRule.name).limit(RULES_MAX))).all():
        raise GroupInRules("change or delete these rules first", rules=list(names))
    members = await _ids(db, group_id)
    await db.execute(delete(UserGroup).where(UserGroup.id == group_id))
    await _tell(db, row, deleted=True)
    await _touch(db, members)


@router.get("/{group_id}/members", summary="List who is in a user group", dependencies=[reads])
async def list_members(
    group_id: UUID, db: Db, limit: Limit = 50, cursor: Cursor = None
) -> Page[UserOut]:
    await single.get(db, UserGroup, group_id)
    query = select(User).where(
        User.id.in_(select(UserGroupMember.user_id).where(UserGroupMember.group_id == group_id))
    )
    found, following = await rows(db, query, User.id, limit=limit, cursor=cursor)
    return Page(items=await users.told(db, found), next_cursor=following)


@router.post(
    "/{group_id}/members", status_code=204, summary="Put users into a group", dependencies=[writes]
)
async def add_members(group_id: UUID, body: MembersIn, db: Db) -> None:
    """Those who are in it already stay."""
    group = await single.get(db, UserGroup, group_id)
    wanted = sorted(set(body.user_ids))
    known = select(func.count()).select_from(User)
    ours = (User.id.in_(wanted), User.operator_id == group.operator_id)
    if await db.scalar(known.where(*ours)) != len(wanted):
        raise UnknownUser("one of the users is not the operator's; nobody was put in")
    members = [
        {"operator_id": group.operator_id, "group_id": group_id, "user_id": user_id}
        for user_id in wanted
    ]
    put = insert(UserGroupMember).values(members).on_conflict_do_nothing()
    new = (await db.scalars(put.returning(UserGroupMember.user_id))).all()
    await _touch(db, new)


@router.put(
    "/{group_id}/members/{user_id}",
    status_code=204,
    summary="Put a user into a group",
    dependencies=[writes],
)
async def add_member(group_id: UUID, user_id: UUID, db: Db) -> None:
    await add_members(group_id, MembersIn(user_ids=[user_id]), db)


@router.delete(
    "/{group_id}/members/{user_id}",
    status_code=204,
    summary="Take a user out of a group",
    dependencies=[writes],
)
async def remove_member(group_id: UUID, user_id: UUID, db: Db) -> None:
    await single.get(db, UserGroup, group_id)
    gone = delete(UserGroupMember).where(
        UserGroupMember.group_id == group_id, UserGroupMember.user_id == user_id
    )
    await _touch(db, (await db.scalars(gone.returning(UserGroupMember.user_id))).all())


async def _ids(db: AsyncSession, group_id: UUID) -> Sequence[UUID]:
    members = select(UserGroupMember.user_id).where(UserGroupMember.group_id == group_id)
    return (await db.scalars(members)).all()


async def _touch(db: AsyncSession, user_ids: Sequence[UUID]) -> None:
    """Their groups changed, and with them what is told of each."""
    for start in range(0, len(user_ids), AT_ONCE_MAX):
        some = user_ids[start : start + AT_ONCE_MAX]
        touched = update(User).where(User.id.in_(some)).values(version=User.version + 1)
        await users.tell_many(db, (await db.scalars(touched.returning(User))).all())


def _refusing(name: str | None) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_user_group_operator_id_name": UserGroupNameTaken(f"there is a group {name!r}"),
            "fk_user_group_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
        }
    )


async def _tell(db: AsyncSession, row: UserGroup, *, deleted: bool = False) -> None:
    event = UserGroupChanged(
        operator_id=row.operator_id,
        group_id=row.id,
        version=row.version,
        name=row.name,
        deleted=deleted,
    )
    await outbox.emit(db, event)
