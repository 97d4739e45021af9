"""Who may connect: OCPP's security profiles (2.0.1 A00; 1.6 security whitepaper, 2).

0 nothing at all (only where the setting allows it), 1 a password, 2 a password over TLS, 3 a
certificate. A station must use the profile it is set to or a higher one; when it has proved itself
at a higher one, it may not go back (A05.FR.07). Lowering it is for staff, never for OCPP.
"""

import base64
import binascii
import http
import logging
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote
from uuid import UUID

import asyncpg
import orjson
from cryptography import x509

from common.clock import now
from csms_gateway import client_certificates, notifications
from csms_gateway.admitted import Admitted
from csms_gateway.client_certificates import Untrusted
from csms_gateway.door import Headers
from csms_gateway.peers import Peer
from csms_gateway.seldom import Seldom
from csms_gateway.station_passwords import Overloaded

if TYPE_CHECKING:
    from csms_gateway.gateway import Gateway

log = logging.getLogger(__name__)

PREFIX: Final = "/ocpp/"
STATION_ID_MAX: Final = 48  # OCPP 2.0.1, identityString; longer ones are in no registry
# Passwords that people chose can be guessed (those of ours have 160 random bits): so many different
# ones of a station, from one address and from all of them, in GUESSES_EVERY_S. What was decided on
# before counts no more, so nobody locks a station out that has been in since the gateway started.
GUESSES_AN_ADDRESS: Final = 20
GUESSES: Final = 200
GUESSES_EVERY_S: Final = 600.0
NOTE_EVERY_S: Final = 600.0  # refusals of one station; a charger tries again every few seconds

STATION = """
select operator_id, active, evses, password_hash, next_password_hash, version, credential_version,
    security_profile, certificate_name, boot_answer
from station where station_id = $1
"""
# Only if it is still what was matched: a rotation or registry may have been there meanwhile.
PROMOTE = """
update station set password_hash = $3, next_password_hash = null
where station_id = $1 and next_password_hash = $2
"""
ANCHORS = "select certificate from certificate_authority where operator_id = $1 and use = 'station'"
# Whichever station it was signed for. Its end is in the condition for the sake of an index.
REVOKED = """
select 1 from issued_certificate
where operator_id = $1 and not_after = $2 and fingerprint = $3 and revoked_at is not null
"""


