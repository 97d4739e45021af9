"""Logins: the staff of operators, and of the platform."""

import logging
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from common import paging, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment
from common.contacts import Email
from common.database import PLATFORM, Connections, Db
from common.fields import Body, Patch
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from common.versions import Expected
from identity.fields import Locations, Password
from identity.refusals import UnknownOperator
from identity.settings import Settings
from identity.staff import links, sessions
from identity.staff.keys import lock_start
from identity.staff.passwords import Hasher, Hashing
from identity.staff.roles import PLATFORM_ROLE, OperatorRole, Role, StaffRole
from identity.tables import Login, SignIn

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/logins", tags=["logins"])

reads = scoped("logins:read")
writes = scoped("logins:write")


class EmailTaken(Problem):
    status = 409
    title = "There is a login with this e-mail address already"


class RoleNotYours(Problem):
    status = 403
    title = "Only a platform admin makes platform admins"


class RoleFixed(Problem):
    status = 409
    title = "A platform admin stays one"


class OwnLogin(Problem):
    """So the last admin cannot lock everybody out."""

    status = 409
    title = "Nobody switches off or demotes their own login"


class LocationsNotYours(Problem):
    status = 403
    title = "Nobody gives others locations that they may not see themselves"


class LocationsOfThatRole(Problem):
    status = 422
    title = "This role sees every location"


class LoginIn(Body):
    email: Email
    password: Password
    role: StaffRole
    active: bool = True
    location_ids: Locations | None = None
    break_glass: bool = Field(
        default=False, description="signs in with a password although the policy is sso_only"
    )


class LoginPatch(Patch):
    may_be_null: ClassVar[frozenset[str]] = frozenset({"location_ids"})

    email: Email | None = None
    password: Password | None = None
    role: OperatorRole | None = None
    active: bool | None = None
    location_ids: Locations | None = None
    break_glass: bool | None = None


class LoginOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID | None
    email: str
    role: Role
    active: bool
    location_ids: list[UUID] | None
    user_id: UUID | None = Field(description="of a driver")
    break_glass: bool
    last_sign_in_at: AnyMoment | None
    version: int


@router.get("", summary="List the logins", dependencies=[reads])
async def list_logins(
    db: Db,
    caller: Caller,
    email: Email | None = None,
    role: Role | None = None,
    active: bool | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[LoginOut]:
    wanted = {
        Login.operator_id: caller.operator_id,
        Login.email: email,
        Login.role: role,
        Login.active: active,
    }
    conditions = paging.given(wanted)
    query = select(Login).where(*conditions)
    found, following = await rows(db, query, Login.id, limit=limit, cursor=cursor)
    return Page(items=[LoginOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/{login_id}", summary="Read a login", dependencies=[reads])
async def read_login(login_id: UUID, db: Db, response: Response) -> LoginOut:
    row = await single.get(db, Login, login_id)
    return LoginOut.model_validate(single.tagged(response, row))


@router.post("", status_code=201, summary="Make a login", dependencies=[writes])
async def make_login(
    body: LoginIn, request: Request, caller: Caller, hasher: Hashing, response: Response
) -> LoginOut:
    operator_id = to_be_of(caller, body.role, body.location_ids)
    # Not by Db: a connection must not wait for the hash.
    hashed = await hasher.hash(body.password.get_secret_value())
    connections: Connections = request.app.state.connections
    # A platform admin is of no operator, whichever the caller acts for.
    acting = caller.model_copy(update={"operator_id": operator_id})
    async with connections.acting(acting) as db:
        values = body.model_dump(exclude={"password"})
        row = Login(operator_id=operator_id, password_hash=hashed, **values)
        db.add(row)
        with refusing_login(body.email):
            await db.flush()
    return LoginOut.model_validate(single.tagged(response, row))


@router.patch("/{login_id}", summary="Change a login or its password", dependencies=[writes])
async def change_login(
    login_id: UUID,
    body: LoginPatch,
    expected: Expected,
    request: Request,
    caller: Caller,
    hasher: Hashing,
    response: Response,
) -> LoginOut:
    if caller.sub == str(login_id) and (body.active is False or body.role is not None):
        raise OwnLogin("ask another admin")
    if caller.locations is not None:
        within(caller, body.location_ids)
    values: dict[str, Any] = body.changes()
    if body.password is not None:
        del values["password"]
        values["password_hash"] = await hasher.hash(body.password.get_secret_value())
    connections: Connections = request.app.state.connections
    async with connections.acting(caller) as db:
        with refusing_login(body.email):
            row = await single.change(db, Login, login_id, expected, values)
        if body.model_fields_set & SIGNED_OUT_BY:
            await sessions.end(db, "the login was changed", SignIn.login_id == login_id)
        if body.model_fields_set & {"email", "password"}:
            await links.void_resets(db, login_id)
    return LoginOut.model_validate(single.tagged(response, row))


# A device that is signed in goes on as it was; after one of these it must not.
SIGNED_OUT_BY: Final = frozenset({"password", "role", "active", "location_ids"})


def to_be_of(caller: Principal, role: str, location_ids: list[UUID] | None) -> UUID | None:
    """The operator of a login that the caller wants to be made; None: the platform's own staff.

    Raises RoleNotYours, LocationsNotYours or OperatorRequired.
    """
    operator_id: UUID | None = None
    if role != PLATFORM_ROLE:
        operator_id = caller.tenant()
    elif caller.role != PLATFORM_ROLE:
        raise RoleNotYours(f"your role is {caller.role}")
    within(caller, location_ids)
    return operator_id


def within(caller: Principal, wanted: list[UUID] | None) -> None:
    """Raises LocationsNotYours."""
    if caller.locations is not None and (wanted is None or set(wanted) - caller.locations):
        raise LocationsNotYours("name some of your own in location_ids")


def refusing_login(email: str | None) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_login_email": EmailTaken(f"somebody signs in as {email}"),
            "uq_login_operator_id_email": EmailTaken(f"a driver signs in as {email}"),
            "fk_login_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
            "ck_login_locations_by_role": LocationsOfThatRole("leave location_ids out"),
            "ck_login_user_by_role": RoleFixed("a driver's login stays one"),
            "ck_login_operator_by_role": RoleFixed("make another login for the other role"),
        }
    )


async def make_first(connections: Connections, settings: Settings, hasher: Hasher) -> None:
    """On an empty database, the platform admin that the settings name."""
    email, password = settings.bootstrap_email, settings.bootstrap_password
    if email is None or password is None:
        return
    async with connections.begin(PLATFORM) as db:
        await lock_start(db)
        if await db.scalar(select(Login.id).limit(1)) is not None:
            return
        hashed = await hasher.hash(password.get_secret_value())
        db.add(Login(email=email, password_hash=hashed, role=PLATFORM_ROLE, active=True))
        log.info("no login yet: made the platform admin %s", email)
