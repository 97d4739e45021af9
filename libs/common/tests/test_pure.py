"""Ids, money, cursors, credentials and If-Match: the small rules everybody leans on."""

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import credentials, ids, money, paging, versions


def test_ids_grow_and_are_version_seven() -> None:
    made = [ids.uuid7() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}


@pytest.mark.parametrize(
    ("amount", "cents"),
    [("0.005", "0.01"), ("0.0049999", "0.00"), ("2.675", "2.68"), ("-0.005", "-0.01")],
)
def test_cents_are_rounded_half_up_away_from_zero(amount: str, cents: str) -> None:
    assert money.to_cents(Decimal(amount)) == Decimal(cents)


def test_money_in_json_is_a_plain_string() -> None:
    assert money.Money(amount=Decimal("1E+2"), currency="EUR").model_dump(mode="json") == {
        "amount": "100",
        "currency": "EUR",
    }


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_cursor_reads_back(key: str) -> None:
    assert paging.decode(paging.encode(key), str) == key


@given(st.text())
def test_any_cursor_is_read_or_refused(cursor: str) -> None:
    for kind in (str, int, UUID):
        try:
            paging.decode(cursor, kind)
        except paging.InvalidCursor as refusal:
            assert refusal.status == 422  # noqa: PT017 - either outcome is right


@given(st.text(), st.text())
def test_only_the_secret_matches_its_hash(secret: str, other: str) -> None:
    hashed = credentials.fast_hash("x" + secret.encode(errors="replace").decode())
    assert credentials.matches("x" + secret.encode(errors="replace").decode(), hashed)
    assert not credentials.matches("y" + other.encode(errors="replace").decode(), hashed)
    assert not credentials.matches("", "")


def test_a_new_secret_has_160_bits() -> None:
    assert len(bytes.fromhex(credentials.new_secret())) * 8 == 160
    assert credentials.new_secret() != credentials.new_secret()


def test_a_version_is_required_unless_any_will_do() -> None:
    versions.require(None, 3)
    versions.require(frozenset({2, 3}), 3)
    with pytest.raises(versions.VersionChanged):
        versions.require(frozenset(), 3)