class Refused(Exception):
    """A connection that may not be; status is the HTTP status of the refusal."""

    def __init__(self, status: http.HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Unknown(Exception):
    """No such station here, and its id could be one."""

    def __init__(self, station_id: str) -> None:
        super().__init__(f"no station {station_id!r} here")
        self.station_id = station_id


class Admission:
    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._settings = gateway.settings
        self._common_anchors: tuple[x509.Certificate, ...] = ()
        if path := gateway.settings.ocpp_client_ca:
            self._common_anchors = client_certificates.from_pem(Path(path).read_text())
        self._noted = Seldom(1, NOTE_EVERY_S)
        self._guesses = Seldom(GUESSES, GUESSES_EVERY_S)
        self._guesses_of_address = Seldom(GUESSES_AN_ADDRESS, GUESSES_EVERY_S)

    async def admit(self, peer: Peer, path: str, headers: Headers) -> Admitted:
        """Raises Refused or Unknown."""
        station_id = named(path)
        row = await self._gateway.pool.fetchrow(STATION, station_id)
        if row is None:
            raise Unknown(station_id)
        if not row["active"]:
            raise Refused(http.HTTPStatus.NOT_FOUND, f"no station {station_id!r} here")
        doubt = await self._doubt(station_id, row, peer)
        if doubt is None:
            profile = 3
        elif await self._knows_password(station_id, row, peer.address, headers):
            profile = 2 if peer.tls else 1
        elif peer.chain:
            await self._note(station_id, row, "InvalidChargingStationCertificate", doubt)
            raise Refused(http.HTTPStatus.FORBIDDEN, doubt)
        elif self._may_come_as_it_is(row, headers):
            profile = 0
        else:
            await self._note(station_id, row, "FailedToAuthenticate", peer.address)
            raise Refused(http.HTTPStatus.UNAUTHORIZED, "wrong station id or password")
        if profile < row["security_profile"]:
            why = f"security profile {profile} is below the station's {row['security_profile']}"
            await self._note(station_id, row, "LowerSecurityProfile", why)
            raise Refused(http.HTTPStatus.FORBIDDEN, why)
        certificate = client_certificates.described(peer.chain[0]) if doubt is None else None
        return _admitted(station_id, row, profile, certificate)

    async def _doubt(self, station_id: str, row: asyncpg.Record, peer: Peer) -> str | None:
        """Why its certificate does not prove that it is the station; None: it does."""
        if not peer.chain or not peer.tls:
            return "no client certificate"
        leaf, *others = peer.chain
        expected = row["certificate_name"] or station_id
        rows = await self._gateway.pool.fetch(ANCHORS, row["operator_id"])
        own = [anchor for one in rows for anchor in client_certificates.from_pem(one[0])]
        try:
            if expected not in client_certificates.names(leaf):
                return "the certificate is another station's"
            client_certificates.check(leaf, others, [*own, *self._common_anchors], now())
        except Untrusted as untrusted:
            return str(untrusted)
        signed = (leaf.not_valid_after_utc, client_certificates.fingerprint(leaf))
        if await self._gateway.pool.fetchval(REVOKED, row["operator_id"], *signed):
            return "the certificate is revoked"
        return None

    async def _knows_password(
        self, station_id: str, row: asyncpg.Record, address: str, headers: Headers
    ) -> bool:
        password = given_password(station_id, headers)
        if password is None:
            return False
        # Several wait if the charger left it open whether it took one; see password_rotation.
        waiting = row["next_password_hash"] or ""
        hashes = [row["password_hash"] or "", *waiting.split()]
        if not self._gateway.passwords.decided(password, hashes):
            self._require_few_guesses(station_id, address)
        try:
            if row["password_hash"] and await self._matches(password, row["password_hash"]):
                return True
            for hashed in waiting.split():
                if await self._matches(password, hashed):
                    await self._gateway.pool.execute(PROMOTE, station_id, waiting, hashed)
                    return True
        except Overloaded as overloaded:
            raise Refused(http.HTTPStatus.SERVICE_UNAVAILABLE, str(overloaded)) from None
        return False

    def _require_few_guesses(self, station_id: str, address: str) -> None:
        """Raises Refused."""
        at = time.monotonic()
        if not (
            self._guesses_of_address.allows(f"{station_id}\0{_network(address)}", at)
            and self._guesses.allows(station_id, at)
        ):
            raise Refused(http.HTTPStatus.TOO_MANY_REQUESTS, "too many passwords were tried")

    async def _matches(self, password: bytes, hashed: str) -> bool:
        return await self._gateway.passwords.matches(password, hashed)

    def _may_come_as_it_is(self, row: asyncpg.Record, headers: Headers) -> bool:
        open_here = (
            self._settings.ocpp_security_profile_0 or self._settings.unknown_stations == "accept"
        )
        nothing_to_check = row["password_hash"] is None or "Authorization" not in headers
        return open_here and row["security_profile"] == 0 and nothing_to_check

    async def _note(self, station_id: str, row: asyncpg.Record, what: str, detail: str) -> None:
        """Kept with what the station tells of itself; staff see there why it cannot connect."""
        if self._noted.allows(f"{station_id}\0{what}", time.monotonic()):
            await notifications.note(
                self._gateway.pool, row["operator_id"], station_id, what, detail
            )


def named(path: str) -> str:
    """The station's id in a URL's path. Raises Refused."""
    path = path.partition("?")[0]
    # Some chargers put a slash at the end, whatever URL they were given.
    station_id = unquote(path.removeprefix(PREFIX).removesuffix("/"))
    if not path.startswith(PREFIX) or not 0 < len(station_id) <= STATION_ID_MAX:
        raise Refused(http.HTTPStatus.NOT_FOUND, f"connect to {PREFIX}<station id>")
    if not station_id.isprintable():
        raise Refused(http.HTTPStatus.NOT_FOUND, "that is no station id")
    return station_id


def _network(address: str) -> str:
    """Who has one address of IPv6 has its whole network of 64 bits."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else address


def given_password(station_id: str, headers: Headers) -> bytes | None:
    """The password by HTTP basic authentication; None if there is none or the user is another.

    Bytes: AuthorizationKey may stand for any. The id may hold a colon, so it is not parted there.
    """
    given = headers.getall("Authorization", [])
    scheme, _, encoded = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return None
    user = station_id.encode() + b":"
    return pair.removeprefix(user) if pair.startswith(user) else None


def _admitted(
    station_id: str, row: asyncpg.Record, profile: int, certificate: dict[str, Any] | None
) -> Admitted:
    evses: list[dict[str, Any]] = orjson.loads(row["evses"])
    power = {evse["evse_id"]: evse["max_power_w"] for evse in evses if evse.get("max_power_w")}
    # asyncpg has a UUID of its own, which JSON does not know.
    operator_id = UUID(str(row["operator_id"]))
    versions = (row["version"], row["credential_version"])
    return Admitted(
        station_id, operator_id, power, versions, row["boot_answer"], profile, certificate
    )
