"""Pure: whose certificate is this, and do we trust who signed it?

Path validation as far as a charger's certificate needs it (RFC 5280, 6.1): signatures, validity,
basic constraints, key usage. Web rules such as a subject alternative name are not asked for:
OCPP's certificate properties (2.0.1, A00.FR.511) name the station in the common name.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PATH_MAX: Final = 5  # a root, two sub-CAs and the leaf are OCPP's hierarchy; one more harms nobody
# What is in a certificate or a request is read when it is asked for, long after it was loaded.
UNREADABLE: Final = (
    ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


class Untrusted(Exception):
    """A certificate that proves nothing; the words are for people."""


class Expired(Untrusted):
    """It is, or was not yet, valid."""


def from_pem(text: str) -> tuple[x509.Certificate, ...]:
    """Certificates in their order. Raises ValueError."""
    try:
        return tuple(x509.load_pem_x509_certificates(text.encode()))
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None


@contextmanager
def reading() -> Iterator[None]:
    """Raises Untrusted where a certificate's contents are garbage."""
    try:
        yield
    except UNREADABLE:
        raise Untrusted("the certificate cannot be read") from None


def from_header(value: str) -> tuple[x509.Certificate, ...]:
    """PEM, url-encoded, as nginx's $ssl_client_escaped_cert has it. Raises ValueError."""
    return from_pem(unquote(value))


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def names(certificate: x509.Certificate) -> set[str]:
    """What it says its owner is called: common names and alternative names. Raises Untrusted."""
    with reading():
        subject, extensions = certificate.subject, certificate.extensions
    found = {str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        other = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return found
    return (
        found
        | set(other.get_values_for_type(x509.DNSName))
        | set(other.get_values_for_type(x509.UniformResourceIdentifier))
    )


def organisations(name: x509.Name) -> set[str]:
    return {
        str(attribute.value).strip().casefold()
        for attribute in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    }


def described(certificate: x509.Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject.rfc4514_string()[:500],
        "issuer": certificate.issuer.rfc4514_string()[:500],
        "serial_number": f"{certificate.serial_number:x}",
        "fingerprint": fingerprint(certificate),
        "not_after": certificate.not_valid_after_utc.isoformat(),
    }


def check(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Iterable[x509.Certificate],
    at: datetime,
    *,
    as_client: bool = True,
) -> None:
    """Raises Untrusted unless a path leads from the leaf over others to an anchor.

    as_client: the leaf must be good for TLS client authentication.
    """
    with reading():
        _check_period(leaf, at)
        if as_client:
            _check_client(leaf)
        known = list(anchors)
        current = leaf
        for _ in range(PATH_MAX):
            if any(issued(current, anchor, at) for anchor in known):
                return
            above = next((other for other in others if issued(current, other, at)), None)
            if above is None or above == current:
                break
            current = above
        raise Untrusted(f"nobody trusted here has signed {leaf.subject.rfc4514_string()[:200]!r}")


def _check_period(certificate: x509.Certificate, at: datetime) -> None:
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise Expired("the certificate is not valid now")


def _check_client(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    good = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if not good & set(usage):
        raise Untrusted("the certificate is not for TLS clients")


def issued(child: x509.Certificate, parent: x509.Certificate, at: datetime) -> bool:
    try:
        if child.issuer != parent.subject or not _is_authority(parent):
            return False
        if not parent.not_valid_before_utc <= at <= parent.not_valid_after_utc:
            return False
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, TypeError, *UNREADABLE):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
