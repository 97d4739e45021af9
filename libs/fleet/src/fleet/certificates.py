"""A charger's keys and certificates: what it trusts, and what it is known by.

OCPP 2.0.1, A02 and M03 to M05; the same in the security extension of OCPP 1.6.
"""

import base64
import hashlib
import ssl
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from fleet.dialect import Payload

SERVER_ROOTS = {"CSMSRootCertificate", "CentralSystemRootCertificate"}
MOST_INSTALLED = 20
ORGANISATION = "OpenLade"


class ClientCertificate(NamedTuple):
    """A certificate, with those above it but the root, and its private key. PEM."""

    chain: str
    key: str


@dataclass
class Certificates:
    """`authorities` are the server's roots known from the factory, PEM; empty for the system's."""

    station_id: str
    authorities: str = ""
    client: ClientCertificate | None = None
    installed: list[tuple[str, x509.Certificate]] = field(default_factory=list)
    _new_key: ec.EllipticCurvePrivateKey | None = None

    def tls(self) -> ssl.SSLContext:
        roots = [pem(found) for kind, found in self.installed if kind in SERVER_ROOTS]
        return _context("\n".join([self.authorities, *roots]).strip(), self.client)

    def signing_request(self) -> str:
        """Make a new key and the request to have it signed, PEM."""
        self._new_key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, self.station_id[:64]),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            ]
        )
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        signed = request.sign(self._new_key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM).decode()

    def take(self, chain: str) -> bool:
        """Use a signed certificate from the next connection on, if it is for the newest key."""
        try:
            certificate = x509.load_pem_x509_certificates(chain.encode())[0]
        except ValueError:
            return False
        now = datetime.now(UTC)
        if self._new_key is None or now >= certificate.not_valid_after_utc:
            return False
        if _public(certificate.public_key()) != _public(self._new_key.public_key()):
            return False
        key = self._new_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.client = ClientCertificate(chain, key.decode())
        self._new_key = None
        return True

    def install(self, kind: str, text: str) -> str:
        """Answer an InstallCertificate with its status."""
        try:
            certificate = x509.load_pem_x509_certificate(text.encode())
        except ValueError:
            return "Rejected"
        if datetime.now(UTC) >= certificate.not_valid_after_utc:
            return "Rejected"
        if (kind, certificate) not in self.installed:
            if len(self.installed) >= MOST_INSTALLED:
                return "Failed"
            self.installed.append((kind, certificate))
        return "Accepted"

    def find(self, kinds: list[str]) -> list[tuple[str, Payload]]:
        """Kind and hash data of what is installed; no kinds means all."""
        return [
            (kind, hash_data(found)) for kind, found in self.installed if not kinds or kind in kinds
        ]

    def delete(self, wanted: Payload) -> str:
        algorithm = wanted["hashAlgorithm"]
        kept = [
            (kind, found)
            for kind, found in self.installed
            if not _same(hash_data(found, algorithm), wanted)
        ]
        if len(kept) == len(self.installed):
            return "NotFound"
        self.installed = kept
        return "Accepted"


def hash_data(certificate: x509.Certificate, algorithm: str = "SHA256") -> Payload:
    """Identify a root, which is its own issuer, as OCSP does (RFC 6960, 4.1.1)."""

    def digest(data: bytes) -> str:
        return hashlib.new(algorithm.lower(), data).hexdigest()

    bits = certificate.public_key().public_bytes(
        *(
            (Encoding.X962, PublicFormat.UncompressedPoint)
            if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
            else (Encoding.DER, PublicFormat.PKCS1)
        )
    )
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": digest(certificate.issuer.public_bytes()),
        "issuerKeyHash": digest(bits),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def readable(text: str) -> bool:
    try:
        x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        return False
    return True


def signed(data: bytes, certificate: str, signature: str) -> bool:
    """Whether a firmware's signature (base64) is by the certificate's key (OCPP 2.0.1, L01)."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
            key.verify(raw, data, pss, hashes.SHA256())
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _public(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _same(one: Payload, other: Payload) -> bool:
    """Servers differ in case and in leading zeros of serial numbers."""
    return all(
        str(one[name]).lower().lstrip("0") == str(other[name]).lower().lstrip("0") for name in one
    )


@lru_cache(maxsize=8)
def _context(authorities: str, client: ClientCertificate | None) -> ssl.SSLContext:
    """Shared by chargers that need the same: a context holds hundreds of kilobytes."""
    context = ssl.create_default_context(cadata=authorities or None)
    if client:
        # The library reads keys from files alone.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "client.pem"
            file.touch(mode=0o600)
            file.write_text(f"{client.key}\n{client.chain}")
            context.load_cert_chain(file)
    return context
