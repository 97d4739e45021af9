"""The second factor of a password: codes of an authenticator app (RFC 6238), and recovery codes.

Wrong codes are counted by login, from all networks together: whoever guesses at codes knows the
password already, so the lockout that spares the owner elsewhere would leave too many guesses.
"""

import base64
import hmac
import secrets
import time
from typing import Annotated, Final
from uuid import UUID

import pyotp
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, SecretStr, StringConstraints
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common import client, sealed, single
from common.auth import Caller, scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, Db, OwnDb, PlatformDb
from common.fields import Body
from common.problems import NotFound, Problem
from identity.staff import lockout, sessions, tokens
from identity.staff.account import PasswordWrong
from identity.staff.passwords import Hashing
from identity.staff.second_factors import ENOUGH, PASSWORD
from identity.tables import Login, RecoveryCode, SignIn, Totp

router = APIRouter(tags=["account"])

APP: Final = "OpenLade"
STEP_S: Final = 30
WINDOW: Final = (0, -1, 1)  # steps; clocks differ, and typing takes time
DIGITS: Final = 6
RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10  # 80 bits, so that a hash without salt keeps them


class SecondFactorNeeded(Problem):
    """Told only to who knows the password."""

    status = 401
    title = "A code is needed as well"


class SecondFactorWrong(Problem):
    status = 401
    title = "The code is wrong or was used before"


class TotpActive(Problem):
    status = 409
    title = "An authenticator app is set up already"


Code = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[0-9A-Za-z -]*$"
    ),
    Field(description="six digits of the authenticator app, or a recovery code"),
]


class TotpOut(BaseModel):
    active: bool
    confirmed_at: AnyMoment | None
    recovery_codes_left: int


class NewTotp(BaseModel):
    secret: str = Field(description="base32, to be typed")
    uri: str = Field(description="otpauth://…, to be shown as a QR code")


class RecoveryCodes(BaseModel):
    recovery_codes: list[str] = Field(description="shown this once; each is good once")


class CodeIn(Body):
    code: Code


class ProofIn(Body):
    """One of the two."""

    code: Code | None = None
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)] | None = None


@router.get(
    "/v1/account/totp", summary="My authenticator app", dependencies=[scoped("account:read")]
)
async def read_totp(db: PlatformDb, caller: Caller) -> TotpOut:
    login_id = sessions.own_id(caller)
    row = await _confirmed(db, login_id)
    unused = select(func.count()).where(
        RecoveryCode.login_id == login_id, RecoveryCode.used_at.is_(None)
    )
    return TotpOut(
        active=row is not None,
        confirmed_at=row.confirmed_at if row else None,
        recovery_codes_left=await db.scalar(unused) or 0,
    )


@router.post(
    "/v1/account/totp",
    summary="Begin to set up an authenticator app",
    dependencies=[scoped("account:write")],
)
async def make_totp(db: OwnDb, caller: Caller, request: Request, response: Response) -> NewTotp:
    """Nothing is asked for until a code of it is confirmed. Begun twice, the second one counts."""
    login = await single.get(db, Login, sessions.own_id(caller))
    secret = pyotp.random_base32()
    values = {
        "sealed_secret": sealed.sealer(request).seal(secret.encode()),
        "made_at": now(),
        "last_counter": None,
    }
    fresh = (
        insert(Totp)
        .values(login_id=login.id, operator_id=login.operator_id, **values)
        .on_conflict_do_update(
            index_elements=[Totp.login_id], set_=values, where=Totp.confirmed_at.is_(None)
        )
        .returning(Totp.login_id)
    )
    if await db.scalar(fresh) is None:
        raise TotpActive("switch it off first")
    response.headers["Cache-Control"] = "no-store"
    uri = pyotp.TOTP(secret).provisioning_uri(name=login.email, issuer_name=APP)
    return NewTotp(secret=secret, uri=uri)


@router.post(
    "/v1/account/totp/confirm",
    summary="Switch my authenticator app on with a code of it",
    dependencies=[scoped("account:write")],
)
async def confirm_totp(
    body: CodeIn, db: OwnDb, caller: Caller, request: Request, response: Response
) -> RecoveryCodes:
    """From now on each sign-in by password needs a code. Other devices are signed out."""
    login_id = sessions.own_id(caller)
    row = await db.get(Totp, login_id)
    if row is None:
        raise NotFound("begin with POST /v1/account/totp")
    if row.confirmed_at is not None:
        raise TotpActive("it is on already")
    counter = _counter(sealed.opened(request, row.sealed_secret), body.code)
    if counter is None:
        raise SecondFactorWrong("type the one that the app shows now")
    # Only if it is still the secret that was checked, and of two at once only one.
    same = update(Totp).where(
        Totp.login_id == login_id,
        Totp.confirmed_at.is_(None),
        Totp.sealed_secret == row.sealed_secret,
    )
    on = same.values(confirmed_at=now(), last_counter=counter).returning(Totp.login_id)
    if await db.scalar(on) is None:
        raise TotpActive("it was changed at this moment")
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    db.add_all(
        RecoveryCode(login_id=login_id, operator_id=row.operator_id, code_hash=_hashed(code))
        for code in codes
    )
    mine = SignIn.id == caller.sid
    await db.execute(update(SignIn).where(mine).values(how="password+totp"))
    await sessions.end(
        db, "a second factor was set up", SignIn.login_id == login_id, SignIn.id != caller.sid
    )
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodes(recovery_codes=codes)


