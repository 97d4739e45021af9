"""TLS at the gateway itself (OCPP 2.0.1, A00.FR.416 to 424; 1.6 security whitepaper, 2.4).

Client certificates are asked for, not demanded: security profile 2 has none. Python's OpenSSL
verifies them against every operator's authority; whether it is the station's own operator's is
admission's business.
"""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path
from typing import Final

from csms_gateway.gateway import Gateway
from csms_gateway.settings import Settings, words

log = logging.getLogger(__name__)

REFRESH_S: Final = 20.0
# The four suites that OCPP names, those with forward secrecy first.
CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384"
)
AUTHORITIES = "select id, certificate from certificate_authority where use = 'station'"


class NotUsable(Exception):
    """The settings of TLS are incomplete, or a file cannot be used."""


class Tls:
    """The context of the TLS port, kept up to date."""

    def __init__(self, gateway: Gateway) -> None:
        """Raises NotUsable."""
        settings = gateway.settings
        self._gateway = gateway
        certificates = words(settings.ocpp_tls_certificate)
        keys = words(settings.ocpp_tls_key)
        if not certificates or len(certificates) != len(keys):
            raise NotUsable(
                "CSMS_OCPP_TLS_PORT needs CSMS_OCPP_TLS_CERTIFICATE and as many CSMS_OCPP_TLS_KEY"
            )
        self._pairs = list(zip(certificates, keys, strict=True))
        self._loaded_at: dict[str, float] = {}
        self._known: set[str] = set()
        self.context = _context(settings)
        try:
            self._load_files()
        except (OSError, ssl.SSLError) as error:
            raise NotUsable(f"the certificates for TLS cannot be used: {error}") from error

    def _load_files(self) -> None:
        # A second chain of the same kind of key replaces the first; of another kind it adds to it.
        for certificate, key in self._pairs:
            changed_at = max(Path(certificate).stat().st_mtime, Path(key).stat().st_mtime)
            if self._loaded_at.get(certificate) != changed_at:
                self.context.load_cert_chain(certificate, key)
                self._loaded_at[certificate] = changed_at

    async def refresh(self) -> None:
        """Trust authorities made meanwhile, also by another replica; read renewed files."""
        if not self._gateway.settings.ocpp_client_certificates:
            return
        for row in await self._gateway.pool.fetch(AUTHORITIES):
            if str(row["id"]) not in self._known:
                self.context.load_verify_locations(cadata=row["certificate"])
                self._known.add(str(row["id"]))

    async def keep_fresh(self) -> None:
        while True:
            self._gateway.authority_made.clear()
            await self.refresh()
            try:
                self._load_files()
            except (OSError, ssl.SSLError) as error:
                log.warning("renewed TLS files cannot be used; the old ones stay: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gateway.authority_made.wait(), REFRESH_S)


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= (
        ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    if settings.ocpp_client_certificates:
        context.verify_mode = ssl.CERT_OPTIONAL
        if settings.ocpp_client_ca:
            context.load_verify_locations(cafile=settings.ocpp_client_ca)
    return context
