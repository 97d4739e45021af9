"""Pure: messages to and from others, signed with a secret both know.

The signature covers the moment and the body: HMAC-SHA256 over "<timestamp>.<body>".
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

TIMESTAMP: Final = "OpenLade-Timestamp"  # seconds since 1970, in decimal
SIGNATURE: Final = "OpenLade-Signature"
SCHEME: Final = "v1"
DIGITS_MAX: Final = 12


def signed(secret: bytes, body: bytes, at_s: int) -> dict[str, str]:
    """The headers that go with the body."""
    return {TIMESTAMP: str(at_s), SIGNATURE: _signature(secret, body, str(at_s))}


def is_signed(secret: bytes, body: bytes, headers: Mapping[str, str]) -> bool:
    """headers: with names in lower case. How old the message is, is the caller's to judge."""
    at = headers.get(TIMESTAMP.lower(), "")
    given = headers.get(SIGNATURE.lower(), "")
    if not (at.isascii() and at.isdecimal() and len(at) <= DIGITS_MAX):
        return False
    return hmac.compare_digest(given.encode(), _signature(secret, body, at).encode())


def _signature(secret: bytes, body: bytes, at: str) -> str:
    digest = hmac.new(secret, at.encode() + b"." + body, hashlib.sha256)
    return f"{SCHEME}={digest.hexdigest()}"
