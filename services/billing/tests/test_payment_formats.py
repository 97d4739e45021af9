"""References, QR codes, bank statements and bonus lots: the pure parts of payments."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import pytest
import zxingcpp
from bank_files import entry, file
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from billing.payments import bonus_lots, camt, girocode, references
from billing.payments.bonus_lots import Movement
from billing.payments.girocode import Transfer
from billing.payments.schedule import WATCHED, next_ask
from common.ids import uuid7

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
IBAN = "DE89370400440532013000"


def test_the_reference_of_the_standards_example_is_right_and_a_slip_is_found() -> None:
    assert references.checked("rf18 5390 0754 7034") == "RF18539007547034"
    with pytest.raises(ValueError, match="slip"):
        references.checked("RF18539007547035")
    with pytest.raises(ValueError, match="begins with RF"):
        references.checked("18539007547034")


@given(st.integers(0, references.NUMBERS - 1), st.integers(0, 13), st.integers(1, 9))
def test_every_reference_is_good_and_one_wrong_digit_makes_it_bad(
    number: int, place: int, by: int
) -> None:
    made = references.made(number)
    assert references.checked(made) == made
    assert len(made) == 14
    if place >= 2:
        wrong = str((int(made[place]) + by) % 10)
        with pytest.raises(ValueError, match="slip"):
            references.checked(made[:place] + wrong + made[place + 1 :])


@given(
    st.integers(0, references.NUMBERS - 1),
    st.lists(st.sampled_from([" ", "\n", "-", ".", "/"]), min_size=14, max_size=14),
    st.text(alphabet="ABCXYZ äß", max_size=20),
    st.text(alphabet="ABCXYZ äß", max_size=20),
)
def test_a_reference_is_found_however_it_is_broken_and_between_whatever_words(
    number: int, breaks: Sequence[str], before: str, after: str
) -> None:
    made = references.made(number)
    broken = "".join(a + b for a, b in zip(made.lower(), breaks, strict=True))
    assert made in references.found_in(f"{before} {broken} {after}")


def test_nothing_is_found_in_other_numbers() -> None:
    assert references.found_in("RF00 0000 0000 00, RE-2026-17, DE89370400440532013000") == set()
    assert references.found_in("") == set()


def test_a_giro_code_says_what_a_banking_app_needs() -> None:
    name = "Ladewerke Müller GmbH & Co. KG"
    transfer = Transfer(name, IBAN, "COBADEFFXXX", Decimal("50.10"), references.made(7))
    read = zxingcpp.read_barcode(Image.open(BytesIO(girocode.png(transfer))))
    assert read is not None
    lines = read.bytes.decode().split("\n")
    assert lines[:2] == ["BCD", "002"]
    assert lines[2:] == [
        "1", "SCT", "COBADEFFXXX", name, IBAN, "EUR50.10", "", references.made(7),
    ]  # fmt: skip
    assert read.ec_level == "M"
    assert girocode.svg(transfer).startswith(b"<?xml")


def test_a_giro_code_cuts_a_name_that_is_too_long_and_refuses_an_amount_of_none() -> None:
    transfer = Transfer("N" * 200, IBAN, None, None, references.made(7))
    read = zxingcpp.read_barcode(Image.open(BytesIO(girocode.png(transfer))))
    assert read is not None
    assert read.text.split("\n")[5:8] == ["N" * 70, IBAN, ""]
    with pytest.raises(ValueError, match="amount"):
        girocode.code(Transfer("N", IBAN, None, Decimal(0), references.made(7)))


@pytest.mark.parametrize("version", ["02", "04", "08", "13"])
def test_transfers_that_came_in_are_read_in_every_version(version: str) -> None:
    sent = file(
        entry("50.00", text=["Danke", "RF48 0539 0075 47"], bank_reference="B-1", version=version),
        entry("9.99", incoming=False, version=version),
        entry("7.00", status="PDNG", version=version),
        entry("3.00", structured="RF480539007547", bank_reference="B-2", version=version),
        version=version,
    )
    (statement,) = camt.read(sent)
    assert (statement.iban, statement.debits, statement.pending) == (IBAN, 1, 1)
    first, second = statement.credits
    assert (first.amount, first.currency, first.booked_on) == (
        Decimal("50.00"), "EUR", date(2026, 3, 2),
    )  # fmt: skip
    assert first.text == "Danke RF48 0539 0075 47"
    assert (first.debtor_name, first.debtor_iban) == ("Ada Müller", "NL91ABNA0417164300")
    assert first.bank_reference == "B-1"
    assert second.text == "RF480539007547"


def test_a_batch_is_told_apart_if_its_parts_are_all_there() -> None:
    whole = file(entry("60.00", parts=["25.00", "35.00"]))
    (statement,) = camt.read(whole)
    assert [one.amount for one in statement.credits] == [Decimal("25.00"), Decimal("35.00")]
    lacking = file(entry("60.00", parts=["25.00", "30.00"]))
    (statement,) = camt.read(lacking)
    assert [one.amount for one in statement.credits] == [Decimal("60.00")]


def test_a_transfer_that_the_bank_took_back_is_below_zero() -> None:
    (statement,) = camt.read(file(entry("50.00", incoming=False, reversal=True)))
    assert [one.amount for one in statement.credits] == [Decimal("-50.00")]


def test_fractions_of_a_cent_are_no_amount() -> None:
    with pytest.raises(camt.Unreadable, match="fractions of a cent"):
        camt.read(file(entry("1.001")))
    (statement,) = camt.read(file(entry("1.5000")))
    assert [one.amount for one in statement.credits] == [Decimal("1.50")]


def test_a_notice_of_the_banks_with_no_money_is_no_transfer() -> None:
    sent = file(entry("0.00", text=["RF48 0539 0075 47"]), entry("5.00", parts=["0.00", "5.00"]))
    (statement,) = camt.read(sent)
    assert [one.amount for one in statement.credits] == [Decimal("5.00")]


def test_a_transfer_has_the_same_key_in_every_file_and_twins_of_a_day_have_two() -> None:
    twin = entry("20.00", text=["RF480539007547"])
    other = entry("20.00", text=["RF480539007547"], bank_reference="B-9")
    (first,) = camt.read(file(twin, twin, other))
    (second,) = camt.read(file(other, twin, twin, statement_id="another extract"))
    keys = [one.key for one in first.credits]
    assert len(set(keys)) == 3
    assert sorted(one.key for one in second.credits) == sorted(keys)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">&b;</Document>"""
