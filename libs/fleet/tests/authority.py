"""A certificate authority of the tests' own."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from fleet import ClientCertificate

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem_of(key: Key) -> str:
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return encoded.decode()


@dataclass
class Root:
    name: str = "Root of the tests"
    key: Key = field(default_factory=new_key)
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = self._signed(named(self.name), self.key.public_key(), ca=True)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, key: Key) -> str:
        certificate = self._signed(named(name), key.public_key(), ca=False)
        return certificate.public_bytes(Encoding.PEM).decode()

    def sign(self, request: str) -> str:
        """Answer a signing request with a certificate, PEM."""
        asked = x509.load_pem_x509_csr(request.encode())
        assert asked.is_signature_valid
        certificate = self._signed(asked.subject, asked.public_key(), ca=False)
        return certificate.public_bytes(Encoding.PEM).decode()

    def client(self, name: str) -> ClientCertificate:
        key = new_key()
        return ClientCertificate(self.issue(name, key), pem_of(key))

    def server_context(self, folder: Path, *, clients: bool) -> ssl.SSLContext:
        key = new_key()
        file = folder / "server.pem"
        file.write_text(pem_of(key) + self.issue("127.0.0.1", key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context

    def _signed(self, subject: x509.Name, key: Any, *, ca: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(named(self.name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            local = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(local, critical=False)
        return builder.sign(self.key, hashes.SHA256())
