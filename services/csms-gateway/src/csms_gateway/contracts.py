"""Plug & Charge: is the car's contract certificate good? (OCPP 2.0.1, C07)

By the chain itself, if the station sends it, and by what its issuers' OCSP responders say, whose
word counts only if it is signed by somebody whom the setting iso15118_roots trusts.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from common.clock import now
from csms_gateway import client_certificates
from csms_gateway.client_certificates import Expired, Untrusted, reading
from csms_gateway.ocsp import NotKnown, Responders, hash_data

log = logging.getLogger(__name__)

Verdict = Literal[
    "Accepted", "CertificateExpired", "CertificateRevoked", "CertChainError", "ContractCancelled"
]
# C07.FR.15 to 17: what the token is when its certificate is not good.
TOKEN_STATUS: Final[dict[Verdict, str]] = {
    "CertificateExpired": "Expired",
    "CertificateRevoked": "Invalid",
    "CertChainError": "Invalid",
}
# C07.FR.13
NOT_WANTED: Final = {"Blocked", "Expired", "Invalid", "Unknown"}


def roots(path: str) -> tuple[x509.Certificate, ...]:
    """Raises OSError or ValueError."""
    return client_certificates.from_pem(Path(path).read_text()) if path else ()


async def verdict(
    responders: Responders, anchors: tuple[x509.Certificate, ...], payload: dict[str, Any]
) -> Verdict | None:
    """Of an AuthorizeRequest's certificate; None: it has none."""
    chain, data = payload.get("certificate"), payload.get("iso15118CertificateHashData")
    if chain is None and data is None:
        return None
    path: list[x509.Certificate] = []
    try:
        if chain is not None:
            path = _checked_chain(chain, payload["idToken"]["idToken"], anchors)
            # A station without the root sends the chain alone, and C07.FR.05 wants OCSP all the
            # same: the certificates say themselves who may be asked about them.
            data = data or _named_responders(path, anchors)
        signed = partial(require_signed, anchors=anchors, path=path)
        asking = (responders.ask(one, one["responderURL"], signed) for one in data or ())
        for status in await asyncio.gather(*asking):
            with reading():
                require_signed(status.response, anchors, path)
            if status.response.certificate_status is ocsp.OCSPCertStatus.REVOKED:
                return "CertificateRevoked"
            if status.response.certificate_status is not ocsp.OCSPCertStatus.GOOD:
                raise NotKnown("the responder does not know the certificate")
    except Expired:
        return "CertificateExpired"
    except (Untrusted, NotKnown) as doubt:
        log.warning("a contract certificate cannot be verified: %s", doubt)
        return "CertChainError"
    return "Accepted"


def _checked_chain(
    chain: str, emaid: str, anchors: tuple[x509.Certificate, ...]
) -> list[x509.Certificate]:
    """What the station sent, the contract's own certificate first. Raises Untrusted."""
    try:
        leaf, *others = client_certificates.from_pem(chain)
    except ValueError:
        raise Untrusted("the chain cannot be read") from None
    if _plain(emaid) not in {_plain(name) for name in client_certificates.names(leaf)}:
        raise Untrusted("the certificate is another contract's")
    client_certificates.check(leaf, others, anchors, now(), as_client=False)
    return [leaf, *others]


def _named_responders(
    path: list[x509.Certificate], anchors: tuple[x509.Certificate, ...]
) -> list[dict[str, Any]]:
    """Hash data and responderURL, as a station sends them, of those that name a responder.

    Anchors are trusted as they are; a certificate whose issuer is not known here is on no path.
    Raises Untrusted.
    """
    found = []
    at = now()
    for one in path:
        url = None if one in anchors else _responder(one)
        known = (other for other in (*path, *anchors) if client_certificates.issued(one, other, at))
        issuer = next(known, None)
        if url is not None and issuer is not None:
            data = hash_data(one, issuer)
            found.append(data | {"responderURL": url})
    return found


def _responder(certificate: x509.Certificate) -> str | None:
    try:
        with reading():
            told = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return None
    urls = (
        one.access_location.value
        for one in told.value
        if one.access_method == AuthorityInformationAccessOID.OCSP
    )
    return next((str(url) for url in urls), None)


def _plain(emaid: str) -> str:
    """Without separators, which are only there to be read (ISO 15118-2, annex H), and without the
    check digit, which is optional.
    """
    return emaid.replace("-", "").upper()[:14]


def require_signed(
    response: ocsp.OCSPResponse,
    anchors: tuple[x509.Certificate, ...],
    path: Sequence[x509.Certificate] = (),
) -> None:
    """Raises NotKnown unless it is signed by an anchor, the issuer of the certificate that it is
    about, or a responder that this issuer has appointed (RFC 6960, 4.2.2.2).
    """
    others = (*response.certificates, *path)
    known = (*others, *anchors)
    signer = next((one for one in known if _is_by(response, one)), None)
    if signer is None:
        raise NotKnown("nobody known has signed the responder's answer")
    if signer in anchors:
        return
    try:
        client_certificates.check(signer, others, anchors, now(), as_client=False)
    except Untrusted as untrusted:
        raise NotKnown(f"the responder is not trusted: {untrusted}") from None
    if _is_about_its_own(response, signer):
        return
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        raise NotKnown("the responder's certificate is not for OCSP")
    at = now()
    if not any(
        _is_about_its_own(response, one) and client_certificates.issued(signer, one, at)
        for one in known
    ):
        raise NotKnown("the responder is appointed by another authority")


def _is_about_its_own(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether the key of the certificate that it is about is signed by this one's key."""
    builder = ocsp.OCSPRequestBuilder()
    of_it = builder.add_certificate(issuer, issuer, response.hash_algorithm).build()
    return of_it.issuer_key_hash == response.issuer_key_hash


def _is_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    algorithm = response.signature_hash_algorithm or hashes.SHA256()
    key = signer.public_key()
    signature, signed = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True