OUTER = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">&a;</Document>"""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"BCD 940",
        b"\xff\xfe\x00",
        b"<Document/>",
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.052.001.08"/>',
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"/>',
        BOMB,
        OUTER,
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">' + b"<a>" * 100_000,
        file(entry("1e9")),
        file(entry("-5.00")),
        file(entry("NaN")),
        file(entry("5.00", booked="2026-02-30")),
        file(entry("5.00", booked="")),
        file(entry("5.00"), iban=""),
        file(entry("5.00"))[:-40],
        file(entry("5.00")).replace(b"?>", b"?><!DOCTYPE Document>", 1),
    ],
)
def test_what_is_no_statement_is_refused_with_a_sentence(sent: bytes) -> None:
    with pytest.raises(camt.Unreadable) as refused:
        camt.read(sent)
    assert len(refused.value.why) > 10


@given(st.binary(max_size=200), st.integers(0, 3000))
def test_whatever_is_sent_is_read_or_refused(noise: bytes, place: int) -> None:
    whole = file(entry("5.00", text=["x"]), entry("6.00"))
    with suppress(camt.Unreadable):
        camt.read(whole[:place] + noise + whole[place:])


def test_more_entries_than_a_file_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camt, "ENTRIES_MAX", 3)
    assert camt.read(file(*[entry("5.00")] * 3))
    with pytest.raises(camt.Unreadable, match="more than 3"):
        camt.read(file(*[entry("5.00")] * 4))


A, B, C = uuid7(), uuid7(), uuid7()


def given_(of: UUID, amount: str, days: int | None) -> Movement:
    return Movement(Decimal(amount), of, AT + timedelta(days=days) if days is not None else None)


def spent(amount: str) -> Movement:
    return Movement(-Decimal(amount))


def test_the_bonus_that_ends_first_is_spent_first() -> None:
    movements = [given_(A, "10", None), given_(B, "10", 30), given_(C, "10", 5), spent("15")]
    assert bonus_lots.left(movements) == {A: 10, B: 5}


def test_what_was_spent_before_another_bonus_came_was_not_of_that() -> None:
    movements = [given_(A, "10", 30), spent("4"), given_(B, "10", 5)]
    assert bonus_lots.left(movements) == {A: 6, B: 10}


def test_what_expired_is_gone_and_what_is_given_back_stays() -> None:
    movements = [
        given_(A, "10", 5), spent("4"), Movement(Decimal(-6), A), Movement(Decimal(4)),
    ]  # fmt: skip
    assert bonus_lots.left(movements) == {None: 4}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("give"), st.integers(1, 50), st.integers(0, 9) | st.none()),
            st.tuples(st.just("spend"), st.integers(1, 60), st.none()),
            st.tuples(st.just("back"), st.integers(1, 20), st.none()),
            st.tuples(st.just("expire"), st.integers(0, 5), st.none()),
        ),
        max_size=30,
    )
)
def test_what_is_left_of_the_bonuses_is_the_balance(
    steps: list[tuple[str, int, int | None]],
) -> None:
    movements: list[Movement] = []
    given_ids: list[UUID] = []
    for what, number, days in steps:
        balance = sum((one.amount for one in movements), Decimal(0))
        if what == "give":
            given_ids.append(uuid7())
            movements.append(given_(given_ids[-1], str(number), days))
        elif what == "spend" and balance:
            movements.append(spent(str(min(Decimal(number), balance))))
        elif what == "back":
            movements.append(Movement(Decimal(number)))
        elif what == "expire" and number < len(given_ids):
            of = given_ids[number]
            left = bonus_lots.left(movements).get(of, Decimal(0))
            movements.append(Movement(-left, of))
            assert of not in bonus_lots.left(movements)
    lots = bonus_lots.left(movements)
    assert sum(lots.values(), Decimal(0)) == sum((one.amount for one in movements), Decimal(0))
    assert all(amount > 0 for amount in lots.values())


@given(
    st.sampled_from(["open", "paid", "failed", "canceled", "expired", "mismatched"]),
    st.timedeltas(timedelta(0), timedelta(days=800)),
    st.booleans(),
)
def test_questions_come_in_the_future_and_end(state: str, age: timedelta, refunding: bool) -> None:
    found = next_ask(state, AT - age, AT, refunding=refunding)
    asked = state in ("open", "paid") or refunding
    # The money of a refund has left the account: it is asked about until it is there or back.
    assert (found is not None) == (asked and (age <= WATCHED or refunding))
    if found is not None:
        assert timedelta(seconds=5) <= found - AT <= max(age, timedelta(days=1))


def test_an_open_payment_is_asked_about_soon_and_then_ever_less_often() -> None:
    at, asked = AT, 0
    while (following := next_ask("open", AT, at, refunding=False)) is not None:
        at, asked = following, asked + 1
        if at - AT < timedelta(minutes=1):
            assert asked <= 12
    assert 400 < asked < 600
