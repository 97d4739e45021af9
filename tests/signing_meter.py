"""A meter that signs what it shows, as OCMF records."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DER = serialization.Encoding.DER
INFO = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass
class SigningMeter:
    method: str = "ECDSA-secp256r1-SHA256"
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)
    serial: str = "M-17"
    pages: int = 0

    def __post_init__(self) -> None:
        self.private = ec.generate_private_key(self.curve)

    @property
    def der(self) -> bytes:
        return self.private.public_key().public_bytes(DER, INFO)

    @property
    def key(self) -> str:
        return self.der.hex()

    def record(self, *readings: dict[str, Any] | str, **members: Any) -> str:
        """readings: of members of RD, or "B 1.250" for a begin at 1.250 kWh. None leaves out."""
        self.pages += 1
        payload = {
            "FV": "1.0", "GI": "Acme 1", "GS": "G-4", "GV": "1", "PG": f"T{self.pages}",
            "MV": "Acme", "MM": "Meter", "MS": self.serial, "IS": True, "IL": "VERIFIED",
            "IF": ["RFID_PLAIN"], "IT": "ISO14443", "ID": "04A2B3C4",
            "RD": [self._reading(one) for one in readings],
        } | members  # fmt: skip
        kept = {name: value for name, value in payload.items() if value is not None}
        return self.signed(_json(kept))

    def _reading(self, one: dict[str, Any] | str) -> dict[str, Any]:
        if isinstance(one, str):
            why, value = one.split(" ")
            one = {"TX": why, "RV": _Digits(value)}
        clock = f"2026-03-02T{10 + self.pages // 60:02}:{self.pages % 60:02}:00,000+0000 S"
        whole = {"TM": clock, "RI": "01-00:98.08.00.FF", "RU": "kWh", "ST": "G", "EF": ""}
        return {name: v for name, v in (whole | one).items() if v is not None}

    def signed(self, payload: str, **members: Any) -> str:
        """Any text as a record of this meter."""
        algorithm = hashes.SHA512() if self.method.endswith("512") else hashes.SHA256()
        data = self.private.sign(payload.encode(), ec.ECDSA(algorithm))
        signature = {"SA": self.method, "SD": data.hex()} | members
        if signature.get("SE") == "base64":
            signature["SD"] = base64.b64encode(data).decode()
        kept = {name: value for name, value in signature.items() if value is not None}
        return f"OCMF|{payload}|{_json(kept)}"


class _Digits(float):
    """A number whose digits stay: 1.250 is not 1.25."""

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    text: str

    def __repr__(self) -> str:
        return self.text


def _json(members: dict[str, Any]) -> str:
    # json writes a float by float.__repr__, so digits are put in afterwards.
    digits: dict[str, str] = {}

    def marked(value: Any) -> Any:
        if isinstance(value, _Digits):
            mark = f"@{len(digits)}@"
            digits[f'"{mark}"'] = value.text
            return mark
        if isinstance(value, dict):
            return {name: marked(inner) for name, inner in value.items()}
        return [marked(inner) for inner in value] if isinstance(value, list) else value

    text = json.dumps(marked(members), separators=(",", ":"))
    for mark, number in digits.items():
        text = text.replace(mark, number)
    return text
