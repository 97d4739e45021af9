"""Public keys of meters, in the forms in which they are found."""

import base64
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from common.meter_keys import decoded
from registry.hardware.public_keys import PublicKey

CURVES = [ec.SECP192R1(), ec.SECP256R1(), ec.SECP256K1(), ec.BrainpoolP256R1(), ec.SECP384R1()]
INFO = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: str(curve.name))
def test_every_form_of_a_key_is_the_same_key(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve).public_key()
    der = key.public_bytes(*INFO)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    spaced = ":".join(f"{byte:02X}" for byte in der)
    for text in (der.hex(), der.hex().upper(), spaced, base64.b64encode(der).decode(), pem):
        assert decoded(text) == der
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    short = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    for data in (point, point[1:], short):
        assert decoded(data.hex()) == data
        assert decoded(base64.b64encode(data).decode()) == data


def test_other_kinds_of_keys_are_keys_too() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)):
        der = key.public_key().public_bytes(*INFO)
        assert decoded(der.hex()) == der


# secp192k1, which meters have and the library does not know (SEC 2, 2.2.1).
SECP192K1 = "3046301006072A8648CE3D020106052B8104001F033200" + "04" + "AB" * 48


def test_a_curve_that_is_not_known_here_is_kept() -> None:
    assert decoded(SECP192K1).hex().upper() == SECP192K1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is empty"),
        ("nonsense!", "neither"),
        ("ABC", "neither"),
        ("AABBCC", "no point"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "PUBLIC KEY"),
        ("-----BEGIN PUBLIC KEY-----\nMIIB", "PUBLIC KEY"),
        ("3059301306072A8648CE3D020106082A8648CE3D03010703420004AB", "no point"),
    ],
)
def test_what_is_no_key_is_refused_with_a_word(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        decoded(text)


def test_a_private_key_is_refused_as_such() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValueError, match="private key"):
        decoded(pem)
    with pytest.raises(ValueError, match="no point"):
        decoded(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex())


def test_it_is_kept_as_it_was_given() -> None:
    kept = TypeAdapter(PublicKey)
    assert kept.validate_python(" 04" + "ab" * 64 + "\n") == "04" + "ab" * 64
    with pytest.raises(ValidationError):
        kept.validate_python("x")


@given(st.text(max_size=200) | st.binary(max_size=200).map(bytes.hex))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert decoded(text)
