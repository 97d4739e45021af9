"""Certificates of stations by REST: those signed for them, and those they say they have."""

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Text, func, select, tuple_

from common import paging
from common.auth import scoped
from common.clock import now
from common.database import Db
from common.problems import NotFound
from csms_gateway import tables
from csms_gateway.connections import StationPath

router = APIRouter(prefix="/v1/stations/{station_id}", tags=["certificates"])

# A station's certificates are found by five members, and what a station says may be long: so long
# that a cursor of all of them would be none.
_INSTALLED = tables.InstalledCertificate
PLACE: Final = (
    func.left(_INSTALLED.use, 20),
    func.left(_INSTALLED.serial_number, 40),
    func.md5(
        func.jsonb_build_array(
            _INSTALLED.use,
            _INSTALLED.hash_algorithm,
            _INSTALLED.issuer_name_hash,
            _INSTALLED.issuer_key_hash,
            _INSTALLED.serial_number,
        ).cast(Text)
    ),
)


class IssuedOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    station_id: str
    use: Literal["station", "v2g", "v2g20"]
    state: Literal["issued", "accepted", "rejected"] = Field(
        description="issued: the station has not answered yet"
    )
    certificate: str = Field(description="PEM, the chain as it was sent")
    fingerprint: str = Field(description="SHA-256 in hex")
    serial_number: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    command_id: UUID = Field(description="the certificate_signed that carried it")
    revoked_at: datetime | None


class InstalledOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    use: str = Field(examples=["csms_root"])
    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    children: list[dict[str, str]] | None = Field(description="the chain's others, as OCPP has it")
    told_at: datetime


@router.get(
    "/certificates",
    summary="Certificates signed for a station, newest first",
    dependencies=[scoped("stations:read")],
)
async def list_issued_certificates(
    station_id: StationPath,
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[IssuedOut]:
    query = select(tables.IssuedCertificate).where(
        tables.IssuedCertificate.station_id == station_id
    )
    rows, after = await paging.rows(
        db, query, tables.IssuedCertificate.id, limit=limit, cursor=cursor, newest_first=True
    )
    return paging.Page(items=[IssuedOut.model_validate(row) for row in rows], next_cursor=after)


@router.delete(
    "/certificates/{certificate_id}",
    summary="Revoke a certificate: the station cannot connect with it again",
    dependencies=[scoped("stations:write")],
)
async def revoke_certificate(station_id: StationPath, certificate_id: UUID, db: Db) -> IssuedOut:
    """A connection that was opened with it is closed within seconds."""
    row = await db.get(tables.IssuedCertificate, certificate_id)
    if row is None or row.station_id != station_id:
        raise NotFound(f"no certificate {certificate_id} of {station_id!r}")
    row.revoked_at = row.revoked_at or now()
    await db.flush()
    return IssuedOut.model_validate(row)


@router.get(
    "/installed-certificates",
    summary="Certificates a station says it has",
    dependencies=[scoped("stations:read")],
)
async def list_installed_certificates(
    station_id: StationPath,
    db: Db,
    limit: paging.Limit = paging.LIMIT_DEFAULT,
    cursor: paging.Cursor = None,
) -> paging.Page[InstalledOut]:
    """As of its last answer to get_installed_certificate_ids, and what was installed since. By use
    and serial number.
    """
    table = tables.InstalledCertificate
    query = select(table, *PLACE).where(table.station_id == station_id)
    if cursor is not None:
        query = query.where(tuple_(*PLACE) > tuple_(*_place(cursor)))
    rows = (await db.execute(query.order_by(*PLACE).limit(limit + 1))).all()
    items = [InstalledOut.model_validate(row[0]) for row in rows[:limit]]
    place = list(rows[limit - 1][1:]) if len(rows) > limit else None
    after = paging.encode(orjson.dumps(place).decode()) if place else None
    return paging.Page(items=items, next_cursor=after)


def _place(cursor: str) -> list[str]:
    """Raises InvalidCursor."""
    try:
        place = orjson.loads(paging.decode(cursor, str))
    except orjson.JSONDecodeError:
        place = None
    match place:
        # PostgreSQL's text holds no NUL, which JSON spells \u0000.
        case [str(use), str(serial), str(digest)] if "\0" not in use + serial + digest:
            return [use, serial, digest]
    raise paging.InvalidCursor("use next_cursor of an earlier page, unchanged")
