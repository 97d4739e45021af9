"""A driver signs in with another e-mail address, once a link that was sent there is opened."""

from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, SecretStr
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import client
from common.auth import Caller, Principal
from common.clock import now
from common.contacts import Email
from common.database import PLATFORM, Connections
from common.fields import Body
from common.problems import Problem
from identity import mail, mail_texts
from identity.mail import Mailing, MailRequired
from identity.people import me, users
from identity.public_posts import limited
from identity.staff import asking, links, lockout, logins, sessions, tokens
from identity.staff.account import PasswordWrong
from identity.staff.asking import MailAsked
from identity.staff.links import LinkUnknown
from identity.staff.passwords import Hasher, Hashing
from identity.tables import EmailChange, Login, User

router = APIRouter(prefix="/v1", tags=["me"])

PREFIX: Final = "ole_"
PATH: Final = "email-change"  # of the console
LASTS: Final = timedelta(hours=24)


class EmailUnchanged(Problem):
    status = 409
    title = "This is your e-mail address already"


class OwnEmailIn(Body):
    email: Email
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]


class ConfirmEmailIn(Body):
    token: links.Token


@router.post(
    "/me/email",
    status_code=202,
    summary="Sign in with another e-mail address",
    dependencies=[me.writes],
)
async def ask_for_email(
    body: OwnEmailIn, request: Request, caller: Caller, mailing: MailRequired, hasher: Hashing
) -> MailAsked:
    """Nothing changes until the link is opened that is sent to the new address.

    The answer is the same if somebody else has the address.
    """
    connections: Connections = request.app.state.connections
    operator_id = caller.tenant()
    async with connections.begin(operator_id) as db:
        login = await me.still_here(db, caller)
    await _check_password(connections, login, body, hasher)
    if login.email == body.email:
        raise EmailUnchanged("name another")
    await asking.admit(connections, "email", operator_id, body.email)
    async with asking.alike(), connections.begin(operator_id) as db:
        login = await me.still_here(db, caller)
        if not await asking.enough(db, operator_id, body.email):
            await _send(db, login, operator_id, body.email, mailing)
    return asking.answer(LASTS)


async def _check_password(
    connections: Connections, login: Login, body: OwnEmailIn, hasher: Hasher
) -> None:
    """Or a phone left on a table loses its owner the login. Raises PasswordWrong."""
    hasher.refuse_if_full()  # before it counts: our load is not the person's failure
    attempt = lockout.Attempt(str(login.id), client.network(client.address.get()))
    async with connections.begin(PLATFORM) as db:
        await lockout.count(db, attempt)
    if not await hasher.matches(login.password_hash, body.password.get_secret_value()):
        raise PasswordWrong("type the one that you signed in with")
    async with connections.begin(PLATFORM) as db:
        await lockout.forgive(db, attempt)


async def _send(
    db: AsyncSession, login: Login, operator_id: UUID, email: str, mailing: Mailing
) -> None:
    known = select(Login.language).where(
        Login.operator_id == operator_id, Login.role == "driver", Login.email == email
    )
    theirs = (await db.execute(known)).one_or_none()
    if theirs is not None:
        voice = await mail.voice(db, operator_id, theirs.language)
        text = mail_texts.registered_already(voice.language, voice.name)
        await mail.send_text(db, operator_id, email, text, language=voice.language, tried_for=LASTS)
        return
    token = tokens.new(PREFIX)
    values: dict[str, Any] = links.columns(token, LASTS) | {"email": email, "used_at": None}
    wish = insert(EmailChange).values(login_id=login.id, operator_id=operator_id, **values)
    await db.execute(wish.on_conflict_do_update(index_elements=[EmailChange.login_id], set_=values))
    voice = await mail.voice(db, operator_id, login.language)
    await mail.send_text(
        db,
        operator_id,
        email,
        mail_texts.email_change(voice.language, voice.name),
        language=voice.language,
        link=mailing.link(PATH, token),
        tried_for=LASTS,
    )


@router.post(
    "/email-changes/confirm",
    status_code=204,
    summary="Confirm my new e-mail address",
    dependencies=[limited("sign-in")],
)
async def confirm_email(body: ConfirmEmailIn, request: Request) -> None:
    """From now on it is what I sign in with; the old address is told. Devices stay signed in."""
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        wish = await links.find(db, EmailChange, body.token, lock=False)
        login = await db.get(Login, wish.login_id)
    if login is None:
        raise LinkUnknown("it is of somebody who is not known here any more")
    who = Principal(
        sub=str(login.id),
        role=login.role,
        operator_id=wish.operator_id,
        scopes=frozenset(),
        user_id=login.user_id,
    )
    async with connections.acting(who) as db:
        await _change(db, login, wish.email, body.token)


async def _change(db: AsyncSession, known: Login, email: str, token: str) -> None:
    """Raises LinkUnknown, LinkUsed, LinkExpired or EmailTaken."""
    # In the order of people.me: the user, then the login.
    here = update(User).where(User.id == known.user_id, User.erased_at.is_(None))
    user = await db.scalar(here.values(email=email, version=User.version + 1).returning(User))
    mine = select(Login).where(Login.id == known.id).with_for_update()
    login = await db.scalar(mine)
    if user is None or login is None or not await sessions.may_sign_in(db, login):
        raise LinkUnknown("sign in, and ask for another")
    wish = await links.find(db, EmailChange, token)
    old = login.email
    wish.used_at = now()
    with logins.refusing_login(email):
        changed = update(Login).where(Login.id == login.id)
        await db.execute(changed.values(email=email, version=Login.version + 1))
    await links.void_resets(db, login.id)
    await users.tell_many(db, [user])
    voice = await mail.voice(db, login.operator_id, login.language)
    text = mail_texts.email_changed(voice.language, voice.name)
    await mail.send_text(db, login.operator_id, old, text, language=voice.language)
