"""Passkeys (Web Authentication, level 3): signing in by a key that never leaves its owner.

The authenticator asks for a finger, a face or a PIN (user verification), so a passkey is two
factors. It knows whose it is: nobody types an address.
"""

import logging
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers import parse_client_data_json as read_client_data
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from common import audit, single
from common.auth import Caller, Principal, scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, OwnDb, PlatformDb
from common.fields import Body, Line, Patch
from common.problems import NotConfigured, NotFound, Problem
from common.refusals import refusing
from common.versions import Expected
from identity.public_posts import limited
from identity.staff import begun, lockout, sessions
from identity.staff.tokens import TokenOut
from identity.tables import Login, Passkey, PasskeyChallenge, SignIn

log = logging.getLogger(__name__)

router = APIRouter(tags=["account"])

NAME: Final = "OpenLade"
PASSKEYS_MAX: Final = 20  # of a login
SYNCED: Final = CredentialDeviceType.MULTI_DEVICE

Options = dict[str, Any]  # as parseCreationOptionsFromJSON and parseRequestOptionsFromJSON read it


class PasskeyRefused(Problem):
    """One answer for whatever is wrong with it."""

    status = 401
    title = "This passkey is not good here"


class PasskeyNotMade(Problem):
    status = 422
    title = "This is no new passkey of yours"


class PasskeyTaken(Problem):
    status = 409
    title = "This passkey is known already"


class TooManyPasskeys(Problem):
    status = 409
    title = "You have as many passkeys as one may have"


Encoded = Annotated[str, Field(min_length=1, max_length=1400, pattern=r"^[A-Za-z0-9_-]+$")]
LongEncoded = Annotated[str, Field(min_length=1, max_length=20_000, pattern=r"^[A-Za-z0-9_-]+$")]


class Attestation(BaseModel):
    clientDataJSON: LongEncoded  # noqa: N815 - the standard's names
    attestationObject: LongEncoded  # noqa: N815
    transports: list[Annotated[str, Field(max_length=20, pattern="^[a-z-]*$")]] = Field(
        default=[], max_length=10
    )


class Assertion(BaseModel):
    clientDataJSON: LongEncoded  # noqa: N815
    authenticatorData: LongEncoded  # noqa: N815
    signature: LongEncoded
    userHandle: Encoded  # noqa: N815


class NewCredential(BaseModel):
    """What PublicKeyCredential.toJSON() gives after create(); what is not named is ignored."""

    id: Encoded
    rawId: Encoded  # noqa: N815
    type: Annotated[str, Field(max_length=20)]
    response: Attestation


class Credential(BaseModel):
    """What PublicKeyCredential.toJSON() gives after get(); what is not named is ignored."""

    id: Encoded
    rawId: Encoded  # noqa: N815
    type: Annotated[str, Field(max_length=20)]
    response: Assertion


class PasskeyIn(Body):
    name: Line
    credential: NewCredential


class PasskeyPatch(Patch):
    name: Line | None = None


class PasskeySignIn(Body):
    credential: Credential


class PasskeyOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    transports: list[str]
    synced: bool = Field(description="may be on several devices of its owner")
    backed_up: bool
    made_at: AnyMoment
    last_used_at: AnyMoment | None
    version: int


class Passkeys(BaseModel):
    items: list[PasskeyOut]


def _place(request: Request) -> tuple[str, str]:
    """The relying party's id and the origin of its pages. Raises NotConfigured."""
    public_url: str | None = request.app.state.parts.settings.public_url
    if public_url is None:
        raise NotConfigured("set CSMS_PUBLIC_URL; passkeys are of the console's address")
    parts = urlsplit(public_url)
    return parts.hostname or "", f"{parts.scheme}://{parts.netloc}"


@router.get("/v1/account/passkeys", summary="My passkeys", dependencies=[scoped("account:read")])
async def list_passkeys(db: PlatformDb, caller: Caller) -> Passkeys:
    query = select(Passkey).where(Passkey.login_id == sessions.own_id(caller)).order_by(Passkey.id)
    return Passkeys(items=[PasskeyOut.model_validate(row) for row in await db.scalars(query)])


