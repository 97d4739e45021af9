"""Signatures of messages to and from others."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.signing import is_signed, signed


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_the_signature_is_what_the_page_for_partners_says() -> None:
    digest = hmac.new(b"secret", b'1764276000.{"a":1}', hashlib.sha256).hexdigest()
    assert signed(b"secret", b'{"a":1}', 1764276000) == {
        "OpenLade-Timestamp": "1764276000",
        "OpenLade-Signature": f"v1={digest}",
    }


@given(st.binary(max_size=50), st.binary(min_size=1, max_size=50), st.integers(0, 10**11))
def test_what_was_signed_is_signed_and_nothing_else_is(body: bytes, more: bytes, at: int) -> None:
    headers = lower(signed(b"secret", body, at))
    assert is_signed(b"secret", body, headers)
    assert not is_signed(b"secret", body + more, headers)
    assert not is_signed(b"other", body, headers)
    assert not is_signed(b"secret", body, headers | {"openlade-timestamp": str(at + 1)})


@pytest.mark.parametrize("at", ["", "1.5", "-1", "²", "1" * 13, "1\n"])
def test_an_odd_timestamp_is_no_signature(at: str) -> None:
    headers = lower(signed(b"secret", b"", 1)) | {"openlade-timestamp": at}
    assert not is_signed(b"secret", b"", headers)
    assert not is_signed(b"secret", b"", {})


def test_an_odd_signature_is_no_signature() -> None:
    headers = lower(signed(b"secret", b"", 1))
    assert not is_signed(b"secret", b"", headers | {"openlade-signature": "v1=\u00e4"})
