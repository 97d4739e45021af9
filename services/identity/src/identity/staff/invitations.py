"""Invitations: staff are asked by mail to make their own login, so nobody knows their password.

Whoever invites answers for what the new login may do. So it is asked again when the link is
opened: an inviter who was switched off or demoted meanwhile gives nothing any more.
"""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common import paging, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.contacts import Email
from common.database import PLATFORM, Connections, Db
from common.fields import Body
from common.ids import uuid7
from common.paging import Cursor, Limit, Page, rows
from common.problems import Problem
from common.refusals import refusing
from identity import mail, mail_texts
from identity.fields import Language, Locations, Password
from identity.mail import Mailing, MailRequired
from identity.policies import Policies
from identity.public_posts import limited
from identity.refusals import UnknownOperator
from identity.staff import asking, links, logins, roles, sessions, tokens
from identity.staff.asking import AskedTooOften
from identity.staff.logins import EmailTaken, LocationsOfThatRole
from identity.staff.passwords import Hashing
from identity.staff.roles import Role, StaffRole
from identity.tables import Invitation, Login, Operator

router = APIRouter(prefix="/v1/invitations", tags=["invitations"])

reads = scoped("logins:read")
writes = scoped("logins:write")

PREFIX: Final = "oli_"
PATH: Final = "invitation"  # of the console
WAITING_MAX: Final = 500  # of an operator, those that are over too until they are withdrawn
PAUSE: Final = timedelta(minutes=1)  # between two mails of one invitation


class InvitedAlready(Problem):
    status = 409
    title = "This address is invited already"


class InvitationOver(Problem):
    status = 409
    title = "This invitation was accepted or withdrawn"


class SentJustNow(Problem):
    status = 429
    title = "The mail was sent a moment ago"
    headers = {"Retry-After": str(int(PAUSE.total_seconds()))}  # noqa: RUF012 - a constant


class TooManyInvitations(Problem):
    status = 409
    title = "As many invitations wait as an operator may have"


class InvitationVoid(Problem):
    status = 410
    title = "This invitation does not hold any more"


State = Literal["open", "expired", "accepted", "revoked"]


class InvitationIn(Body):
    email: Email
    role: StaffRole
    location_ids: Locations | None = None
    language: Language | None = Field(
        default=None, description="that mails to them are in; null: the operator's first"
    )


class InvitationOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    operator_id: UUID | None
    email: str
    role: Role
    location_ids: list[UUID] | None
    language: str
    state: State
    invited_by: UUID = Field(description="the login that sent it last, and answers for it")
    made_at: AnyMoment
    sent_at: AnyMoment
    expires_at: AnyMoment
    used_at: AnyMoment | None = Field(description="when it was accepted")
    revoked_at: AnyMoment | None
    login_id: UUID | None = Field(description="what came of it")
    version: int


class AcceptIn(Body):
    token: links.Token
    password: Password


class AcceptedOut(BaseModel):
    login_id: UUID
    operator_id: UUID | None
    email: str
    role: Role


def _told(row: Invitation) -> InvitationOut:
    state: State = "open"
    if row.used_at is not None:
        state = "accepted"
    elif row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at <= now():
        state = "expired"
    columns = {name: getattr(row, name) for name in InvitationOut.model_fields if name != "state"}
    return InvitationOut(state=state, **columns)


def _in_state(state: State, at: datetime) -> ColumnElement[bool]:
    row = Invitation
    waiting = _waits()
    return {
        "open": waiting & (row.expires_at > at),
        "expired": waiting & (row.expires_at <= at),
        "accepted": row.used_at.is_not(None),
        "revoked": row.revoked_at.is_not(None),
    }[state]


