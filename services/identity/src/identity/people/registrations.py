"""Drivers register themselves, where their operator lets them.

Confirming takes the link and the password. With the link alone, somebody could register under
another's address with a password of their own and wait for the owner to click.
"""

import base64
import secrets
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common import client
from common.auth import Principal
from common.clock import now
from common.contacts import Email
from common.database import PLATFORM, Connections
from common.fields import Body, Line
from common.ids import uuid7
from common.problems import NotFound, Problem
from identity import mail, mail_texts, uids
from identity.fields import Language, Password
from identity.mail import Mailing, MailRequired
from identity.people import cards, users
from identity.policies import Policies
from identity.public_posts import limited
from identity.staff import asking, links, lockout, logins, tokens
from identity.staff.asking import MailAsked
from identity.staff.passwords import Hashing
from identity.tables import Card, Login, Operator, Registration, User

router = APIRouter(prefix="/v1/registrations", tags=["registrations"])

PREFIX: Final = "olg_"
PATH: Final = "registration"  # of the console
LASTS: Final = timedelta(hours=24)

CARD_PREFIX: Final = "APP"  # so that staff see what it is
CARD_LABEL: Final = "App"


class RegistrationClosed(Problem):
    status = 403
    title = "People do not register themselves here"


class NotTheRegistrant(Problem):
    status = 403
    title = "This is not the password that was chosen at the registration"


class RegistrationIn(Body):
    operator_id: UUID
    email: Email
    password: Password
    name: Line
    language: Language | None = Field(
        default=None, description="that mails to them are in; null: the operator's first"
    )


class ConfirmIn(Body):
    token: links.Token
    password: Annotated[
        SecretStr,
        Field(min_length=1, max_length=256, description="as chosen at the registration"),
    ]


class RegisteredOut(BaseModel):
    operator_id: UUID
    user_id: UUID
    email: str
    active: bool = Field(description="false: staff must approve before the first charge")
    card_id: UUID = Field(description="the app's card")


@router.post("", status_code=202, summary="Register as a driver", dependencies=[limited("begin")])
async def register(
    body: RegistrationIn, request: Request, mailing: MailRequired, hasher: Hashing
) -> MailAsked:
    """The answer is the same whether the address is registered or not; the mail says which."""
    connections: Connections = request.app.state.connections
    async with connections.begin(body.operator_id) as db:
        await _open(db, body.operator_id)
    hasher.refuse_if_full()  # before it counts: our load is not the person's failure
    await asking.admit(connections, "registration", body.operator_id, body.email)
    # For a known address too, or the time would tell.
    hashed = await hasher.hash(body.password.get_secret_value())
    async with asking.alike(), connections.begin(body.operator_id) as db:
        if await asking.enough(db, body.operator_id, body.email):
            return asking.answer(LASTS)
        known = select(Login).where(
            Login.operator_id == body.operator_id,
            Login.role == "driver",
            Login.email == body.email,
        )
        if login := await db.scalar(known):
            voice = await mail.voice(db, body.operator_id, login.language)
            text = mail_texts.registered_already(voice.language, voice.name)
            await mail.send_text(
                db, body.operator_id, body.email, text, language=voice.language, tried_for=LASTS
            )
        else:
            await _keep(db, body, hashed, mailing)
    return asking.answer(LASTS)


async def _open(db: AsyncSession, operator_id: UUID) -> Policies:
    """Raises NotFound or RegistrationClosed; what the operator's public profile says as well."""
    operator = await db.get(Operator, operator_id)
    if operator is None:
        raise NotFound(f"there is no operator with the id {operator_id}")
    policies = Policies.model_validate(operator.policies)
    if not operator.active or policies.driver_registration == "closed":
        raise RegistrationClosed("ask the operator for a login")
    return policies


async def _keep(db: AsyncSession, body: RegistrationIn, hashed: str, mailing: Mailing) -> None:
    token = tokens.new(PREFIX)
    voice = await mail.voice(db, body.operator_id, body.language)
    db.add(
        Registration(
            **body.model_dump(include={"operator_id", "email", "name"}),
            language=voice.language,
            password_hash=hashed,
            ip=client.address.get(),
            **links.columns(token, LASTS),
        )
    )
    await mail.send_text(
        db,
        body.operator_id,
        body.email,
        mail_texts.registration(voice.language, voice.name),
        language=voice.language,
        link=mailing.link(PATH, token),
        tried_for=LASTS,
    )


@router.post(
    "/confirm",
    status_code=201,
    summary="Confirm a registration",
    dependencies=[limited("sign-in")],
)
async def confirm(body: ConfirmIn, request: Request, hasher: Hashing) -> RegisteredOut:
    """Makes the user, their login and the app's card. Then sign in: POST /v1/token."""
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        row = await links.find(db, Registration, body.token, lock=False)
        await _open(db, row.operator_id)
    await _check_password(connections, row, body, hasher)
    user_id, login_id = uuid7(), uuid7()
    who = Principal(
        sub=str(login_id),
        role="driver",
        operator_id=row.operator_id,
        scopes=frozenset(),
        user_id=user_id,
    )
    async with connections.acting(who) as db:
        row = await links.find(db, Registration, body.token)
        policies = await _open(db, row.operator_id)
        approved = policies.driver_registration == "open"
        card = await _take_in(db, row, user_id, login_id, approved=approved)
    return RegisteredOut(
        operator_id=row.operator_id,
        user_id=user_id,
        email=row.email,
        active=approved,
        card_id=card.id,
    )


async def _check_password(
    connections: Connections, row: Registration, body: ConfirmIn, hasher: Hashing
) -> None:
    """Raises NotTheRegistrant or TooManyFailures."""
    hasher.refuse_if_full()
    attempt = lockout.Attempt(f"registration {row.id}", client.network(client.address.get()))
    async with connections.begin(PLATFORM) as db:
        await lockout.count(db, attempt)
    if not await hasher.matches(row.password_hash, body.password.get_secret_value()):
        raise NotTheRegistrant("if it was not you, register yourself")
    async with connections.begin(PLATFORM) as db:
        await lockout.forgive(db, attempt)


async def _take_in(
    db: AsyncSession, row: Registration, user_id: UUID, login_id: UUID, *, approved: bool
) -> Card:
    """Raises EmailTaken if another registration of the address was confirmed before."""
    user = User(
        id=user_id, operator_id=row.operator_id, name=row.name, email=row.email, active=approved
    )
    db.add(user)
    await db.flush()
    login = Login(
        id=login_id,
        operator_id=row.operator_id,
        email=row.email,
        password_hash=row.password_hash,
        role="driver",
        active=True,
        user_id=user_id,
        language=row.language,
    )
    card = Card(
        operator_id=row.operator_id,
        uid=app_uid(),
        kind="app",
        user_id=user_id,
        label=CARD_LABEL,
        active=True,
    )
    db.add_all([login, card])
    row.used_at, row.user_id, row.password_hash = now(), user_id, None
    with logins.refusing_login(row.email):
        await db.flush()
    await users.tell_many(db, [user])
    await cards.tell(db, card)
    return card


def app_uid() -> str:
    """Nobody guesses it (85 bits), and as long as OCPP 1.6 takes."""
    random = base64.b32encode(secrets.token_bytes(15)).decode()
    return (CARD_PREFIX + random)[: uids.RFID_MAX]
