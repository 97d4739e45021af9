"""The keys that sign tokens: kept in the database, so that replicas and restarts agree."""

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Response
from joserfc.jwk import OKPKey
from pydantic import BaseModel
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import ALGORITHM, KEYS_MAX_AGE_S, LoadKeys
from common.clock import now
from common.database import PLATFORM, Connections, PlatformDb
from common.ids import uuid7
from identity.tables import SigningKey

router = APIRouter(tags=["token"])

# Services refresh their keys every KEYS_MAX_AGE_S; twice that and all have a new one.
SETTLING: Final = timedelta(seconds=2 * KEYS_MAX_AGE_S)


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


async def make_first(connections: Connections) -> None:
    """Make a signing key if there is none; of replicas that start together, one makes it."""
    async with connections.begin(PLATFORM) as db:
        await lock_start(db)
        if await db.scalar(select(SigningKey.kid).limit(1)) is None:
            kid = uuid7().hex
            key = OKPKey.generate_key(
                "Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM}, private=True
            )
            db.add(SigningKey(kid=kid, private_jwk=dict(key.as_dict(private=True))))


async def lock_start(db: AsyncSession) -> None:
    """One replica at a time, until the end of the transaction."""
    await db.execute(text("select pg_advisory_xact_lock(hashtext('identity start'))"))


async def current(db: AsyncSession) -> tuple[str, OKPKey]:
    """The key to sign with: the newest that every service has fetched; at first, the first."""
    keys = (await db.scalars(select(SigningKey).order_by(SigningKey.made_at))).all()
    settled = [key for key in keys if key.made_at <= now() - SETTLING]
    chosen = settled[-1] if settled else keys[0]
    return chosen.kid, OKPKey.import_key(chosen.private_jwk)


async def _published(db: AsyncSession) -> Jwks:
    private: list[dict[str, Any]] = list(
        await db.scalars(select(SigningKey.private_jwk).order_by(SigningKey.made_at))
    )
    # Jwk names what is public, so the private part cannot slip through.
    return Jwks(keys=[Jwk.model_validate(jwk) for jwk in private])


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
