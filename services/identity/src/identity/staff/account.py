"""Everybody's own login."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import update

from common import client, single
from common.auth import Caller, scoped
from common.database import PLATFORM, Connections, PlatformDb
from common.fields import Body
from common.problems import Problem
from identity.fields import Password
from identity.staff import links, lockout, sessions
from identity.staff.passwords import Hashing
from identity.staff.roles import Role
from identity.tables import Login, SignIn

router = APIRouter(prefix="/v1/account", tags=["account"])


class PasswordWrong(Problem):
    status = 403
    title = "The present password is wrong"


class AccountOut(BaseModel):
    id: UUID
    operator_id: UUID | None
    email: str
    role: Role
    location_ids: list[UUID] | None = Field(description="null: every one")
    user_id: UUID | None = Field(description="of a driver")
    has_password: bool


class NewPasswordIn(Body):
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]
    new_password: Password


@router.get("", summary="My login", dependencies=[scoped("account:read")])
async def read_account(db: PlatformDb, caller: Caller) -> AccountOut:
    row = await single.get(db, Login, sessions.own_id(caller))
    return AccountOut(
        has_password=row.password_hash is not None,
        **{name: getattr(row, name) for name in AccountOut.model_fields if name != "has_password"},
    )


@router.post(
    "/password",
    status_code=204,
    summary="Change my password; every other device is signed out",
    dependencies=[scoped("account:write")],
)
async def change_password(
    body: NewPasswordIn, request: Request, caller: Caller, hasher: Hashing
) -> None:
    connections: Connections = request.app.state.connections
    login_id = sessions.own_id(caller)
    attempt = lockout.Attempt(str(login_id), client.network(client.address.get()))
    async with connections.begin(PLATFORM) as db:
        login = await single.get(db, Login, login_id)
    hashed = login.password_hash
    async with connections.begin(PLATFORM) as db:
        refused = await lockout.count(db, attempt)
    if not await hasher.matches(hashed, body.password.get_secret_value()):
        await lockout.failed(connections, attempt, refused, login_id, login.operator_id)
        raise PasswordWrong("type the one that you signed in with")
    new = await hasher.hash(body.new_password.get_secret_value())
    # Of the platform too, whose own login is no operator's.
    async with connections.acting(caller.model_copy(update={"operator_id": None})) as db:
        # Only if it is still the one that was checked.
        same = update(Login).where(Login.id == login_id, Login.password_hash == hashed)
        changed = await db.execute(same.values(password_hash=new, version=Login.version + 1))
        if not getattr(changed, "rowcount", 0):
            raise PasswordWrong("it was changed a moment ago")
        await links.void_resets(db, login_id)
        await sessions.end(
            db, "the password was changed", SignIn.login_id == login_id, SignIn.id != caller.sid
        )
    async with connections.begin(PLATFORM) as db:
        await lockout.forgive(db, attempt)
