"""Pure: records of the Open Charge Metering Format: what a meter signed, and whether it did.

OCMF 0.4 to 1.2: `OCMF|payload|signature`, both JSON; what is signed are the bytes of the payload,
so they are never put together anew. Nothing that a record says can make reading it fail otherwise
than with Broken.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common import meter_keys

TEXT_MAX: Final = 100_000  # characters that are looked into; real records have some thousand
READINGS_MAX: Final = 1_000
HEAD: Final = "OCMF|"
# Beginnings of the same, as stations encode it: OCPP 2.0.1 asks for Base64, OCPP 1.5 for hex.
HEX_HEAD: Final = HEAD.encode().hex()
BASE64_HEAD: Final = "T0NNR"
# Whatever is beyond is no energy in kWh or Wh.
DIGITS_MAX: Final = 15

DEFAULT_METHOD: Final = "ECDSA-secp256r1-SHA256"
METHOD: Final = re.compile(r"ECDSA-([a-z0-9]+)-(SHA256|SHA384|SHA512)", re.IGNORECASE)
HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
# Some write brainpoolP256r1, as RFC 5639 has it.
CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "secp192r1": ec.SECP192R1(),
    "secp256k1": ec.SECP256K1(),
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
    "brainpool256r1": ec.BrainpoolP256R1(),
    "brainpoolp256r1": ec.BrainpoolP256R1(),
    "brainpool384r1": ec.BrainpoolP384R1(),
    "brainpoolp384r1": ec.BrainpoolP384R1(),
    "brainpool512r1": ec.BrainpoolP512R1(),
    "brainpoolp512r1": ec.BrainpoolP512R1(),
}
PAGINATION: Final = re.compile(r"([TF])(0|[1-9][0-9]{0,17})")
# Left out of a reading, they are as in the one before.
INHERITED: Final = ("TM", "TX", "RI", "RU", "RT", "EF", "ST")
ENDS: Final = {"E", "L", "R", "A", "P"}
UNITS: Final = {"wh": 1, "kwh": 1000}
# Of groups A-B:C.D.E*F, each in hexadecimal digits, those that tell which register it is.
OBIS: Final = re.compile(
    r"([0-9a-f]{1,2})-[0-9a-f]{1,2}:([0-9a-f]{1,2})\.([0-9a-f]{1,2})\.[0-9a-f]{1,2}.*",
    re.IGNORECASE,
)
# C of what went to the car, by what counts first: cable losses taken out, then as it is.
COMPENSATED: Final = {0x98, 0xB1, 0xB3}
IMPORTED: Final = {0x01, 0x9E, 0xB0, 0xB2}

Kind = Literal["begin", "end", "other"]


class Broken(Exception):
    """What is no record that can be worked with; says why."""


class Unsupported(Exception):
    """A signature of a kind that is not verified here; says which."""


@dataclass(frozen=True, slots=True)
class Reading:
    kind: Kind
    register: str  # OBIS; empty: not said
    rank: int  # of registers of one record the lowest counts
    value_wh: Decimal
    resolution_wh: Decimal  # of the last digit that is shown
    status: str | None
    error_flags: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    payload: bytes
    method: str
    signature: bytes
    serials: tuple[str | None, str | None]  # of the signing device, of the meter
    pagination: str | None
    identification_level: str | None
    readings: tuple[Reading, ...]  # of energy to the car


def text_of(data: str) -> str | None:
    """The record in what a station sent, without what is around it; None: it is none."""
    text = data.strip()
    if text.startswith(HEAD):
        return text
    try:
        if text[: len(HEX_HEAD)].lower() == HEX_HEAD:
            return bytes.fromhex(text).decode().strip()
        if text.startswith(BASE64_HEAD):
            found = base64.b64decode(text, validate=True).decode().strip()
            return found if found.startswith(HEAD) else None
    except (ValueError, binascii.Error):
        return None
    return None


def parse(text: str) -> Record:
    """Raises Broken."""
    if len(text) > TEXT_MAX:
        raise Broken(f"is longer than {TEXT_MAX} characters")
    # A fourth section would be the key, which nobody can be believed who sends it along.
    parts = text.split("|", 3)
    if len(parts) < 3:
        raise Broken("is cut off: it has no signature")
    payload, signature = _object(parts[1], "payload"), _object(parts[2], "signature")
    return Record(
        payload=parts[1].encode(),
        method=_word(signature, "SA") or DEFAULT_METHOD,
        signature=_signature(signature),
        serials=(_word(payload, "GS"), _word(payload, "MS")),
        pagination=_word(payload, "PG"),
        identification_level=_word(payload, "IL"),
        readings=_readings(payload.get("RD")),
    )


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        # Numbers as they stand there: their digits tell the meter's resolution.
        found = json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number)
    except (ValueError, InvalidOperation, RecursionError):
        raise Broken(f"its {name} is no JSON, or cut off") from None
    if not isinstance(found, dict):
        raise Broken(f"its {name} is no JSON object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _word(members: dict[str, Any], name: str) -> str | None:
    found = members.get(name)
    return found.strip() or None if isinstance(found, str) else None


def _signature(members: dict[str, Any]) -> bytes:
    data = _word(members, "SD")
    encoding = (_word(members, "SE") or "hex").lower()
    if data is None:
        raise Broken("has no signature")
    try:
        return bytes.fromhex(data) if encoding == "hex" else base64.b64decode(data, validate=True)
    except ValueError:
        raise Broken(f"its signature is not written as {encoding}") from None


def _readings(found: Any) -> tuple[Reading, ...]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Broken("its readings are no list of readings")
    if len(found) > READINGS_MAX:
        raise Broken(f"has more than {READINGS_MAX} readings")
    before: dict[str, Any] = {}
    readings = []
    for one in found:
        whole = {name: before[name] for name in INHERITED if name in before} | one
        before = whole
        if read := _reading(whole):
            readings.append(read)
    return tuple(readings)


def _reading(members: dict[str, Any]) -> Reading | None:
    """None: it is of no energy to the car, or has no value."""
    register = _word(members, "RI") or ""
    rank = _rank(register)
    factor = UNITS.get((_word(members, "RU") or "kWh").lower())
    value = _value(members.get("RV"))
    if rank is None or factor is None or value is None:
        return None
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)  # it is finite
    why = _word(members, "TX") or ""
    return Reading(
        kind="begin" if why == "B" else "end" if why in ENDS else "other",
        register=register.split("*")[0].lower(),
        rank=rank,
        value_wh=value * factor,
        resolution_wh=Decimal(1).scaleb(min(exponent, 0)) * factor,
        status=_word(members, "ST"),
        error_flags=_word(members, "EF") or "",
        at=_moment(_word(members, "TM") or ""),
    )


def _rank(register: str) -> int | None:
    groups = OBIS.fullmatch(register)
    if groups is None:
        return 2  # a register of the maker's own, or none named
    medium, what, how = (int(group, 16) for group in groups.groups())
    if medium != 1 or how != 8:
        return None
    return 0 if what in COMPENSATED else 1 if what in IMPORTED else None


def _value(found: Any) -> Decimal | None:
    if isinstance(found, str):
        try:
            found = Decimal(found.strip())
        except InvalidOperation:
            return None
    if not isinstance(found, Decimal) or not found.is_finite():
        return None
    shown = found.as_tuple()
    fits = len(shown.digits) <= DIGITS_MAX and abs(int(shown.exponent)) <= DIGITS_MAX
    return found if fits else None


def _moment(text: str) -> datetime | None:
    """TM: ISO 8601 and, after a blank, how far the clock can be relied on."""
    try:
        return datetime.fromisoformat(text.split(" ", maxsplit=1)[0])
    except ValueError:
        return None


def key_of(text: str, method: str) -> ec.EllipticCurvePublicKey:
    """A registered key for records with this method. Raises Broken, Unsupported."""
    found = METHOD.fullmatch(method)
    curve = CURVES.get(found[1].lower()) if found else None
    if curve is None:
        raise Unsupported(f"{method[:60]} is not verified here")
    try:
        data = meter_keys.decoded(text)
    except ValueError as error:
        raise Broken(f"the registered key {error}") from None
    try:
        key = serialization.load_der_public_key(data)
    except UnsupportedAlgorithm:
        raise Unsupported("the registered key is of a kind that is not verified here") from None
    except ValueError:
        return _of_point(data, curve)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Broken("the registered key is not of an elliptic curve")
    if key.curve.name != curve.name:
        raise Broken(f"the registered key is of {key.curve.name}, the signature of {curve.name}")
    return key


def _of_point(data: bytes, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    # Without a first byte, as EDL meters tell it, it is not compressed.
    whole = data if len(data) % 2 else b"\x04" + data
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, whole)
    except ValueError:
        raise Broken(f"the registered key is no point of {curve.name}") from None


def is_signed(record: Record, key: ec.EllipticCurvePublicKey) -> bool:
    found = METHOD.fullmatch(record.method)
    assert found is not None  # key_of has looked
    try:
        key.verify(record.signature, record.payload, ec.ECDSA(HASHES[found[2].upper()]))
    except InvalidSignature:
        return False
    return True
