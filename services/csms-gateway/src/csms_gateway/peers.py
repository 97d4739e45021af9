"""How a charger has reached us: its address, whether by TLS, and with which certificate.

Either on our own TLS port, or behind an ingress that says so in headers. The headers are believed
only from the addresses in the setting trusted_proxies; from anybody else they are ignored.
"""

import asyncio
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

from cryptography import x509

from csms_gateway import client_certificates
from csms_gateway.door import Headers

FORWARDED_PROTO: Final = "X-Forwarded-Proto"
FORWARDED_FOR: Final = "X-Forwarded-For"
CLIENT_CERTIFICATE: Final = "X-SSL-Client-Cert"
INTERMEDIATES_MAX: Final = 200  # a vendor has one or two
TLS_SCHEMES: Final = {"https", "wss"}

Networks = tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    address: str
    tls: bool
    # The leaf first, whose owner has proved to have the key, in the TLS handshake; then those by
    # which a path may lead to an authority.
    chain: tuple[x509.Certificate, ...] = ()


class BadHeader(Exception):
    """A trusted proxy sent what cannot be read; refused, for it may hide what a client sent."""


class Intermediates:
    """Those between chargers' certificates and an authority's, as OpenSSL has verified them.

    A resumed TLS session has the charger's own alone, so the others are remembered here.
    """

    def __init__(self) -> None:
        self._met: dict[bytes, x509.Certificate] = {}

    def chain(self, secured: ssl.SSLObject) -> tuple[x509.Certificate, ...]:
        """The client's certificate, and those that may be above it."""
        leaf = secured.getpeercert(binary_form=True)
        if leaf is None:
            return ()
        # Public since Python 3.13; before, the same method is on the object beneath.
        inner: Any = secured if hasattr(secured, "get_verified_chain") else secured._sslobj  # type: ignore[attr-defined] # noqa: SLF001
        verified = inner.get_verified_chain()
        for one in (verified or ())[1:]:
            self._remember(_der(one))
        return (x509.load_der_x509_certificate(leaf), *self._met.values())

    def _remember(self, encoded: bytes) -> None:
        met = self._met.pop(encoded, None) or x509.load_der_x509_certificate(encoded)
        if met.issuer != met.subject:  # roots are known as anchors, or count for nothing
            self._met[encoded] = met
        if len(self._met) > INTERMEDIATES_MAX:
            del self._met[next(iter(self._met))]


def of(
    transport: asyncio.Transport, headers: Headers, trusted: Networks, met: Intermediates
) -> Peer:
    """Raises BadHeader."""
    peername = transport.get_extra_info("peername")
    address = str(peername[0]) if peername else ""
    if secured := transport.get_extra_info("ssl_object"):
        return Peer(address, tls=True, chain=met.chain(secured))
    if not _is_trusted(address, trusted):
        return Peer(address, tls=False)
    tls = (_one(headers, FORWARDED_PROTO) or "").strip().lower() in TLS_SCHEMES
    # The last hop is the one that the proxy itself has seen.
    forwarded = ",".join(headers.getall(FORWARDED_FOR, [])).rpartition(",")[2].strip()
    escaped = _one(headers, CLIENT_CERTIFICATE)
    try:
        chain = client_certificates.from_header(escaped) if tls and escaped else ()
    except ValueError:
        raise BadHeader(f"{CLIENT_CERTIFICATE} is no url-encoded PEM") from None
    return Peer(forwarded or address, tls, chain)


def _is_trusted(address: str, trusted: Networks) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(found in network for network in trusted)


def _one(headers: Headers, name: str) -> str | None:
    found = headers.getall(name, [])
    if len(found) > 1:
        raise BadHeader(f"{name} came more than once")
    return found[0] if found else None


def _der(one: Any) -> bytes:
    if isinstance(one, bytes):
        return one
    encoded: bytes = one.public_bytes(2)  # _ssl.ENCODING_DER
    return encoded
