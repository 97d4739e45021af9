"""The status of certificates, asked of their issuers' responders (RFC 6960).

A charger says which URL to ask, so only hosts in the setting ocsp_hosts are asked: a charger must
not be able to send requests into our network (SSRF). Answers are remembered until they end, if they
are signed by whom they should be: what somebody on the way has put in is not told again.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from common.clock import now
from csms_gateway.client_certificates import UNREADABLE
from csms_gateway.settings import Settings, words

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 5.0
BYTES_MAX: Final = 20_000
REMEMBER_S: Final = 3600.0  # at most; revoked is revoked within the hour
REMEMBERED_MAX: Final = 5000
NEW_FOR: Final = timedelta(days=1)
CLOCKS_DIFFER: Final = timedelta(minutes=5)
HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}


class NotKnown(Exception):
    """The status could not be had; the words are for people."""


@dataclass(frozen=True, slots=True)
class Status:
    der: bytes
    response: ocsp.OCSPResponse


def hash_data(certificate: x509.Certificate, issuer: x509.Certificate) -> dict[str, str]:
    """CertificateHashDataType by SHA-256 (OCPP 2.0.1, 2.10; RFC 6960, CertID)."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256())
    request = builder.build()
    return {
        "hashAlgorithm": "SHA256",
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


class Responders:
    def __init__(self, settings: Settings) -> None:
        self._hosts = {host.lower() for host in words(settings.ocsp_hosts)}
        self._remembered: dict[bytes, tuple[float, Status]] = {}

    async def ask(
        self, data: dict[str, Any], url: str, require_signed: Callable[[ocsp.OCSPResponse], None]
    ) -> Status:
        """data: hash data in OCPP's words. The answer is about that certificate and in its time. If
        require_signed raises NotKnown for it, it is given all the same, but not remembered. Raises
        NotKnown.
        """
        self._require_allowed(url)
        request, encoded = _request(data)
        key = url.encode() + b"\0" + encoded
        known = self._remembered.get(key)
        if known and known[0] > time.monotonic():
            return known[1]
        status = _checked(await _fetch(url, encoded), request)
        try:
            require_signed(status.response)
        except (NotKnown, *UNREADABLE):
            return status
        if len(self._remembered) >= REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        until = status.response.next_update_utc
        left_s = (until - now()).total_seconds() if until else 0
        self._remembered[key] = (time.monotonic() + min(left_s, REMEMBER_S), status)
        return status

    def _require_allowed(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            host, netloc = (parts.hostname or "").lower(), parts.netloc.lower()
            own_port = parts.port in {None, 80, 443}
        except ValueError:
            raise NotKnown("the responder's URL cannot be read") from None
        if parts.scheme not in {"http", "https"} or parts.username is not None:
            raise NotKnown("the responder's URL is not plain http or https")
        # A host without a port in the setting stands for the ports of http and https alone.
        if netloc not in self._hosts and not (own_port and host in self._hosts):
            raise NotKnown(f"{host[:100]!r} is not one of CSMS_OCSP_HOSTS")


def _request(data: dict[str, Any]) -> tuple[ocsp.OCSPRequest, bytes]:
    """And in DER."""
    try:
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            bytes.fromhex(data["issuerNameHash"]),
            bytes.fromhex(data["issuerKeyHash"]),
            int(data["serialNumber"], 16),
            HASHES[data["hashAlgorithm"]],
        )
        request = builder.build()
        return request, request.public_bytes(serialization.Encoding.DER)
    except ValueError as error:
        raise NotKnown(f"the hash data cannot be used: {error}") from None


async def _fetch(url: str, encoded: bytes) -> bytes:
    headers = {"Content-Type": "application/ocsp-request"}
    found = bytearray()
    try:
        # Redirects are not followed: they could lead anywhere.
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream("POST", url, content=encoded, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise NotKnown(f"the responder answered {response.status_code}")
            async for part in response.aiter_bytes():
                found += part
                if len(found) > BYTES_MAX:
                    raise NotKnown("the responder's answer is too long")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotKnown(f"the responder cannot be reached: {error!r}"[:300]) from error
    return bytes(found)


def _checked(der: bytes, request: ocsp.OCSPRequest) -> Status:
    try:
        response = ocsp.load_der_ocsp_response(der)
        _require_apt(response, request)
    except UNREADABLE:
        raise NotKnown("the responder's answer is no OCSP response") from None
    return Status(der, response)


def _require_apt(response: ocsp.OCSPResponse, request: ocsp.OCSPRequest) -> None:
    """Raises NotKnown, or one of UNREADABLE."""
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise NotKnown(f"the responder says {response.response_status.name}")
    told = (response.serial_number, response.issuer_key_hash, response.issuer_name_hash)
    if told != (request.serial_number, request.issuer_key_hash, request.issuer_name_hash):
        raise NotKnown("the responder's answer is about another certificate")
    # RFC 6960, 3.2: without an end it is of use as long as it is new.
    end = response.next_update_utc or response.this_update_utc + NEW_FOR
    if end < now():
        raise NotKnown("the responder's answer is too old")
    if response.this_update_utc > now() + CLOCKS_DIFFER:
        raise NotKnown("the responder's answer is of the future")
