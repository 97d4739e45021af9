"""An operator's own certificate authority: its roots, made when first needed.

OCPP would rather have a dedicated server sign (2.0.1, A02.FR.04). A small operator has none, and
a local root whose key is encrypted at rest is better than chargers without certificates.
"""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from cryptography import x509
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import select

from common import audit, ids, paging
from common.auth import Caller, scoped
from common.clock import now
from common.database import Db
from common.problems import Problem
from common.sealing import Sealer
from csms_gateway import client_certificates, signing, tables

if TYPE_CHECKING:
    from csms_gateway.gateway import Gateway

Use = Literal["station", "v2g"]

FIND: Final = """
select certificate, private_key from certificate_authority
where operator_id = $1 and use = $2 and algorithm = $3
"""
# Of two replicas that make one at the same time, the first one's is it.
MAKE: Final = """
insert into certificate_authority (
    id, operator_id, use, algorithm, certificate, private_key, created_at
) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (operator_id, use, algorithm) do nothing
"""
OPERATOR: Final = "select name from operator_name where operator_id = $1"


class NotConfigured(Problem):
    status = 503
    title = "No certificate authority is configured"


async def operator_name(gateway: "Gateway", operator_id: UUID) -> str | None:
    """None: identity has not told it yet."""
    name: str | None = await gateway.pool.fetchval(OPERATOR, operator_id)
    return name


async def ensure(
    gateway: "Gateway", operator_id: UUID, use: Use, algorithm: signing.Algorithm
) -> tuple[x509.Certificate, signing.AuthorityKey]:
    """The operator's root and its key, made now if there is none. Raises NotConfigured."""
    sealer = gateway.sealer
    if sealer is None:
        raise NotConfigured("set CSMS_SECRET_KEY; without it no private key can be kept")
    row = await gateway.pool.fetchrow(FIND, operator_id, use, algorithm)
    if row is None:
        await _make(gateway, sealer, operator_id, use, algorithm)
        row = await gateway.pool.fetchrow(FIND, operator_id, use, algorithm)
        assert row is not None
        gateway.authority_made.set()
    try:
        key = signing.key_from_bytes(sealer.open(row["private_key"]))
    except ValueError:
        raise NotConfigured("CSMS_SECRET_KEY is not the one it was made with") from None
    return client_certificates.from_pem(row["certificate"])[0], key


async def _make(
    gateway: "Gateway",
    sealer: Sealer,
    operator_id: UUID,
    use: Use,
    algorithm: signing.Algorithm,
) -> None:
    key = await asyncio.to_thread(signing.new_key, algorithm)
    organisation = await operator_name(gateway, operator_id)
    at = now()
    common_name = f"{organisation or 'OpenLade'} {use} root {algorithm} {ids.uuid7().hex[-6:]}"
    certificate = signing.new_authority(key, common_name, organisation, at)
    sealed = sealer.seal(signing.key_to_bytes(key))
    await gateway.pool.execute(
        MAKE, ids.uuid7(), operator_id, use, algorithm, client_certificates.pem(certificate),
        sealed, at,
    )  # fmt: skip


router = APIRouter(prefix="/v1/certificate-authority", tags=["certificates"])


class AuthorityOut(BaseModel):
    id: UUID
    operator_id: UUID
    use: Use = Field(description="station: signs chargers' certificates; v2g: SECCs', in tests")
    algorithm: signing.Algorithm
    certificate: str = Field(description="PEM, to be installed where it is to be trusted")
    subject: str
    fingerprint: str = Field(description="SHA-256 in hex")
    not_after: datetime


def _shown(row: tables.CertificateAuthority) -> AuthorityOut:
    (certificate,) = client_certificates.from_pem(row.certificate)
    return AuthorityOut(
        id=row.id,
        operator_id=row.operator_id,
        use=row.use,  # type: ignore[arg-type]
        algorithm=row.algorithm,  # type: ignore[arg-type]
        certificate=row.certificate,
        subject=certificate.subject.rfc4514_string(),
        fingerprint=client_certificates.fingerprint(certificate),
        not_after=certificate.not_valid_after_utc,
    )


@router.get("", summary="The operator's root certificates", dependencies=[scoped("stations:read")])
async def list_authorities(
    db: Db, limit: paging.Limit = paging.LIMIT_DEFAULT, cursor: paging.Cursor = None
) -> paging.Page[AuthorityOut]:
    query = select(tables.CertificateAuthority)
    rows, after = await paging.rows(
        db, query, tables.CertificateAuthority.id, limit=limit, cursor=cursor
    )
    return paging.Page(items=[_shown(row) for row in rows], next_cursor=after)


@router.post(
    "",
    summary="Make the operator's roots for stations, if there are none",
    dependencies=[scoped("stations:write")],
)
async def make_authorities(caller: Caller, request: Request, db: Db) -> paging.Page[AuthorityOut]:
    """They are also made by themselves when the first station asks for a certificate."""
    gateway = request.app.state.beside.gateway
    operator_id = caller.tenant()
    before = set(await db.scalars(select(tables.CertificateAuthority.id)))
    await ensure(gateway, operator_id, "station", "ecdsa")
    await ensure(gateway, operator_id, "station", "rsa")
    found = await list_authorities(db)
    own = [one for one in found.items if one.operator_id == operator_id]
    # Made by the gateway's own connection, which says nothing of who asked.
    for one in own:
        if one.id not in before:
            told = {"use": one.use, "algorithm": one.algorithm, "fingerprint": one.fingerprint}
            await audit.note(
                db, "certificate_authority", {"id": str(one.id)}, "insert",
                operator_id=operator_id, sub=caller.sub, role=caller.role, after=told,
            )  # fmt: skip
    return paging.Page(items=own, next_cursor=None)
