"""Certificates for tests, made on the spot."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    ExtensionOID,
    NameOID,
)

DAY = timedelta(days=1)


def new_key(kind: str = "ecdsa", bits: int = 2048) -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return ec.generate_private_key(ec.SECP256R1())


def named(common_name: str, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def key_pem(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return encoded


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    def __init__(
        self,
        name: str,
        kind: str = "ecdsa",
        above: "Authority | None" = None,
        use: x509.ObjectIdentifier | None = None,
    ) -> None:
        """use: it is no authority, but may do that in the name of the one above it."""
        self.key = new_key(kind)
        self.name = named(name)
        signer = above or self
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=not use, path_length=None), critical=True)
        )
        if use:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    def issue(
        self,
        common_name: str,
        key: Any,
        *,
        server: bool = False,
        days: tuple[int, int] = (-1, 10),
        responder: str | None = None,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        use = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(common_name))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY)
            .not_valid_after(now + days[1] * DAY)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        )
        if server:
            alternative = x509.SubjectAlternativeName([x509.DNSName(common_name)])
            builder = builder.add_extension(alternative, critical=False)
        if responder:
            asked = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(responder)
            )
            told = x509.AuthorityInformationAccess([asked])
            builder = builder.add_extension(told, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def write_own(self, folder: Path) -> Path:
        """The authority's own certificate as a file."""
        file = folder / "authority.pem"
        file.write_bytes(pem(self.certificate))
        return file

    def write(self, folder: Path, name: str, common_name: str, **how: Any) -> tuple[Path, Path]:
        """A certificate and its key as files."""
        key = new_key(how.pop("kind", "ecdsa"))
        certificate = folder / f"{name}.pem"
        certificate.write_bytes(pem(self.issue(common_name, key, **how)))
        key_file = folder / f"{name}.key"
        key_file.write_bytes(key_pem(key))
        return certificate, key_file


def signing_request(
    common_name: str, key: Any, organisation: str | None = None, *, forged: bool = False
) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(named(common_name, organisation))
    request = builder.sign(key, hashes.SHA256())
    encoded = request.public_bytes(serialization.Encoding.DER)
    if forged:
        encoded = encoded.replace(common_name.encode(), common_name[::-1].encode())
    body = ssl.DER_cert_to_PEM_cert(encoded)
    return body.replace("CERTIFICATE", "CERTIFICATE REQUEST")


def broken(common_name: str) -> x509.Certificate:
    """One whose extension of alternative names is garbage: it loads, and fails when looked into."""
    garbage = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x05\x00garbage")
    now, key = datetime.now(UTC), new_key()
    return (
        x509.CertificateBuilder()
        .subject_name(named(common_name))
        .issuer_name(named(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(garbage, critical=False)
        .sign(key, hashes.SHA256())
    )
