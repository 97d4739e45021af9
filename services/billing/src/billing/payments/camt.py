"""Pure: bank statements in XML (ISO 20022, camt.053) -> the transfers that came in.

Every version of camt.053 is read alike: by the names of elements, whatever its namespace's number.
Of what left the account nothing is kept, for it is nobody's top-up.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from common.money import to_cents

NAMESPACE: Final = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:camt\.053\.001\.\d{2}\}Document")
AMOUNT: Final = re.compile(r"\d{1,13}(\.\d{1,5})?", re.ASCII)
DEPTH_MAX: Final = 40  # the standard has some twenty
ENTRIES_MAX: Final = 20_000  # some 20 MiB
TEXT_MAX: Final = 1000  # the longest remittance information that is kept
# What banks write where they have no reference.
NO_REFERENCE: Final = {"", "NONREF", "NOTPROVIDED"}


class Unreadable(Exception):
    """The file cannot be used. why: a sentence for those who sent it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Credit:
    """One transfer that came in; amount negative: one that the bank has taken back.

    key: the same for the same transfer, in whatever file it comes again.
    """

    key: str
    amount: Decimal
    currency: str
    booked_on: date
    bank_reference: str | None
    end_to_end_id: str | None
    debtor_name: str | None
    debtor_iban: str | None
    text: str  # what the payer wrote; structured references as well, apart by blanks


@dataclass(frozen=True, slots=True)
class Statement:
    """debits, pending: how many entries were left out."""

    id: str
    iban: str
    credits: tuple[Credit, ...]
    debits: int
    pending: int


def read(data: bytes) -> tuple[Statement, ...]:
    """Raises Unreadable."""
    try:
        found = tuple(_statements(data))
    except DefusedXmlException as error:
        raise Unreadable("a bank statement has no document type and no entities") from error
    except ParseError as error:
        raise Unreadable(f"this is no XML that can be read ({error})") from error
    except (LookupError, ValueError) as error:
        raise Unreadable(f"not as camt.053 is ({error})") from error
    if not found:
        raise Unreadable("there is no statement in it")
    return found


@dataclass(slots=True)
class _Open:
    """A statement that is being read."""

    element: Element
    credits: list[Credit] = field(default_factory=list)
    debits: int = 0
    pending: int = 0
    # Of transfers that are alike and have no reference of the bank, which one of the day it is.
    alike: Counter[str] = field(default_factory=Counter)

    @property
    def iban(self) -> str:
        """It stands before the entries. Raises Unreadable."""
        iban = _text(self.element, "Acct/Id/IBAN")
        if not iban:
            raise Unreadable("a statement that does not say its IBAN")
        return iban


def _statements(data: bytes) -> Iterator[Statement]:
    open_: _Open | None = None
    depth = entries = 0
    for event, element in iterparse(io.BytesIO(data), events=("start", "end"), forbid_dtd=True):
        name = _name(element)
        if event == "start":
            depth += 1
            if depth == 1 and not NAMESPACE.fullmatch(element.tag):
                raise Unreadable("not a camt.053 statement; ask the bank for camt.053")
            if depth > DEPTH_MAX:
                raise Unreadable("nested deeper than any statement is")
            if name == "Stmt" and open_ is None:
                open_ = _Open(element)
            continue
        depth -= 1
        if open_ is not None and name == "Ntry":
            entries += 1
            if entries > ENTRIES_MAX:
                raise Unreadable(f"more than {ENTRIES_MAX} entries; send several files")
            _take(open_, element)
            element.clear()  # or the whole file would stand in memory as a tree
        elif open_ is not None and element is open_.element:
            of = _text(element, "Id")[:100]
            yield Statement(of, open_.iban, tuple(open_.credits), open_.debits, open_.pending)
            element.clear()
            open_ = None


def _take(open_: _Open, entry: Element) -> None:
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    incoming = _text(entry, "CdtDbtInd") == "CRDT"
    reversal = _text(entry, "RvslInd") == "true"
    if status != "BOOK":
        open_.pending += 1
    elif incoming and not reversal:
        open_.credits += _credits(entry, open_.iban, 1, open_.alike)
    elif reversal and not incoming:  # of a transfer that had come in
        open_.credits += _credits(entry, open_.iban, -1, open_.alike)
    else:
        open_.debits += 1


