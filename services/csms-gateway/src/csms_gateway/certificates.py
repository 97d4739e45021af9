"""Stations' certificates: asked for, signed, handed over, renewed, revoked.

SignCertificate is answered when the signed certificate and the command that carries it are stored.
Source: OCPP 2.0.1, A02 and A03; 1.6 security whitepaper, A02 and A03.
"""

import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from cryptography import x509
from cryptography.x509.oid import NameOID

from common import ids
from common.clock import now
from csms_gateway import certificate_authority, client_certificates, notifications, signing
from csms_gateway.commands import records
from csms_gateway.iso15118 import NoProvider, ProviderFailed, sign_by_provider
from csms_gateway.signing import RequestRefused

if TYPE_CHECKING:
    from csms_gateway.charger import Charger

log = logging.getLogger(__name__)

Use = Literal["station", "v2g", "v2g20"]

A_DAY_MAX: Final = 20  # certificates a station; a charger that asks in a loop must not fill tables
DELIVER_WITHIN: Final = timedelta(days=1)
OURSELVES: Final = "csms-gateway"  # who has asked for a command, when nobody did

NAMES: Final = "select certificate_name from station where station_id = $1"
SO_FAR: Final = """
select count(*) filter (where i.issued_at > now() - interval '1 day') as today,
    bool_or(i.request_digest = $2 and c.state in ('queued', 'sent')) as on_its_way
from issued_certificate i left join command c on c.id = i.command_id where i.station_id = $1
"""
ISSUE: Final = """
with issued as (
    insert into issued_certificate (
        id, operator_id, station_id, use, certificate, fingerprint, request_digest, serial_number,
        not_before, not_after, issued_at, state, command_id
    ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'issued', $12)
)
insert into command (
    id, operator_id, station_id, idempotency_key, type, parameters, requested_by, requested_at,
    deadline_at
) values ($12, $2, $3, $13, 'certificate_signed', $14, $15, $11, $16)
"""
ANSWERED: Final = """
update issued_certificate set state = $3 where station_id = $1 and fingerprint = $2
"""


async def requested(
    charger: "Charger", csr: str, use: Use | None, request_id: int | None = None
) -> str | None:
    """Sign a request and have the certificate sent; return when both are stored.

    Returns why it is refused, or None. use None: the station has one certificate for everything.
    """
    gateway = charger.gateway
    digest = hashlib.sha256(csr.encode()).hexdigest()
    row = await gateway.pool.fetchrow(SO_FAR, charger.station_id, digest)
    assert row is not None
    if row["on_its_way"]:
        return None  # it repeats itself (A02.FR.17), and what it waits for is coming
    try:
        if row["today"] >= A_DAY_MAX:
            raise RequestRefused(f"{A_DAY_MAX} certificates a day are enough")
        chain = await _chain(charger, csr, use or "station")
    except (RequestRefused, NoProvider, ProviderFailed) as refused:
        why = str(refused)
    except certificate_authority.NotConfigured as missing:
        why = missing.detail
    else:
        parameters = {"chain": chain, "use": use, "request_id": request_id}
        await _store(charger, chain, digest, use or "station", parameters)
        return None
    log.warning("%s asked for a certificate and was refused: %s", charger.station_id, why)
    await notifications.note(
        gateway.pool, charger.operator_id, charger.station_id, "SigningRequestRefused", why
    )
    return why


async def _chain(charger: "Charger", csr: str, use: Use) -> str:
    """PEM, the leaf first. Raises RequestRefused, NotConfigured, NoProvider or ProviderFailed."""
    gateway = charger.gateway
    organisation = await certificate_authority.operator_name(gateway, charger.operator_id)
    name = await gateway.pool.fetchval(NAMES, charger.station_id) or charger.station_id
    request = signing.parse_request(csr)
    if use != "station":
        # A SECC's name is its own (ISO 15118-2, annex F); who signs it knows what it must be.
        if gateway.settings.iso15118_url != "local":
            chain = await sign_by_provider(gateway, charger.station_id, csr, use)
            _require_for(request, chain)
            return chain
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else name
        organisation = None
    algorithm = signing.check_request(request, name, organisation)
    authority, key = await certificate_authority.ensure(
        gateway, charger.operator_id, "station" if use == "station" else "v2g", algorithm
    )
    certificate = signing.sign(
        request,
        authority,
        key,
        organisation=organisation,
        server=use != "station",
        days=gateway.settings.certificate_days,
        at=now(),
    )
    # The leaf alone: the station has the root that it is to trust, and chargers take little.
    return client_certificates.pem(certificate)


def _require_for(request: x509.CertificateSigningRequest, chain: str) -> None:
    """Raises ProviderFailed."""
    try:
        leaf = client_certificates.from_pem(chain)[0]
    except ValueError:
        raise ProviderFailed("the ISO 15118 provider sent no certificate") from None
    if leaf.public_key() != request.public_key():
        raise ProviderFailed("the ISO 15118 provider signed another key")


async def _store(
    charger: "Charger", chain: str, digest: str, use: Use, parameters: dict[str, Any]
) -> None:
    leaf = client_certificates.from_pem(chain)[0]
    at, command_id = now(), ids.uuid7()
    given = {name: value for name, value in parameters.items() if value is not None}
    await charger.gateway.pool.execute(
        ISSUE, ids.uuid7(), charger.operator_id, charger.station_id, use, chain,
        client_certificates.fingerprint(leaf), digest, f"{leaf.serial_number:x}",
        leaf.not_valid_before_utc, leaf.not_valid_after_utc, at, command_id,
        f"certificate:{command_id}", orjson.dumps(given).decode(), OURSELVES, at + DELIVER_WITHIN,
    )  # fmt: skip
    await charger.gateway.feed.tell(charger.station_id, command_id, "queued")
    records.deliver_soon(charger.gateway, charger)


async def handed_over(charger: "Charger", payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """What the station said to CertificateSigned. Refused, it is asked to try again later
    (A02.FR.20: by itself it does not); see certificate_renewal.
    """
    accepted = answer["status"] == "Accepted"
    try:
        leaf = client_certificates.from_pem(payload["certificateChain"])[0]
    except ValueError:
        return  # a command by hand with what is none
    digest = client_certificates.fingerprint(leaf)
    state = "accepted" if accepted else "rejected"
    await charger.gateway.pool.execute(ANSWERED, charger.station_id, digest, state)
    if not accepted:
        why = f"{leaf.subject.rfc4514_string()} {leaf.serial_number:x}"
        await notifications.note(
            charger.gateway.pool,
            charger.operator_id,
            charger.station_id,
            "CertificateRejected",
            why,
        )
