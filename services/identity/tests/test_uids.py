"""What uids look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import uids

CONTRACTS = st.text(uids.DIGITS, min_size=14, max_size=14)


@pytest.mark.parametrize(
    ("contract", "digit"),
    [
        ("FRXYZ123456789", "2"),
        ("ITA1B2C3E4F5G6", "4"),
        ("ESZU8WOX834H1D", "R"),
        ("PT73902837ABCZ", "Z"),
        ("DE83DUIEN83QGZ", "D"),
        ("DE83DUIEN83ZGQ", "M"),
        ("DE8AA001234567", "0"),
    ],
)
def test_check_digits_are_those_that_contracts_bear(contract: str, digit: str) -> None:
    assert uids.check_digit(contract) == digit


@given(CONTRACTS, st.integers(0, 13), st.sampled_from(uids.DIGITS))
def test_one_wrong_character_has_another_check_digit(
    contract: str, place: int, letter: str
) -> None:
    wrong = contract[:place] + letter + contract[place + 1 :]
    same = uids.check_digit(wrong) == uids.check_digit(contract)
    assert same == (wrong == contract)


@given(CONTRACTS, st.integers(0, 12))
def test_two_neighbours_that_change_places_have_another_check_digit(
    contract: str, place: int
) -> None:
    swapped = contract[:place] + contract[place + 1] + contract[place] + contract[place + 2 :]
    same = uids.check_digit(swapped) == uids.check_digit(contract)
    assert same == (swapped == contract)


@pytest.mark.parametrize(
    ("kind", "uid", "good"),
    [
        ("rfid", "0" * 20, True),
        ("rfid", "0" * 21, False),
        ("app", "0" * 36, True),
        ("emaid", "FR-XYZ-123456789-2", True),
        ("emaid", "FRXYZ1234567892", True),
        ("emaid", "FRXYZ123456789", True),
        ("emaid", "FR-XYZ-123456789-3", False),
        ("emaid", "FR-XYZ-12345678", False),
    ],
)
def test_a_uid_is_as_its_kind_has_it(kind: str, uid: str, good: bool) -> None:
    assert (uids.fault(kind, uid) is None) == good


@pytest.mark.parametrize(
    ("printed", "bare"),
    [
        ("04:A2:B3:C4", "04A2B3C4"),
        ("04-A2-B3", "04A2B3"),
        ("04 A2", "04A2"),
        ("04:A2-B3", "04:A2-B3"),
        ("04:A", "04:A"),
        ("DE-ABC-1", "DE-ABC-1"),
        ("04A2", "04A2"),
    ],
)
def test_pairs_of_hex_digits_lose_what_parts_them(printed: str, bare: str) -> None:
    assert uids.without_separators(printed) == bare