def _credits(entry: Element, iban: str, sign: int, alike: Counter[str]) -> Iterator[Credit]:
    amount, currency = _amount(_child(entry, "Amt"))
    details = [one for of in _children(entry, "NtryDtls") for one in _children(of, "TxDtls")]
    parts = [_amount(_of_detail(one)) for one in details] if len(details) > 1 else []
    # A batch is told apart only if its parts are all there.
    if parts and {c for _, c in parts} == {currency} and sum(a for a, _ in parts) == amount:
        for detail, (part, _) in zip(details, parts, strict=True):
            if part:
                yield _credit(entry, detail, iban, sign * part, currency, alike)
    elif amount:  # an entry of nothing is a notice of the bank's: no money came
        only = details[0] if len(details) == 1 else None
        yield _credit(entry, only, iban, sign * amount, currency, alike)


def _of_detail(detail: Element) -> Element | None:
    """Where the versions have the amount of a part."""
    newer = _find(detail, "Amt")
    return newer if newer is not None else _find(detail, "AmtDtls/TxAmt/Amt")


def _credit(
    entry: Element,
    detail: Element | None,
    iban: str,
    amount: Decimal,
    currency: str,
    alike: Counter[str],
) -> Credit:
    booked = _text(entry, "BookgDt/Dt") or _text(entry, "BookgDt/DtTm")[:10]
    if not booked:
        raise Unreadable("an entry that is booked and does not say when")
    in_detail = entry if detail is None else detail
    reference = _reference(_text(in_detail, "Refs/AcctSvcrRef")) or (
        _reference(_text(entry, "AcctSvcrRef"))
    )
    end_to_end = _reference(_text(in_detail, "Refs/EndToEndId"))
    parties, written = _find(in_detail, "RltdPties"), _find(in_detail, "RmtInf")
    structured = [_text(one, "CdtrRefInf/Ref") for one in _children(written, "Strd")]
    free = [one.text or "" for one in _children(written, "Ustrd")]
    name = _text(parties, "Dbtr/Nm") or _text(parties, "Dbtr/Pty/Nm")
    debtor = _text(parties, "DbtrAcct/Id/IBAN")
    text = " ".join(" ".join([*structured, *free]).split())[:TEXT_MAX]
    same = (
        iban, booked, f"{amount:f}", currency, reference, end_to_end,
        _text(in_detail, "Refs/TxId"), debtor, text,
    )  # fmt: skip
    digest = sha256("\x1f".join(one or "" for one in same).encode()).hexdigest()
    alike[digest] += 1
    return Credit(
        key=f"{digest}-{alike[digest]}",
        amount=amount,
        currency=currency,
        booked_on=date.fromisoformat(booked),
        bank_reference=reference,
        end_to_end_id=end_to_end,
        debtor_name=name[:140] or None,
        debtor_iban=debtor[:34] or None,
        text=text,
    )


def _reference(text: str) -> str | None:
    return None if text.upper() in NO_REFERENCE else text[:100]


def _amount(element: Element | None) -> tuple[Decimal, str]:
    text, currency = ("", "") if element is None else (element.text or "", element.get("Ccy", ""))
    if not AMOUNT.fullmatch(text.strip()) or not re.fullmatch("[A-Z]{3}", currency):
        raise Unreadable(f"an amount that is none: {text[:20]!r} {currency[:5]!r}")
    amount = Decimal(text.strip())
    if amount != to_cents(amount):
        raise Unreadable(f"an amount with fractions of a cent: {text[:20]!r} {currency}")
    return amount, currency


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: Element | None, name: str) -> list[Element]:
    return [] if element is None else [one for one in element if _name(one) == name]


def _child(element: Element | None, name: str) -> Element | None:
    return next(iter(_children(element, name)), None)


def _find(element: Element | None, path: str) -> Element | None:
    for name in path.split("/"):
        element = _child(element, name)
    return element


def _text(element: Element | None, path: str) -> str:
    found = _find(element, path)
    return "" if found is None else (found.text or "").strip()
