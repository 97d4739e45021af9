"""VAT ids, bank accounts and telephone numbers: form and check digits."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import contacts
from identity import business_ids


@pytest.mark.parametrize(
    ("rule", "typed", "stored"),
    [
        (business_ids.vat_id, "de 123 456 789", "DE123456789"),
        (business_ids.vat_id, "ATU12345678", "ATU12345678"),
        (business_ids.vat_id, "NL123456789B01", "NL123456789B01"),
        (business_ids.vat_id, "EL123456789", "EL123456789"),
        (business_ids.vat_id, "FRK7399859412", "FRK7399859412"),
        (business_ids.vat_id, "CHE-123.456.789 MWST", "CHE123456789MWST"),
        (business_ids.vat_id, "ESX1234567X", "ESX1234567X"),
        (business_ids.iban, "DE02 1203 0000 0000 2020 51", "DE02120300000000202051"),
        (business_ids.iban, "gb82west12345698765432", "GB82WEST12345698765432"),
        (business_ids.iban, "NO9386011117947", "NO9386011117947"),
        (business_ids.bic, "byladem1001", "BYLADEM1001"),
        (business_ids.bic, "DEUTDEFF", "DEUTDEFF"),
        (contacts.phone, "+49 40/123-456", "+4940123456"),
        (business_ids.country, "DE", "DE"),
    ],
)
def test_what_people_type_is_stored_in_one_form(
    rule: Callable[[str], str], typed: str, stored: str
) -> None:
    assert rule(typed) == stored
    assert rule(stored) == stored


@pytest.mark.parametrize(
    ("rule", "typed"),
    [
        (business_ids.vat_id, "DE12345678"),
        (business_ids.vat_id, "DE1234567890"),
        (business_ids.vat_id, "GR123456789"),  # Greece's prefix is EL
        (business_ids.vat_id, "US123456789"),
        (business_ids.vat_id, "DE12345678\N{ARABIC-INDIC DIGIT NINE}"),
        (business_ids.vat_id, "DE123456789\n"),
        (business_ids.iban, "DE02120300000000202052"),
        (business_ids.iban, "DE021203000000002020"),
        (business_ids.iban, "DE0212030000000020205\N{SUPERSCRIPT ONE}"),
        (business_ids.iban, ""),
        (business_ids.bic, "DEUTXXFF"),
        (business_ids.bic, "DEUTDEFF1"),
        (contacts.phone, "040 123456"),
        (contacts.phone, "+0123456789"),
        (contacts.phone, "+1234567890123456"),
        (business_ids.country, "EU"),
        (business_ids.country, "de"),
    ],
)
def test_a_slip_is_refused(rule: Callable[[str], str], typed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        rule(typed)


@given(st.integers(0, 10**18 - 1), st.integers(4, 21), st.integers(1, 9))
def test_one_wrong_digit_of_an_iban_is_always_seen(account: int, place: int, more: int) -> None:
    plain = f"{account:018}"
    check = 98 - int(f"{plain}131400") % 97
    good = f"DE{check:02}{plain}"
    assert business_ids.iban(good) == good
    wrong = str((int(good[place]) + more) % 10)
    with pytest.raises(ValueError, match=r"."):
        business_ids.iban(good[:place] + wrong + good[place + 1 :])


@given(st.text(max_size=40))
def test_no_text_breaks_a_rule(text: str) -> None:
    for rule in (business_ids.vat_id, business_ids.iban, business_ids.bic, contacts.phone):
        try:
            assert rule(text).isascii()
        except ValueError:
            continue