@router.get("", summary="List the invitations", dependencies=[reads])
async def list_invitations(
    db: Db,
    caller: Caller,
    email: Email | None = None,
    state: Annotated[State | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[InvitationOut]:
    """Those that are over are kept for three months."""
    wanted = {Invitation.operator_id: caller.operator_id, Invitation.email: email}
    conditions = paging.given(wanted)
    if state is not None:
        conditions.append(_in_state(state, now()))
    query = select(Invitation).where(*conditions)
    found, following = await rows(db, query, Invitation.id, limit=limit, cursor=cursor)
    return Page(items=[_told(row) for row in found], next_cursor=following)


@router.get("/{invitation_id}", summary="Read an invitation", dependencies=[reads])
async def read_invitation(invitation_id: UUID, db: Db, response: Response) -> InvitationOut:
    return _told(single.tagged(response, await single.get(db, Invitation, invitation_id)))


@router.post("", status_code=201, summary="Invite somebody to the staff", dependencies=[writes])
async def invite(
    body: InvitationIn, request: Request, caller: Caller, mailing: MailRequired, response: Response
) -> InvitationOut:
    """The mail has a link to the console, where they choose their password."""
    operator_id = logins.to_be_of(caller, body.role, body.location_ids)
    connections: Connections = request.app.state.connections
    # A platform admin is of no operator, whichever the caller acts for.
    async with connections.acting(caller.model_copy(update={"operator_id": operator_id})) as db:
        await _refuse_known(db, operator_id, body.email)
        await _refuse_many(db, operator_id)
        token = tokens.new(PREFIX)
        operator = await _operator(db, operator_id)
        voice = await mail.voice(db, operator_id, body.language)
        row = Invitation(
            operator_id=operator_id,
            **body.model_dump(exclude={"language"}),
            language=voice.language,
            invited_by=sessions.own_id(caller),
            sent_at=now(),
            **links.columns(token, _lasts(operator)),
        )
        db.add(row)
        with _refusing(body.email):
            await db.flush()
        await _send(db, row, mailing, token, operator)
    return _told(single.tagged(response, row))


@router.post("/{invitation_id}/send-again", summary="Send the mail again", dependencies=[writes])
async def send_again(
    invitation_id: UUID, db: Db, caller: Caller, mailing: MailRequired, response: Response
) -> InvitationOut:
    """With a new link; the old one is good no more. Whoever sends it answers for it from now on."""
    row = await _waiting(db, invitation_id)
    logins.to_be_of(caller, row.role, row.location_ids)
    if row.sent_at > now() - PAUSE:
        raise SentJustNow("let it arrive")
    await _refuse_known(db, row.operator_id, row.email)
    token = tokens.new(PREFIX)
    operator = await _operator(db, row.operator_id)
    values = links.columns(token, _lasts(operator)) | {"made_at": row.made_at}
    row = await single.change(
        db,
        Invitation,
        invitation_id,
        None,
        {"sent_at": now(), "invited_by": sessions.own_id(caller), **values},
    )
    await _send(db, row, mailing, token, operator)
    return _told(single.tagged(response, row))


@router.delete(
    "/{invitation_id}", status_code=204, summary="Withdraw an invitation", dependencies=[writes]
)
async def revoke(invitation_id: UUID, db: Db) -> None:
    await _waiting(db, invitation_id)
    await single.change(db, Invitation, invitation_id, None, {"revoked_at": now()})


async def _waiting(db: AsyncSession, invitation_id: UUID) -> Invitation:
    """Locked. Raises NotFound or InvitationOver."""
    await db.execute(select(Invitation.id).where(Invitation.id == invitation_id).with_for_update())
    row = await single.get(db, Invitation, invitation_id)
    if row.used_at is not None or row.revoked_at is not None:
        raise InvitationOver("invite them again if they have no login")
    return row


async def _refuse_known(db: AsyncSession, operator_id: UUID | None, email: str) -> None:
    """Raises EmailTaken for one's own staff; a login elsewhere is told only to who opens the link.

    A driver's login does not count: one may be both.
    """
    known = select(Login.id).where(
        Login.email == email,
        Login.role != "driver",
        Login.operator_id.is_not_distinct_from(operator_id),
    )
    if await db.scalar(known) is not None:
        raise EmailTaken(f"somebody signs in as {email}")


async def _refuse_many(db: AsyncSession, operator_id: UUID | None) -> None:
    """Raises TooManyInvitations; who invites at the same moment may go a few beyond."""
    of_it = Invitation.operator_id.is_not_distinct_from(operator_id)
    waiting = select(func.count()).select_from(Invitation).where(of_it, _waits())
    if (await db.scalar(waiting) or 0) >= WAITING_MAX:
        raise TooManyInvitations("withdraw those that nobody will accept any more")


def _waits() -> ColumnElement[bool]:
    return Invitation.used_at.is_(None) & Invitation.revoked_at.is_(None)


async def _operator(db: AsyncSession, operator_id: UUID | None) -> Operator | None:
    return await db.get(Operator, operator_id) if operator_id else None


def _lasts(operator: Operator | None) -> timedelta:
    policies = Policies.model_validate(operator.policies) if operator else Policies()
    return timedelta(days=policies.invitation_days)


async def _send(
    db: AsyncSession, row: Invitation, mailing: Mailing, token: str, operator: Operator | None
) -> None:
    # Or an invitation made and withdrawn again and again fills somebody's mailbox.
    if await asking.enough(db, row.operator_id, row.email):
        raise AskedTooOften("the address got several mails within the hour")
    voice = await mail.voice(db, row.operator_id, row.language)
    text = mail_texts.invitation(row.language, voice.name, _lasts(operator).days)
    link = mailing.link(PATH, token)
    await mail.send_text(db, row.operator_id, row.email, text, language=row.language, link=link)


def _refusing(email: str) -> AbstractContextManager[None]:
    return refusing(
        {
            "uq_invitation_operator_id_email": InvitedAlready(
                f"send the invitation of {email} again, or withdraw it"
            ),
            "fk_invitation_operator_id": UnknownOperator("no operator has the id in Operator-Id"),
            "ck_invitation_locations_by_role": LocationsOfThatRole("leave location_ids out"),
        }
    )


@router.post(
    "/accept",
    status_code=201,
    summary="Make the login that one is invited to",
    dependencies=[limited("sign-in")],
)
async def accept(body: AcceptIn, request: Request, hasher: Hashing) -> AcceptedOut:
    """Then sign in with it: POST /v1/token."""
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        row = await _acceptable(db, body.token)
    hashed = await hasher.hash(body.password.get_secret_value())
    login_id = uuid7()
    # Of the platform, for the inviter may be of it; who acts is the one who comes in.
    who = _newcomer(login_id, row.role)
    async with connections.acting(who) as db:
        row = await _acceptable(db, body.token)
        login = Login(
            id=login_id,
            operator_id=row.operator_id,
            email=row.email,
            password_hash=hashed,
            role=row.role,
            active=True,
            location_ids=row.location_ids,
            language=row.language,
        )
        db.add(login)
        with logins.refusing_login(row.email):
            await db.flush()
        values: dict[str, Any] = {"used_at": now(), "login_id": login_id}
        await single.change(db, Invitation, row.id, None, values)
    return AcceptedOut(
        login_id=login_id, operator_id=row.operator_id, email=row.email, role=roles.known(row.role)
    )


def _newcomer(login_id: UUID, role: str) -> Principal:
    return Principal(sub=str(login_id), role=role, operator_id=None, scopes=frozenset())


async def _acceptable(db: AsyncSession, token: str) -> Invitation:
    """Raises LinkUnknown, LinkUsed, LinkExpired or InvitationVoid."""
    row = await links.find(db, Invitation, token)
    if row.revoked_at is not None:
        raise InvitationVoid("it was withdrawn")
    # Nobody changes the inviter's rights until the login is made.
    asked = select(Login).where(Login.id == row.invited_by).with_for_update(read=True)
    inviter = await db.scalar(asked.execution_options(populate_existing=True))
    if inviter is None or not await _may_still(db, inviter, row):
        raise InvitationVoid("who invited you may not do so any more; ask for another")
    operator = await _operator(db, row.operator_id)
    if operator is not None and not operator.active:
        raise InvitationVoid("the operator is switched off")
    return row


async def _may_still(db: AsyncSession, inviter: Login, row: Invitation) -> bool:
    """What InvitationIn was checked for when it was made, by the inviter's login as it is now."""
    if not await sessions.may_sign_in(db, inviter):
        return False
    if inviter.operator_id not in (None, row.operator_id):
        return False
    limited = inviter.location_ids
    within = limited is None or (
        row.location_ids is not None and set(row.location_ids) <= set(limited)
    )
    return within and roles.may_invite(inviter.role, row.role)