@router.post(
    "/v1/account/passkeys/options",
    summary="Begin to make a passkey",
    dependencies=[scoped("account:write")],
)
async def begin_passkey(
    db: PlatformDb, caller: Caller, request: Request, response: Response
) -> Options:
    """What the browser's navigator.credentials.create needs; good once, for five minutes."""
    rp_id, _ = _place(request)
    login = await single.get(db, Login, sessions.own_id(caller))
    known = list(
        await db.scalars(select(Passkey.credential_id).where(Passkey.login_id == login.id))
    )
    if len(known) >= PASSKEYS_MAX:
        raise TooManyPasskeys("delete one that you no longer use")
    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name=NAME,
        user_id=login.id.bytes,
        user_name=login.email,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    await _keep(db, options.challenge, login)
    response.headers["Cache-Control"] = "no-store"
    return options_to_json_dict(options)


async def _keep(db: AsyncSession, challenge: bytes, login: Login | None) -> None:
    admitted = await begun.admit(db, PasskeyChallenge)
    db.add(
        PasskeyChallenge(
            challenge=challenge,
            login_id=login.id if login else None,
            operator_id=login.operator_id if login else None,
            **admitted,
        )
    )


async def _take(request: Request, client_data: str, login_id: UUID | None) -> bytes | None:
    """The challenge that was signed, if we gave it for this; it is used up in any case."""
    try:
        signed = read_client_data(base64url_to_bytes(client_data)).challenge
    except Exception:  # noqa: BLE001 - whatever garbage raises
        return None
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        row = PasskeyChallenge
        whose = row.login_id.is_(None) if login_id is None else row.login_id == login_id
        used = delete(row).where(row.challenge == signed, row.expires_at > now(), whose)
        return await db.scalar(used.returning(row.challenge))


@router.post(
    "/v1/account/passkeys",
    status_code=201,
    summary="Make a passkey",
    dependencies=[scoped("account:write")],
)
async def make_passkey(
    body: PasskeyIn, request: Request, caller: Caller, response: Response
) -> PasskeyOut:
    login_id = sessions.own_id(caller)
    attested = body.credential.response
    challenge = await _take(request, attested.clientDataJSON, login_id)
    if challenge is None:
        raise PasskeyNotMade("begin again: what was signed is not what we asked for")
    rp_id, origin = _place(request)
    try:
        made = webauthn.verify_registration_response(
            credential=body.credential.model_dump(),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
        )
    except Exception as error:
        log.info("a passkey of login %s was not made: %s", login_id, error)
        raise PasskeyNotMade("it was made for another site, or without its owner") from error
    connections: Connections = request.app.state.connections
    async with connections.acting(caller.model_copy(update={"operator_id": None})) as db:
        login = await single.get(db, Login, login_id)
        row = Passkey(
            login_id=login.id,
            operator_id=login.operator_id,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            name=body.name,
            transports=sorted(set(attested.transports)),
            synced=made.credential_device_type == SYNCED,
            backed_up=made.credential_backed_up,
            made_at=now(),
        )
        db.add(row)
        taken = PasskeyTaken("make another one")
        with refusing({"uq_passkey_credential_id": taken}):
            await db.flush()
        # It was just shown that its owner has it, and is who they are.
        await db.execute(update(SignIn).where(SignIn.id == caller.sid).values(how="passkey"))
    return PasskeyOut.model_validate(single.tagged(response, row))


@router.patch(
    "/v1/account/passkeys/{passkey_id}",
    summary="Rename a passkey of mine",
    dependencies=[scoped("account:write")],
)
async def rename_passkey(
    passkey_id: UUID,
    body: PasskeyPatch,
    expected: Expected,
    db: OwnDb,
    caller: Caller,
    response: Response,
) -> PasskeyOut:
    await _own(db, passkey_id, caller)
    row = await single.change(db, Passkey, passkey_id, expected, body.changes())
    return PasskeyOut.model_validate(single.tagged(response, row))


@router.delete(
    "/v1/account/passkeys/{passkey_id}",
    status_code=204,
    summary="Delete a passkey of mine",
    dependencies=[scoped("account:write")],
)
async def delete_passkey(passkey_id: UUID, db: OwnDb, caller: Caller) -> None:
    await db.delete(await _own(db, passkey_id, caller))


