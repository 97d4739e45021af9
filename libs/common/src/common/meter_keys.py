"""Pure: the public key of a meter, in any form in which makers print and stations tell it."""

import base64
import binascii
import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END \1-----")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_DER_SEQUENCE: Final = 0x30
# Of a coordinate on the curves of 192 to 521 bits that OCMF, EDL and SML sign with.
_COORDINATE_BYTES: Final = frozenset({24, 28, 32, 40, 48, 64, 66})


def decoded(text: str) -> bytes:
    """SubjectPublicKeyInfo (DER), or a point of a curve as bytes. Raises ValueError."""
    if "PRIVATE KEY" in text:
        raise ValueError("is a private key, which nobody may have; give the public one")
    data = _bytes_of(text)
    if data[0] == _DER_SEQUENCE and _is_info(data):
        return data
    if not _is_point(data):
        raise ValueError("is no SubjectPublicKeyInfo and no point of a curve")
    return data


def _bytes_of(text: str) -> bytes:
    if "-----" in text:
        found = _PEM.fullmatch(text.strip())
        if found is None or found[1] != "PUBLIC KEY":
            raise ValueError("begins as PEM and is not one PUBLIC KEY")
        text = found[2]
    plain = re.sub(r"[\s:]", "", text)
    if _HEX.fullmatch(plain):
        return bytes.fromhex(plain)
    try:
        found_bytes = base64.b64decode(plain, validate=True)
    except binascii.Error:
        raise ValueError("is neither hexadecimal digits nor Base64 nor PEM") from None
    if not found_bytes:
        raise ValueError("is empty")
    return found_bytes


def _is_info(data: bytes) -> bool:
    try:
        load_der_public_key(data)
    except UnsupportedAlgorithm:
        return True  # such as of the curve secp192k1, which some meters have
    except ValueError:
        return False
    return True


def _is_point(data: bytes) -> bool:
    """SEC 1, 2.3.3; or without the first byte, as EDL meters tell it."""
    if len(data) % 2 == 0:
        return len(data) // 2 in _COORDINATE_BYTES
    if data[0] == 4:
        return (len(data) - 1) // 2 in _COORDINATE_BYTES
    return data[0] in (2, 3) and len(data) - 1 in _COORDINATE_BYTES