@router.delete(
    "/v1/account/totp",
    status_code=204,
    summary="Switch my authenticator app off",
    dependencies=[scoped("account:write")],
)
async def remove_totp(body: ProofIn, request: Request, caller: Caller, hasher: Hashing) -> None:
    login_id = sessions.own_id(caller)
    connections: Connections = request.app.state.connections
    if body.code is not None:
        await _spend(request, login_id, body.code)
    else:
        await _check_password(request, login_id, body.password, hasher)
    async with connections.acting(caller.model_copy(update={"operator_id": None})) as db:
        await db.execute(delete(Totp).where(Totp.login_id == login_id))
        # Those that are signed in with it have proved a password only, as far as policies go.
        with_it = SignIn.how.in_([name for name in ENOUGH if name.startswith(PASSWORD)])
        mine = update(SignIn).where(SignIn.login_id == login_id, with_it)
        await db.execute(mine.values(how=PASSWORD))


async def _check_password(
    request: Request, login_id: UUID, password: SecretStr | None, hasher: Hashing
) -> None:
    connections: Connections = request.app.state.connections
    attempt = lockout.Attempt(str(login_id), client.network(client.address.get()))
    async with connections.begin(PLATFORM) as db:
        login = await single.get(db, Login, login_id)
        refused = await lockout.count(db, attempt)
    given = password.get_secret_value() if password else None
    if given is None or not await hasher.matches(login.password_hash, given):
        await lockout.failed(connections, attempt, refused, login_id, login.operator_id)
        raise PasswordWrong("send a code of the app, a recovery code or the present password")
    async with connections.begin(PLATFORM) as db:
        await lockout.forgive(db, attempt)


@router.delete(
    "/v1/logins/{login_id}/totp",
    status_code=204,
    summary="Take a lost authenticator app from a login, and sign it out everywhere",
    dependencies=[scoped("logins:write")],
    tags=["logins"],
)
async def reset_totp(login_id: UUID, db: Db) -> None:
    await single.get(db, Login, login_id)
    await db.execute(delete(Totp).where(Totp.login_id == login_id))
    await sessions.end(db, "the second factor was reset", SignIn.login_id == login_id)


async def check(request: Request, login: Login, code: str | None) -> str:
    """How somebody signs in who knew the password. To be called without a transaction open.

    Raises SecondFactorNeeded, SecondFactorWrong or TooManyFailures.
    """
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        asked = await _confirmed(db, login.id) is not None
    if not asked:
        return PASSWORD
    if code is None:
        raise SecondFactorNeeded("send code: of the authenticator app, or a recovery code")
    return f"{PASSWORD}+{await _spend(request, login.id, code)}"


async def _spend(request: Request, login_id: UUID, code: str) -> str:
    """Use a code up: totp or recovery-code. Raises SecondFactorWrong or TooManyFailures."""
    connections: Connections = request.app.state.connections
    attempt = lockout.Attempt(f"second factor {login_id}", "")
    async with connections.begin(PLATFORM) as db:
        refused = await lockout.count(db, attempt)
    async with connections.begin(PLATFORM) as db:
        row = await _confirmed(db, login_id)
        right = row is not None and await _spent(db, request, row, code)
        if right:
            await lockout.forgive(db, attempt)
    if not right:
        whose = row.operator_id if row else None
        await lockout.failed(connections, attempt, refused, login_id, whose)
        raise SecondFactorWrong("wait for the next one, or use a recovery code")
    return "totp" if _digits(code) else "recovery-code"


async def _spent(db: AsyncSession, request: Request, row: Totp, code: str) -> bool:
    """Of two requests with the same code one finds it unused: the update itself looks."""
    if not _digits(code):
        unused = update(RecoveryCode).where(
            RecoveryCode.login_id == row.login_id,
            RecoveryCode.code_hash == _hashed(code),
            RecoveryCode.used_at.is_(None),
        )
        used = unused.values(used_at=now()).returning(RecoveryCode.login_id)
        return await db.scalar(used) is not None
    counter = _counter(sealed.opened(request, row.sealed_secret), code)
    if counter is None:
        return False
    newer = update(Totp).where(
        Totp.login_id == row.login_id,
        Totp.sealed_secret == row.sealed_secret,
        or_(Totp.last_counter.is_(None), Totp.last_counter < counter),
    )
    return await db.scalar(newer.values(last_counter=counter).returning(Totp.login_id)) is not None


async def _confirmed(db: AsyncSession, login_id: UUID) -> Totp | None:
    query = select(Totp).where(Totp.login_id == login_id, Totp.confirmed_at.is_not(None))
    return await db.scalar(query)


def _counter(secret: bytes, code: str) -> int | None:
    """The step that the code is of; None: of none that is near."""
    app, at, typed = pyotp.TOTP(secret.decode()), int(time.time()) // STEP_S, _plain(code)
    # Every one is compared, so that the time tells nothing.
    found = [
        at + step
        for step in WINDOW
        if hmac.compare_digest(app.generate_otp(at + step).encode(), typed.encode())
    ]
    return found[0] if found else None


def _digits(code: str) -> bool:
    plain = _plain(code)
    return len(plain) == DIGITS and plain.isdigit()


def _plain(code: str) -> str:
    return code.replace("-", "").replace(" ", "").upper()


def _recovery_code() -> str:
    """Four groups of four."""
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _hashed(code: str) -> bytes:
    return tokens.hashed(_plain(code))
