"""Pure: what a charge point's QR code says, and whether it is one of the operator's.

The link is https://<domain>/q/<EVSE code>/<tag>. The tag is an HMAC over operator, code and
revision, so nobody but us can make the link of a charge point, and a code that is issued again has
another. 64 bits: who tries a thousand tags a second needs 290 million years on average.
"""

import hmac
from enum import Enum
from typing import Final
from uuid import UUID

# Crockford's base 32: no I, L, O and U, read in either case, and all of it in a QR code's
# alphanumeric mode, which takes 5.5 bits a character instead of 8.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD: Final = str.maketrans("ILO", "110")
_VALUES: Final = {character: value for value, character in enumerate(_ALPHABET)}
_BYTES: Final = 8
TAG_LENGTH: Final = 13  # 65 bits, the first of which is 0
REVISIONS_BACK: Final = 100  # how many earlier tags are known as such; those before are unknown
_PURPOSE: Final = b"openlade qr 1"  # so that no other use of the key could make a tag


class Standing(Enum):
    GENUINE = "genuine"
    SUPERSEDED = "superseded"
    UNKNOWN = "unknown"


def stripped(code: str) -> str:
    """An EVSE code without its separators, upper case: what it is compared by."""
    return code.replace("*", "").replace("-", "").upper() if code.isascii() else ""


def tag(key: bytes, operator_id: UUID, code: str, revision: int) -> str:
    return _written(_digest(key, operator_id, code, revision))


def link(domain: str, code: str, tag: str) -> str:
    return f"https://{domain}/q/{stripped(code)}/{tag}"


def standing(key: bytes, operator_id: UUID, code: str, revision: int, sent: str) -> Standing:
    """Of a tag that somebody sent, at the code's revision now."""
    read = _read(sent)
    if read is None:
        return Standing.UNKNOWN
    for one in range(revision, max(0, revision - 1 - REVISIONS_BACK), -1):
        if hmac.compare_digest(_digest(key, operator_id, code, one), read):
            return Standing.GENUINE if one == revision else Standing.SUPERSEDED
    return Standing.UNKNOWN


def _digest(key: bytes, operator_id: UUID, code: str, revision: int) -> bytes:
    # What has no fixed length comes last, so no two messages are the same bytes.
    message = _PURPOSE + operator_id.bytes + revision.to_bytes(8) + stripped(code).encode("ascii")
    return hmac.digest(key, message, "sha256")[:_BYTES]


def _written(digest: bytes) -> str:
    value = int.from_bytes(digest)
    return "".join(_ALPHABET[value >> 5 * place & 31] for place in reversed(range(TAG_LENGTH)))


def _read(sent: str) -> bytes | None:
    if len(sent) != TAG_LENGTH or not sent.isascii():
        return None
    value = 0
    for character in sent.upper().translate(_MISREAD):
        if character not in _VALUES:
            return None
        value = value << 5 | _VALUES[character]
    return value.to_bytes(_BYTES) if value < 1 << 8 * _BYTES else None
