"""Pure: signed readings as a file for the S.A.F.E. transparency software, which drivers check with.

Its XML_Format.md and values.xsd: <values> of <value transactionId context>, each with the key and
the signed data. What is signed is put there as it is: a blank more or less breaks the signature.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from billing.signed import judging, ocmf
from common import meter_keys

HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<values>\n'
TAIL: Final = "</values>\n"
# No character of XML 1.0; text with one goes as Base64.
NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A reader of XML makes one line feed of what ends a line, unless it is written as a number.
WRITTEN: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
ALFEN: Final = "AP;"
# The software's numbers are integers; a station of OCPP 2.x has any text. There is one a file.
ANY_NUMBER: Final = "1"
NUMBER: Final = re.compile(r"[0-9]{1,18}")


class Value(NamedTuple):
    data: str
    context: str
    encoding_method: str | None  # as the charger named the format


def written(values: Sequence[Value], transaction_id: str, key: str | None) -> Iterator[str]:
    """The file in pieces. key: as it is registered."""
    number = transaction_id if NUMBER.fullmatch(transaction_id) else ANY_NUMBER
    # One for all of the file: some readers refuse another.
    hexadecimal = None if key is None else _hex(key, values)
    yield HEAD
    for value in values:
        yield _value(value, number, hexadecimal)
    yield TAIL


def _value(value: Value, number: str, key: str | None) -> str:
    record = ocmf.text_of(value.data)
    text = value.data.strip() if record is None else record
    encoding = "plain"
    if NO_XML.search(text):
        text, encoding = base64.b64encode(text.encode()).decode(), "base64"
    names = {"transactionId": number}
    if context := value.context or _context(record):
        names["context"] = context
    kind = {"format": _format(value, record), "encoding": encoding}
    parts = [f"  <value{_named(names)}>"]
    if key is not None:
        parts.append(f'    <publicKey encoding="hex">{key}</publicKey>')
    parts.append(f"    <signedData{_named(kind)}>{_text(text)}</signedData>")
    return "\n".join([*parts, "  </value>\n"])


def _named(names: dict[str, str]) -> str:
    return "".join(
        f' {name}="{_text(NO_XML.sub("", value))}"' for name, value in names.items() if value
    )


def _text(text: str) -> str:
    return "".join(WRITTEN.get(character, character) for character in text)


def _format(value: Value, record: str | None) -> str:
    if record is not None:
        return "OCMF"
    return "ALFEN" if value.data.startswith(ALFEN) else value.encoding_method or ""


def _context(record: str | None) -> str:
    """Where the charger does not say: by which reading stands in the record."""
    try:
        kinds = {one.kind for one in ocmf.parse(record).readings} if record else set()
    except ocmf.Broken:
        return ""
    if "begin" in kinds:
        return judging.BEGIN
    return judging.END if "end" in kinds else ""


def _hex(key: str, values: Sequence[Value]) -> str:
    """SubjectPublicKeyInfo, which the software wants; a point needs to know of which curve.

    What is no key for any of the records goes as its bytes.
    """
    for value in values:
        try:
            method = ocmf.parse(ocmf.text_of(value.data) or "").method
            found = ocmf.key_of(key, method)
        except (ocmf.Broken, ocmf.Unsupported):
            continue
        return found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex().upper()
    return meter_keys.decoded(key).hex().upper()
