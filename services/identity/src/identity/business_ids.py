"""Pure: the numbers that businesses are known by: VAT ids, bank accounts, countries.

What is checked is what can be known without asking anybody: form and check digits.
"""

import re
from typing import Final

# ISO 3166-1 alpha-2, officially assigned, and XK, which banks and customs use for Kosovo.
_CODES: Final = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "
    "BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ "
    "EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW "
    "GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY "
    "KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV "
    "MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY "
    "QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG "
    "TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA "
    "ZM ZW "
)
COUNTRIES: Final = frozenset(_CODES.split())

# By the prefix of the VAT id, as the Commission's VIES lists them; Greece's is EL, Northern
# Ireland's XI. Switzerland, Liechtenstein and Great Britain have their own.
_VAT: Final = {
    "AT": r"U\d{8}",
    "BE": r"[01]\d{9}",
    "BG": r"\d{9,10}",
    "CHE": r"\d{9}(MWST|TVA|IVA)?",
    "CY": r"\d{8}[A-Z]",
    "CZ": r"\d{8,10}",
    "DE": r"\d{9}",
    "DK": r"\d{8}",
    "EE": r"\d{9}",
    "EL": r"\d{9}",
    "ES": r"([A-Z]\d{7}[A-Z0-9]|\d{8}[A-Z])",
    "FI": r"\d{8}",
    "FR": r"[A-HJ-NP-Z0-9]{2}\d{9}",
    "GB": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
    "HR": r"\d{11}",
    "HU": r"\d{8}",
    "IE": r"(\d[A-Z0-9+*]\d{5}[A-Z]|\d{7}[A-W][A-I])",
    "IT": r"\d{11}",
    "LT": r"(\d{9}|\d{12})",
    "LU": r"\d{8}",
    "LV": r"\d{11}",
    "MT": r"\d{8}",
    "NL": r"\d{9}B\d{2}",
    "PL": r"\d{10}",
    "PT": r"\d{9}",
    "RO": r"\d{2,10}",
    "SE": r"\d{10}01",
    "SI": r"\d{8}",
    "SK": r"\d{10}",
    "XI": r"(\d{9}|\d{12}|(GD|HA)\d{3})",
}
_VAT_ID: Final = re.compile("|".join(f"{prefix}{rest}" for prefix, rest in _VAT.items()), re.ASCII)

# Lengths of the countries of SEPA (ECBS, IBAN registry); of others any that ISO 13616 allows.
_IBAN_LENGTHS: Final = {
    "AD": 24, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18,
    "EE": 20, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28,
    "IE": 22, "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31,
    "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "VA": 22,
}  # fmt: skip


def vat_id(text: str) -> str:
    """As it is stored: upper case, without blanks, dots and hyphens. Raises ValueError."""
    plain = re.sub(r"[ .-]", "", text).upper()
    if not _VAT_ID.fullmatch(plain):
        raise ValueError("not a VAT id: it begins with its country, such as DE123456789")
    return plain


def iban(text: str) -> str:
    """Upper case without blanks, with the right length and check digits. Raises ValueError."""
    plain = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", plain, re.ASCII):
        raise ValueError("not an IBAN")
    if len(plain) != _IBAN_LENGTHS.get(plain[:2], len(plain)):
        raise ValueError("too long or too short for an IBAN of its country")
    # ISO 7064, MOD 97-10: letters count from A = 10; the check digits are 02 to 98.
    digits = "".join(str(int(one, 36)) for one in plain[4:] + plain[:4])
    if int(digits) % 97 != 1 or not 2 <= int(plain[2:4]) <= 98:
        raise ValueError("the IBAN's check digits are wrong: there is a slip in it")
    return plain


def bic(text: str) -> str:
    """ISO 9362: 8 or 11 characters in upper case. Raises ValueError."""
    plain = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", plain, re.ASCII):
        raise ValueError("not a BIC: 8 or 11 characters")
    if plain[4:6] not in COUNTRIES:
        raise ValueError("the BIC names no country")
    return plain


def country(text: str) -> str:
    """Raises ValueError."""
    if text not in COUNTRIES:
        raise ValueError("not a country of ISO 3166-1, such as DE")
    return text
