"""How a station must prove who it is: staff's side of admission.py."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from common.auth import scoped
from common.database import Db
from common.problems import NotFound, Problem
from common.versions import Expected, require, tag
from csms_gateway import tables
from csms_gateway.connections import StationPath
from csms_gateway.station_passwords import Overloaded

router = APIRouter(prefix="/v1/stations/{station_id}/security", tags=["station security"])

# OCPP 2.0.1, A00.FR.205: 16 to 40 characters. Vendors print shorter ones on their stations, and
# those stations must be let in as they are; the new password comes by rotate_password.
PASSWORD_MIN = 6
Password = Annotated[
    SecretStr,
    Field(min_length=PASSWORD_MIN, max_length=40, json_schema_extra={"writeOnly": True}),
]
Profile = Annotated[int, Field(ge=0, le=3)]


class TooManyPasswords(Problem):
    status = 503
    title = "Too many passwords are being set at once"


class LastCertificate(BaseModel):
    subject: str
    issuer: str
    serial_number: str
    fingerprint: str = Field(description="SHA-256 in hex")
    not_after: datetime


class StationSecurity(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    station_id: str
    security_profile: int = Field(
        description="the least it must connect with: 0 nothing, 1 password, 2 password over TLS, "
        "3 certificate; grows by itself with what the station has used"
    )
    certificate_name: str | None = Field(
        description="the common name of its certificates, if not its id"
    )
    password_set: bool
    password_change_pending: bool = Field(
        description="it was sent a new password that it has not used yet"
    )
    last_certificate: LastCertificate | None = Field(description="that it has connected with")
    connection_profile: int | None = Field(description="that its newest connection uses")


class StationSecurityPatch(BaseModel):
    """What is not sent stays."""

    model_config = ConfigDict(extra="forbid")

    security_profile: Literal[0, 1, 2, 3] | None = Field(
        default=None, description="may also be lowered; OCPP itself never lowers it"
    )
    certificate_name: (
        Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]+$")] | None
    ) = None
    password: Password | None = Field(
        default=None, description="for HTTP basic authentication; 16 to 40 characters are OCPP's"
    )


async def _station(db: Any, station_id: str, *, lock: bool = False) -> tables.Station:
    row: tables.Station | None = await db.get(
        tables.Station, station_id, with_for_update=lock or None, populate_existing=True
    )
    if row is None:
        raise NotFound(f"there is no station {station_id!r}")
    return row


async def _shown(db: Any, row: tables.Station) -> StationSecurity:
    connection = await db.get(tables.Connection, row.station_id)
    return StationSecurity(
        station_id=row.station_id,
        security_profile=row.security_profile,
        certificate_name=row.certificate_name,
        password_set=row.password_hash is not None,
        password_change_pending=row.next_password_hash is not None,
        last_certificate=(
            LastCertificate.model_validate(row.last_certificate) if row.last_certificate else None
        ),
        connection_profile=connection.security_profile if connection else None,
    )


@router.get("", summary="How a station must connect", dependencies=[scoped("stations:read")])
async def read_station_security(
    station_id: StationPath, db: Db, response: Response
) -> StationSecurity:
    row = await _station(db, station_id)
    tag(response, row.security_version)
    return await _shown(db, row)


@router.patch(
    "", summary="Change how a station must connect", dependencies=[scoped("stations:write")]
)
async def change_station_security(
    station_id: StationPath,
    body: StationSecurityPatch,
    db: Db,
    request: Request,
    response: Response,
    expected: Expected,
) -> StationSecurity:
    """A password replaces the old one at once and ends one that is on its way. A connection whose
    profile is now too low is closed.
    """
    hashed = await _hashed(request, body.password)
    row = await _station(db, station_id, lock=True)
    require(expected, row.security_version)
    given = body.model_fields_set
    if body.security_profile is not None:
        row.security_profile = body.security_profile
    if "certificate_name" in given:
        row.certificate_name = body.certificate_name
    if hashed is not None:
        row.password_hash, row.next_password_hash = hashed, None
    if given:
        row.security_version += 1
        await db.flush()
    tag(response, row.security_version)
    return await _shown(db, row)


async def _hashed(request: Request, password: SecretStr | None) -> str | None:
    """Before the row is locked: argon2 takes its time. Raises TooManyPasswords."""
    if password is None:
        return None
    try:
        return str(
            await request.app.state.beside.gateway.passwords.hash(password.get_secret_value())
        )
    except Overloaded as overloaded:
        raise TooManyPasswords(str(overloaded)) from None
