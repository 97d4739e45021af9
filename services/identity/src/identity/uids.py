"""Pure: what a card's uid looks like, by the kind of card, and which tokens mean it."""

import re
import string
from typing import Final

RFID_MAX: Final = 20  # OCPP 1.6, CiString20Type
PAIRS: Final = re.compile(r"[0-9A-F]{2}([:\-. ])[0-9A-F]{2}(?:\1[0-9A-F]{2})*")
DIGITS: Final = string.digits + string.ascii_uppercase
# Country, provider, contract and check digit (ISO 15118-2, annex H).
EMAID: Final = re.compile(r"([A-Z]{2})-?([A-Z0-9]{3})-?([A-Z0-9]{9})(?:-?([A-Z0-9]))?")
PLACES: Final = 15  # of a contract with its check digit
Weight = tuple[int, int, int, int]  # two modulo 2, two modulo 3
MODULI: Final = (2, 2, 3, 3)


def normal_uid(raw: str) -> str | None:
    """A token as cards are stored, or None if no card can have it.

    OCPP compares idTags without case (1.6, CiString20). Beyond ASCII upper case is not one to
    one, so a token could be taken for another's.
    """
    uid = raw.strip()
    return uid.upper() if uid.isascii() and uid.isprintable() and 0 < len(uid) <= 36 else None


def emaid_forms(uid: str) -> list[str]:
    """What the card of a contract may be stored as, if uid is an eMAID.

    Its hyphens and its check digit may be left out: cars do, what drivers are sent on paper has
    them. The digit follows from the rest, so the card with any is the same contract's.
    """
    if (match := EMAID.fullmatch(uid)) is None:
        return []
    *parts, check = match.groups()
    checks = DIGITS if check is None else check
    found = [[*parts, *one] for one in ("", *checks)]
    return [between.join(one) for between in ("", "-") for one in found]


def kind_of(token: str) -> str:
    """Of a token of which nothing else is known; a normal one."""
    return "emaid" if EMAID.fullmatch(token) else "rfid"


def fault(kind: str, uid: str) -> str | None:
    """Why no card of this kind can have the uid, a normal one; None if one can."""
    if kind == "rfid" and len(uid) > RFID_MAX:
        return f"OCPP 1.6 takes no RFID card of more than {RFID_MAX} characters"
    if kind == "emaid":
        return _contract_fault(uid)
    return None


def _contract_fault(uid: str) -> str | None:
    match = EMAID.fullmatch(uid)
    if match is None:
        return "a contract is as DE-ABC-C12345678-X; hyphens and check digit may be left out"
    *parts, told = match.groups()
    right = check_digit("".join(parts))
    if told is not None and told != right:
        return f"the check digit of this contract is {right}, not {told}"
    return None


def without_separators(uid: str) -> str:
    """04A2B3 for 04:A2:B3. Readers print pairs of hex digits in many ways; stations tell none."""
    match = PAIRS.fullmatch(uid)
    return uid.replace(match[1], "") if match else uid


def _weights() -> list[dict[str, Weight]]:
    """For each place: what a character counts there.

    Its value is two bits and two digits to the base of three; place n counts the n-th power of a
    matrix over each field (ISO 15118-2, annex H).
    """
    places = []
    now = {
        letter: (*divmod(value // 9, 2), *divmod(value % 9, 3))
        for value, letter in enumerate(DIGITS)
    }
    for _ in range(PLACES):
        places.append(now)
        now = {letter: (b, (a + b) % 2, d, (c + 2 * d) % 3) for letter, (a, b, c, d) in now.items()}
    return places


WEIGHTS: Final = _weights()
# With the check digit the sum is nought.
COMPLETING: Final = {
    tuple(-one % modulus for one, modulus in zip(weight, MODULI, strict=True)): letter
    for letter, weight in WEIGHTS[-1].items()
}


def check_digit(contract: str) -> str:
    """Of 14 characters: country, provider and contract, in upper case."""
    counted = (place[letter] for place, letter in zip(WEIGHTS[:-1], contract, strict=True))
    sums = (
        sum(ones) % modulus
        for ones, modulus in zip(zip(*counted, strict=True), MODULI, strict=True)
    )
    return COMPLETING[tuple(sums)]