async def _own(db: AsyncSession, passkey_id: UUID, caller: Principal) -> Passkey:
    row = await db.get(Passkey, passkey_id)
    if row is None or row.login_id != sessions.own_id(caller):
        raise NotFound(f"you have no passkey with the id {passkey_id}")
    return row


@router.post(
    "/v1/token/passkey/options",
    summary="Begin to sign in with a passkey",
    tags=["token"],
    dependencies=[limited("begin")],
)
async def begin_sign_in(db: PlatformDb, request: Request, response: Response) -> Options:
    """What the browser's navigator.credentials.get needs; good once, for five minutes."""
    rp_id, _ = _place(request)
    options = webauthn.generate_authentication_options(
        rp_id=rp_id, user_verification=UserVerificationRequirement.REQUIRED
    )
    await _keep(db, options.challenge, None)
    response.headers["Cache-Control"] = "no-store"
    return options_to_json_dict(options)


@router.post(
    "/v1/token/passkey",
    summary="Sign in with a passkey",
    tags=["token"],
    dependencies=[limited("sign-in")],
)
async def sign_in(body: PasskeySignIn, request: Request, response: Response) -> TokenOut:
    response.headers["Cache-Control"] = "no-store"
    refused = PasskeyRefused("begin again, or sign in another way")
    asserted = body.credential.response
    challenge = await _take(request, asserted.clientDataJSON, None)
    connections: Connections = request.app.state.connections
    async with connections.begin(PLATFORM) as db:
        passkey = await _known(db, body.credential)
    if challenge is None or passkey is None:
        raise refused
    rp_id, origin = _place(request)
    try:
        shown = webauthn.verify_authentication_response(
            credential=body.credential.model_dump(),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # _use looks at it, in the update
            require_user_verification=True,
        )
    except Exception as error:
        log.info("passkey %s was refused: %s", passkey.id, error)
        raise refused from error
    synced = shown.credential_device_type == SYNCED
    async with connections.begin(PLATFORM) as db:
        login = await db.get(Login, passkey.login_id)
        if login is None or synced != passkey.synced or not await sessions.may_sign_in(db, login):
            raise refused
        if not await _use(db, passkey, shown.new_sign_count, backed_up=shown.credential_backed_up):
            log.warning(
                "passkey %s of login %s counts backwards (%d after %d): it may be a copy",
                passkey.id, login.id, shown.new_sign_count, passkey.sign_count,
            )  # fmt: skip
            await _note_copy(db, passkey)
            made = None
        else:
            made = await sessions.open_session(db, login, request, "passkey")
    # Beyond the transaction: the note stays.
    if made is None:
        raise refused
    return made


async def _note_copy(db: AsyncSession, passkey: Passkey) -> None:
    if await lockout.first(db, f"copied passkey {passkey.id}"):
        await audit.note(
            db, "passkey", {"id": str(passkey.id)}, "refused",
            operator_id=passkey.operator_id, sub="unknown", role="nobody",
            after={"why": "it counts backwards: it may be a copy"},
        )  # fmt: skip


async def _known(db: AsyncSession, credential: Credential) -> Passkey | None:
    """The passkey by its id, if it is of the login that it says."""
    try:
        raw_id = base64url_to_bytes(credential.rawId)
        owner = base64url_to_bytes(credential.response.userHandle)
    except ValueError:
        return None
    row = await db.scalar(select(Passkey).where(Passkey.credential_id == raw_id))
    return row if row and row.login_id.bytes == owner else None


async def _use(db: AsyncSession, passkey: Passkey, count: int, *, backed_up: bool) -> bool:
    """Whether it counted on. One that is synced, or that counts nothing, need not."""
    row = Passkey
    counts_on = or_(row.synced, row.sign_count < count, (row.sign_count == 0) & (count == 0))
    used = update(row).where(row.id == passkey.id, counts_on)
    values = {
        "sign_count": func.greatest(row.sign_count, count),
        "backed_up": backed_up,
        "last_used_at": now(),
    }
    return await db.scalar(used.values(**values).returning(row.id)) is not None
