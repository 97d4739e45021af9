"""Pure: what a customer writes into a transfer, so that it is found again (ISO 11649).

RF, two check digits and a number of our own: ten digits, for somebody types them.
"""

import re
from typing import Final

DIGITS: Final = 10
NUMBERS: Final = 10**DIGITS
_ANY: Final = re.compile(r"RF\d{2}[A-Z0-9]{1,21}", re.ASCII)
# Also within others: where a bank has joined lines, words stand before and after it.
_OURS: Final = re.compile(rf"(?=(RF\d{{{2 + DIGITS}}}))", re.ASCII)
_BETWEEN: Final = re.compile(r"[\s./,:;_-]+")


def made(number: int) -> str:
    """The reference with this number, from 0 to NUMBERS - 1."""
    body = f"{number:0{DIGITS}d}"
    return f"RF{98 - _remainder(body + 'RF00'):02d}{body}"


def checked(text: str) -> str:
    """Upper case without blanks, with check digits that are right. Raises ValueError."""
    plain = re.sub(r"\s", "", text).upper()
    if not _ANY.fullmatch(plain):
        raise ValueError("not a creditor reference: it begins with RF and two digits")
    if not _good(plain):
        raise ValueError("the reference's check digits are wrong: there is a slip in it")
    return plain


def found_in(text: str) -> set[str]:
    """The references as we make them that stand in what somebody wrote, however it is broken."""
    plain = _BETWEEN.sub("", text).upper()
    return {one for one in _OURS.findall(plain) if _good(one)}


def printed(reference: str) -> str:
    """In groups of four, as people read and type it."""
    return " ".join(reference[at : at + 4] for at in range(0, len(reference), 4))


def _good(plain: str) -> bool:
    return _remainder(plain[4:] + plain[:4]) == 1


def _remainder(text: str) -> int:
    """ISO 7064, MOD 97-10: letters count from A = 10."""
    return int("".join(str(int(one, 36)) for one in text)) % 97
