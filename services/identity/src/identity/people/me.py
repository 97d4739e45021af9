"""What a driver sees and changes of themselves.

What is locked is locked as an erasure does, the user before the cards before the login, so that
the two never wait for each other crosswise. Somebody who is being erased writes nothing back.
"""

from typing import ClassVar
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import single, versions
from common.auth import Caller, Principal, scoped
from common.clock import now
from common.database import Db
from common.fields import Line, Patch
from common.problems import NotFound
from common.versions import Expected
from identity.fields import Language
from identity.people import users
from identity.staff import sessions
from identity.tables import EmailChange, Login, Operator, User

router = APIRouter(prefix="/v1/me", tags=["me"])

reads = scoped("me:read")
writes = scoped("me:write")


class MePatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"language"})

    name: Line | None = None
    language: Language | None = Field(
        default=None, description="that mails to me are in; null: the operator's first"
    )


class MeOut(BaseModel):
    user_id: UUID
    operator_id: UUID
    operator_name: str
    name: str
    email: str = Field(description="what I sign in with")
    new_email: str | None = Field(description="what it will be once I open the link sent there")
    language: str | None = Field(description="that mails to me are in; null: the operator's first")
    active: bool = Field(description="false: my cards do not charge; staff must switch me on")
    version: int


@router.get("", summary="Who I am", dependencies=[reads])
async def read_me(db: Db, caller: Caller, response: Response) -> MeOut:
    return await _told(db, caller, response)


@router.patch("", summary="Change my name or language", dependencies=[writes])
async def change_me(
    body: MePatch, expected: Expected, db: Db, caller: Caller, response: Response
) -> MeOut:
    """An e-mail address must be shown to be mine: POST /v1/me/email."""
    changes = body.changes()
    name = {"name": changes["name"]} if "name" in changes else {}
    user = await single.change(db, User, own_user(caller), expected, name)
    await still_here(db, caller)
    if "language" in changes:
        mine = update(Login).where(Login.id == sessions.own_id(caller))
        await db.execute(mine.values(language=changes["language"], version=Login.version + 1))
    await users.tell_many(db, [user])
    return await _told(db, caller, response)


def own_user(caller: Principal) -> UUID:
    """Raises NotFound for a token of nobody who charges."""
    if caller.user_id is None:
        raise NotFound("the token is nobody's who charges")
    return caller.user_id


async def still_here(db: AsyncSession, caller: Principal) -> Login:
    """The driver's login, which nobody deletes meanwhile. Raises NotFound.

    After an erasure a token lives on for some minutes.
    """
    mine = select(Login).where(
        Login.id == sessions.own_id(caller), Login.user_id == own_user(caller)
    )
    login = await db.scalar(mine.with_for_update(read=True))
    if login is None:
        raise NotFound("you are not known here any more")
    return login


async def _told(db: AsyncSession, caller: Principal, response: Response) -> MeOut:
    found = await db.execute(
        select(User, Login, Operator.name)
        .join(Login, Login.user_id == User.id)
        .join(Operator, Operator.id == User.operator_id)
        .where(Login.id == sessions.own_id(caller), User.id == own_user(caller))
        .execution_options(populate_existing=True)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound("you are not known here any more")
    user, login, operator_name = row
    waiting = select(EmailChange.email).where(
        EmailChange.login_id == login.id,
        EmailChange.used_at.is_(None),
        EmailChange.expires_at > now(),
    )
    versions.tag(response, user.version)
    return MeOut(
        user_id=user.id,
        operator_id=user.operator_id,
        operator_name=operator_name,
        name=user.name,
        email=login.email,
        new_email=await db.scalar(waiting),
        language=login.language,
        active=user.active,
        version=user.version,
    )
