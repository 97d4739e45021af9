"""The keys that sign tokens: kept in the database, so that replicas and restarts agree.

Their private halves are sealed with the setting secret_key; where it is not set they stand there
as they are. A key lives 90 days, or until a platform admin makes the next one.
"""

import json
import logging
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from joserfc.jwk import OKPKey
from pydantic import BaseModel, Field
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common import sealed
from common.auth import ALGORITHM, KEYS_MAX_AGE_S, Caller, LoadKeys, scoped
from common.clock import AnyMoment, now
from common.database import PLATFORM, Connections, PlatformDb
from common.ids import uuid7
from common.problems import NotConfigured, Problem
from common.sealing import Sealer
from identity.staff import key_schedule
from identity.staff.key_schedule import LIFETIME, SETTLING, State
from identity.tables import SigningKey

log = logging.getLogger(__name__)

router = APIRouter(tags=["token"])

reads = scoped("signing-keys:read")
writes = scoped("signing-keys:write")


class RotationUnderWay(Problem):
    """So that the number of keys that everybody fetches stays small."""

    status = 409
    title = "The last new key does not sign yet"
    headers = {"Retry-After": str(int(SETTLING.total_seconds()))}  # noqa: RUF012 - a constant


class Jwk(BaseModel):
    """The public half of a signing key (RFC 8037)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class Jwks(BaseModel):
    keys: list[Jwk]


class SigningKeyOut(BaseModel):
    kid: str
    state: State = Field(description="next: published; signing; retired: it verifies old tokens")
    made_at: AnyMoment
    signs_from: AnyMoment
    ends_at: AnyMoment | None = Field(description="null: when there is a next one")


class SigningKeys(BaseModel):
    items: list[SigningKeyOut]


async def prepare(connections: Connections, sealer: Sealer | None) -> None:
    """At start: a key that can be used, and none in plain text where there is a secret_key.

    Of replicas that start together, one does it.
    """
    async with connections.begin(PLATFORM) as db:
        await lock_start(db)
        rows = await _rows(db)
        for row in rows if sealer else ():
            if row.private_jwk is not None and sealer:
                row.sealed_jwk = sealer.seal(json.dumps(row.private_jwk).encode())
                row.private_jwk = None
                log.info("signing key %s is sealed now", row.kid)
        if rows and _opened(rows[-1], sealer) is None:
            log.error("CSMS_SECRET_KEY does not open the signing key %s", rows[-1].kid)
        if not rows or _opened(rows[-1], sealer) is None:
            await _make(db, sealer)


async def rotate_once(connections: Connections, sealer: Sealer | None) -> None:
    """A new key if the newest is old; those that verify nothing any more go."""
    async with connections.begin(PLATFORM) as db:
        await lock_start(db)
        rows = await _rows(db)
        if not rows or rows[-1].made_at <= now() - LIFETIME:
            made = await _make(db, sealer)
            log.info("new signing key %s", made.kid)
        for row, state in _states(rows):
            if state is None:
                await db.delete(row)


async def _make(db: AsyncSession, sealer: Sealer | None) -> SigningKey:
    kid = uuid7().hex
    key = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM}, private=True)
    private = dict(key.as_dict(private=True))
    row = SigningKey(
        kid=kid,
        public_jwk=dict(key.as_dict(private=False)),
        private_jwk=None if sealer else private,
        sealed_jwk=sealer.seal(json.dumps(private).encode()) if sealer else None,
        made_at=now(),
    )
    db.add(row)
    await db.flush()
    return row


async def lock_start(db: AsyncSession) -> None:
    """One replica at a time, until the end of the transaction."""
    await db.execute(text("select pg_advisory_xact_lock(hashtext('identity start'))"))


async def current(db: AsyncSession, sealer: Sealer | None) -> tuple[str, OKPKey]:
    """The key to sign with. Raises NotConfigured if none can be opened."""
    rows = await _rows(db)
    states = _states(rows)
    # The one whose turn it is; if its secret_key was lost, the one that was made instead of it.
    turn = [row for row, state in states if state == "signing"]
    for row in (*turn, *reversed(rows)):
        if key := _opened(row, sealer):
            return row.kid, key
    raise NotConfigured("CSMS_SECRET_KEY is not the one that the signing keys need")


def _opened(row: SigningKey, sealer: Sealer | None) -> OKPKey | None:
    private: dict[str, Any] | None = row.private_jwk
    if row.sealed_jwk is not None and sealer:
        try:
            private = json.loads(sealer.open(row.sealed_jwk))
        except ValueError:
            return None
    return OKPKey.import_key(private) if private else None


async def _rows(db: AsyncSession) -> list[SigningKey]:
    return list(await db.scalars(select(SigningKey).order_by(SigningKey.made_at, SigningKey.kid)))


def _states(rows: list[SigningKey]) -> list[tuple[SigningKey, State | None]]:
    return list(zip(rows, key_schedule.states(_made(rows), now()), strict=True))


def _made(rows: list[SigningKey]) -> list[datetime]:
    return [row.made_at for row in rows]


async def _published(db: AsyncSession) -> Jwks:
    there = [row.public_jwk for row, state in _states(await _rows(db)) if state]
    # Jwk names what is public, so nothing else can slip through.
    return Jwks(keys=[Jwk.model_validate(jwk) for jwk in there])


def from_database(connections: Connections) -> LoadKeys:
    """Identity's own way to the keys: it must not need itself to be up."""

    async def load() -> dict[str, Any]:
        async with connections.begin(PLATFORM) as db:
            return (await _published(db)).model_dump()

    return load


@router.get("/.well-known/jwks.json", summary="Read the keys that verify our tokens")
async def read_jwks(db: PlatformDb, response: Response) -> Jwks:
    response.headers["Cache-Control"] = f"public, max-age={KEYS_MAX_AGE_S:.0f}"
    return await _published(db)


@router.get("/v1/signing-keys", summary="When which key signs our tokens", dependencies=[reads])
async def list_keys(db: PlatformDb) -> SigningKeys:
    return SigningKeys(items=_told(await _rows(db)))


@router.post(
    "/v1/signing-keys/rotate",
    status_code=201,
    summary="Make the next key that signs our tokens",
    dependencies=[writes],
)
async def rotate(caller: Caller, request: Request) -> SigningKeys:
    """It is published at once and signs when every service has it, two minutes later. The one
    before it verifies the tokens that it signed until they end.
    """
    connections: Connections = request.app.state.connections
    # Keys are of no operator, whichever the caller acts for.
    acting = caller.model_copy(update={"operator_id": None})
    async with connections.acting(acting) as db:
        await lock_start(db)
        rows = await _rows(db)
        if rows and rows[-1].made_at > now() - SETTLING:
            raise RotationUnderWay("wait two minutes")
        rows.append(await _make(db, sealed.if_any(request)))
    return SigningKeys(items=_told(rows))


def _told(rows: list[SigningKey]) -> list[SigningKeyOut]:
    made = _made(rows)
    return [
        SigningKeyOut(
            kid=row.kid,
            state=state,
            made_at=row.made_at,
            signs_from=key_schedule.signs_from(made, which),
            ends_at=key_schedule.ends_at(made, which),
        )
        for which, (row, state) in enumerate(_states(rows))
        if state
    ]
