"""Forgotten passwords: a link by mail sets a new one. Second factors stay as they are."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from common import client
from common.auth import Principal
from common.clock import now
from common.contacts import Email
from common.database import PLATFORM, Connections
from common.fields import Body
from identity import mail, mail_texts
from identity.fields import Password
from identity.mail import Mailing, MailRequired
from identity.public_posts import limited
from identity.staff import asking, links, lockout, sessions, signin, tokens
from identity.staff.asking import MailAsked
from identity.staff.links import LinkUnknown
from identity.staff.passwords import Hashing
from identity.tables import Login, PasswordReset, SignIn

router = APIRouter(prefix="/v1/password-resets", tags=["token"])

PREFIX: Final = "olp_"
PATH: Final = "password-reset"  # of the console
LASTS: Final = timedelta(hours=1)


class ResetIn(Body):
    email: Email
    operator_id: UUID | None = Field(
        default=None, description="of a driver: whose customer forgot it; null: staff"
    )


class NewPasswordIn(Body):
    token: links.Token
    password: Password


@router.post(
    "",
    status_code=202,
    summary="Ask for a new password by mail",
    dependencies=[limited("begin")],
)
async def ask_for_reset(body: ResetIn, request: Request, mailing: MailRequired) -> MailAsked:
    """The answer is the same whether the address is known or not."""
    connections: Connections = request.app.state.connections
    await asking.admit(connections, "reset", body.operator_id, body.email)
    async with asking.alike(), connections.begin(PLATFORM) as db:
        login = await db.scalar(signin.wanted(body.email, body.operator_id))
        # One without a password signs in otherwise, and goes on doing so.
        if login and login.password_hash and await sessions.may_sign_in(db, login):
            await _send(db, login, mailing)
    return asking.answer(LASTS)


async def _send(db: AsyncSession, login: Login, mailing: Mailing) -> None:
    if await asking.enough(db, login.operator_id, login.email):
        return
    token = tokens.new(PREFIX)
    row = PasswordReset(
        login_id=login.id, operator_id=login.operator_id, **links.columns(token, LASTS)
    )
    db.add(row)
    voice = await mail.voice(db, login.operator_id, login.language)
    await mail.send_text(
        db,
        login.operator_id,
        login.email,
        mail_texts.password_reset(voice.language, voice.name),
        language=voice.language,
        link=mailing.link(PATH, token),
        tried_for=LASTS,
    )


@router.post(
    "/complete",
    status_code=204,
    summary="Choose the new password",
    dependencies=[limited("sign-in")],
)
async def complete(body: NewPasswordIn, request: Request, hasher: Hashing) -> None:
    """Signs every device out. Then sign in with it, and with the second factor if there is one."""
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        found = await links.find(db, PasswordReset, body.token, lock=False)
        login = await _owner(db, found.login_id)
    hashed = await hasher.hash(body.password.get_secret_value())
    # Of the platform too, whose own login is no operator's.
    who = Principal(sub=str(login.id), role=login.role, operator_id=None, scopes=frozenset())
    async with connections.acting(who) as db:
        # First the login, as whoever changes it does.
        login = await _owner(db, login.id)
        reset = await links.find(db, PasswordReset, body.token)
        changed = update(Login).where(Login.id == login.id)
        await db.execute(changed.values(password_hash=hashed, version=Login.version + 1))
        reset.used_at = now()
        await links.void_resets(db, login.id, but=reset.id)
        await sessions.end(db, "the password was reset", SignIn.login_id == login.id)
        # Who forgot it has guessed; those guesses were at the old one.
        driver_of = login.operator_id if login.role == "driver" else None
        attempt = signin.attempt(login.email, driver_of, client.network(client.address.get()))
        await lockout.unlock(db, attempt)
        voice = await mail.voice(db, login.operator_id, login.language)
        text = mail_texts.password_changed(voice.language, voice.name)
        await mail.send_text(db, login.operator_id, login.email, text, language=voice.language)


async def _owner(db: AsyncSession, login_id: UUID) -> Login:
    """Locked, so that nobody switches it off meanwhile. Raises LinkUnknown."""
    mine = select(Login).where(Login.id == login_id).with_for_update()
    login = await db.scalar(mine)
    if login is None or not await sessions.may_sign_in(db, login):
        raise LinkUnknown("ask who gave you the login")
    return login
