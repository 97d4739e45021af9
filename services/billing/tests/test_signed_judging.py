"""Signed readings prove the energy that is billed, or it is said why not."""

import base64
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from signing_meter import SigningMeter

from billing.signed import ocmf
from billing.signed.judging import LOOKED_AT, Judged, Kept, judge

BEGIN, END = "Transaction.Begin", "Transaction.End"
# The example in XML_Format.md of the S.A.F.E. transparency software, of a real meter.
EXAMPLE = (
    'OCMF|{"FV":"1.0","GI":"KEBA_KCP30","GS":"17619300","GV":"2.8.5","PG":"T32","IS":false,"IL":"NO'
    'NE","IF":["RFID_NONE","OCPP_NONE","ISO15118_NONE","PLMN_NONE"],"IT":"NONE","ID":"","RD":[{"TM"'
    ':"2019-08-13T10:03:15,000+0000 I","TX":"B","EF":"","ST":"G","RV":0.2596,"RI":"1-b:1.8.0","RU":'
    '"kWh"},{"TM":"2019-08-13T10:03:36,000+0000 R","TX":"E","EF":"","ST":"G","RV":0.2597,"RI":"1-b:'
    '1.8.0","RU":"kWh"}]}|{"SD":"304502200E2F107C987A300AC1695CA89EA149A8CDFA16188AF0A33EE64B67964A'
    'A943F9022100889A72B6D65364BEA8562E7F6A0253157ACFF84FE4929A93B5964D23C4265699"}'
)
EXAMPLE_KEY = (
    "3059301306072A8648CE3D020106082A8648CE3D030107034200043AEEB45C392357820A58FDFB0857BD77ADA31585"
    "C61C430531DFA53B440AFBFDD95AC887C658EA55260F808F55CA948DF235C2108A0D6DC7D4AB1A5E1A7955BE"
)


def judged(key: str | None, wh: int | None, *texts: str, **more: Any) -> Judged:
    """Of a begin, maybe others, and an end, in this order."""
    contexts = [BEGIN, *["Sample.Periodic"] * (len(texts) - 2), END][: len(texts)]
    kept = [Kept(text, context) for text, context in zip(texts, contexts, strict=True)]
    return judge(kept, key, wh, **more)


def pair(meter: SigningMeter, begin: str = "1.250", end: str = "11.250") -> tuple[str, str]:
    return meter.record(f"B {begin}"), meter.record(f"E {end}")


def test_the_example_of_the_transparency_software_is_verified() -> None:
    found = judged(EXAMPLE_KEY, 0, EXAMPLE)
    assert found == Judged("verified", (), Decimal("0.1"))
    changed = EXAMPLE.replace("0.2597", "0.2598")
    assert judged(EXAMPLE_KEY, 0, changed).verdict == "failed"


@pytest.mark.parametrize(
    ("method", "curve"),
    [
        ("ECDSA-secp256r1-SHA256", ec.SECP256R1()),
        ("ECDSA-secp192r1-SHA256", ec.SECP192R1()),
        ("ECDSA-secp256k1-SHA256", ec.SECP256K1()),
        ("ECDSA-secp384r1-SHA256", ec.SECP384R1()),
        ("ECDSA-secp521r1-SHA512", ec.SECP521R1()),
        ("ECDSA-brainpool256r1-SHA256", ec.BrainpoolP256R1()),
        ("ECDSA-brainpoolP256r1-SHA256", ec.BrainpoolP256R1()),
        ("ECDSA-brainpool384r1-SHA256", ec.BrainpoolP384R1()),
    ],
)
def test_a_begin_and_an_end_are_verified_on_every_curve(
    method: str, curve: ec.EllipticCurve
) -> None:
    meter = SigningMeter(method, curve)
    assert judged(meter.key, 10_000, *pair(meter)) == Judged("verified", (), Decimal(10_000))
    other = SigningMeter(method, curve)
    found = judged(other.key, 10_000, *pair(meter))
    assert found.verdict == "failed"
    assert len(found.why) == 2 and "is not signed by the registered key" in found.why[0]


def test_a_key_counts_in_every_form_in_which_it_may_be_registered() -> None:
    meter = SigningMeter()
    texts = pair(meter)
    public = meter.private.public_key()
    point = public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    short = public.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    forms = [
        meter.key, meter.key.upper(), base64.b64encode(meter.der).decode(), pem, point.hex(),
        point[1:].hex(), short.hex(), " ".join(meter.key[n : n + 4] for n in range(0, 182, 4)),
    ]  # fmt: skip
    for form in forms:
        assert judged(form, 10_000, *texts).verdict == "verified", form


def hexed(text: str) -> str:
    return text.encode().hex()


def based(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def spaced(text: str) -> str:
    return f"\r\n {text}\n"


@pytest.mark.parametrize("encoded", [hexed, based, spaced])
def test_a_record_counts_as_it_is_encoded(encoded: Callable[[str], str]) -> None:
    meter = SigningMeter()
    begin, end = pair(meter)
    assert judged(meter.key, 10_000, encoded(begin), encoded(end)).verdict == "verified"


def test_defaults_and_base64_of_a_signature_are_read() -> None:
    meter = SigningMeter()
    record = json.loads(meter.record("B 1.250", "E 11.250").split("|")[1])
    payload = json.dumps(record)
    for members in ({"SA": None}, {"SE": "base64"}, {"SE": "hex", "SM": "application/x-der"}):
        assert judged(meter.key, 10_000, meter.signed(payload, **members)).verdict == "verified"


def test_members_of_a_reading_are_as_in_the_one_before_when_left_out() -> None:
    meter = SigningMeter()
    end: dict[str, Any] = {"TX": "E", "RV": 11.25} | dict.fromkeys(("TM", "RI", "RU", "ST", "EF"))
    assert judged(meter.key, 10_000, meter.record("B 1.250", end)).verdict == "verified"


@pytest.mark.parametrize(
    ("begin", "end", "billed", "verdict"),
    [
        ("1.250", "11.250", 10_000, "verified"),
        ("1.250", "11.250", 10_001, "verified"),  # both registers may be cut off
        ("1.250", "11.250", 10_002, "failed"),
        ("1.250", "11.250", 9_998, "failed"),
        ("1.2504", "11.2506", 10_000, "verified"),
        ("1.25", "11.25", 10_010, "verified"),  # it shows 10 Wh
        ("1.25", "11.25", 10_011, "failed"),
        ("1.2", "11.2", 9_901, "verified"),
        ("1", "11", 10_999, "verified"),
        ("1.250", "11.250", 11_250, "failed"),  # the whole odometer
        ("1.250", "1.250", 0, "verified"),
        ("11.250", "1.250", -10_000, "failed"),
    ],
)
def test_the_energy_is_the_billed_one_within_what_the_meter_shows(
    begin: str, end: str, billed: int, verdict: str
) -> None:
    meter = SigningMeter()
    assert judged(meter.key, billed, *pair(meter, begin, end)).verdict == verdict


def test_watt_hours_are_watt_hours() -> None:
    meter = SigningMeter()
    begin, end = ({"TX": why, "RV": wh, "RU": "Wh"} for why, wh in (("B", 1250), ("E", 11250)))
    found = judged(meter.key, 10_000, meter.record(begin), meter.record(end))
    assert found == Judged("verified", (), Decimal(10_000))


def test_unknown_energy_is_not_compared_and_the_signed_one_is_told() -> None:
    meter = SigningMeter()
    found = judged(meter.key, None, *pair(meter))
    assert (found.verdict, found.energy_wh) == ("not_comparable", Decimal(10_000))


def test_of_several_registers_the_one_with_the_cable_losses_taken_out_counts() -> None:
    meter = SigningMeter()
    readings = [
        {"TX": why, "RV": value, "RI": register}
        for why, values in (("B", (1.0, 1.0, 5.0)), ("E", (11.0, 10.9, 5.0)))
        for value, register in zip(
            values, ("01-00:B2.08.00.FF", "01-00:B3.08.00.FF", "01-00:C2.08.00.FF"), strict=True
        )
    ]
    found = judged(meter.key, 9_900, meter.record(*readings))
    assert found == Judged("verified", (), Decimal(9_900))


def failing(meter: SigningMeter) -> dict[str, tuple[str, str]]:
    """By what the reason says: a begin and an end that prove nothing."""
    begin, end = pair(meter)

    def ended(**members: Any) -> str:
        return meter.record({"TX": "E", "RV": 11.25} | members)

    short = {"TX": "E", "RV": 1} | dict.fromkeys(("TM", "RI", "RU", "ST", "EF"))
    return {
        "different meters": (begin, meter.record("E 11.250", MS="M-18")),
        "comes before the begin": (
            meter.record("B 1.250", PG="T9"),
            meter.record("E 11.250", PG="T8"),
        ),
        "different paginations": (meter.record("B 1.250", PG="F1"), end),
        "pagination is none": (begin, meter.record("E 11.250", PG="T007")),
        "status at the end is M": (begin, ended(ST="M")),
        "status at the end is not told": (begin, ended(ST=None)),
        "energy at the begin is wrong": (
            meter.record({"TX": "B", "RV": 1.25, "EF": "E"}),
            meter.record("E 11.250"),
        ),
        "could not assign the user": (begin, meter.record("E 11.250", IL="MISMATCH")),
        "end is before the begin": (begin, ended(TM="2020-01-01T00:00:00,000+0000 S")),
        "different registers": (begin, ended(RI="01-00:B2.08.00.FF")),
        "lower than at the begin": pair(meter, "11.250", "1.250"),
        "no JSON, or cut off": (begin, end[: len(end) // 2] + "|" + end.split("|")[2]),
        "it has no signature": (begin, end.split("|{")[0] + "|" + end.split("|")[1]),
        "has no signature": (begin, end.rsplit("|", 1)[0] + "|{}"),
        "not written as hex": (begin, end.rsplit("|", 1)[0] + '|{"SD":"xyz"}'),
        "was changed": (begin, end.replace("11.250", "11.251")),
        "longer than": (begin, meter.record("E 11.250", TT="x" * 200_000)),
        "more than 1000 readings": (begin, meter.record(*[short] * 1001)),
    }


@pytest.mark.parametrize("why", list(failing(SigningMeter())))
def test_a_begin_and_an_end_that_do_not_fit_fail_and_the_verdict_says_why(why: str) -> None:
    meter = SigningMeter()
    found = judged(meter.key, 10_000, *failing(meter)[why])
    assert found.verdict == "failed"
    assert any(why in one for one in found.why), found.why


def test_a_key_of_another_curve_or_kind_fails() -> None:
    meter = SigningMeter()
    brainpool = SigningMeter("ECDSA-brainpool256r1-SHA256", ec.BrainpoolP256R1())
    found = judged(brainpool.key, 10_000, *pair(meter))
    assert found.verdict == "failed" and "of brainpoolP256r1" in found.why[0]
    assert judged("00" * 10, 10_000, *pair(meter)).verdict == "failed"
    assert judged("04" + "11" * 64, 10_000, *pair(meter)).why[0].endswith("no point of secp256r1")


def test_what_cannot_be_verified_is_no_failure() -> None:
    meter = SigningMeter()
    begin, end = pair(meter)
    assert judge([], meter.key, 10_000) == Judged("none")
    assert judged(None, 10_000, begin, end).verdict == "no_key"
    assert judged(meter.key, 10_000, begin).why == ("no signed reading of the end",)
    no_pages = [meter.record(one, PG=None) for one in ("B 1.250", "E 11.250")]
    assert judged(meter.key, 10_000, *no_pages).verdict == "not_comparable"
    k1 = SigningMeter("ECDSA-secp192k1-SHA256")
    assert judged(k1.key, 10_000, *pair(k1)).verdict == "not_comparable"
    others = ["AP;0;3;ALIJVW;BIHEIWSHAAA2W2V7OYYDCNQAAFACRC2I;;", "1B1B1B1B01010101", "", "{}"]
    for text in others:
        found = judged(meter.key, 10_000, text, text + " ")
        assert found.verdict == "not_comparable" and "is OCMF" in found.why[0], text


def test_a_key_that_a_record_brings_along_is_not_believed() -> None:
    meter, forger = SigningMeter(), SigningMeter()
    begin, end = (f"{text}|{forger.key}" for text in pair(forger))
    assert judged(meter.key, 10_000, begin, end).verdict == "failed"


def test_records_in_between_and_repeated_ones_change_nothing() -> None:
    meter = SigningMeter()
    begin = meter.record("B 1.250")
    between = [meter.record(f"C {value}.250") for value in range(2, 11)]
    end = meter.record("B 1.250", "E 11.250")
    assert judged(meter.key, 10_000, begin, begin, *between, end, end).verdict == "verified"
    broken = [between[0].replace("2.250", "2.251"), *between[1:]]
    assert judged(meter.key, 10_000, begin, *broken, end).verdict == "failed"
    again = meter.record("E 11.260")
    assert judged(meter.key, 10_000, begin, end, again).why == (
        "there are 2 readings of the end, and they differ",
    )


def test_a_reading_that_is_another_sessions_too_fails() -> None:
    meter = SigningMeter()
    begin, end = pair(meter)
    found = judged(meter.key, 10_000, begin, end, of_others={end})
    assert found.verdict == "failed" and "another session" in found.why[0]


def test_of_a_day_of_readings_a_few_are_looked_into_and_begin_and_end_are_among_them() -> None:
    meter = SigningMeter()
    begin = meter.record("B 1.250")
    between = [meter.record(f"C 2.{value}") for value in range(1000, 2440)]
    end = meter.record("E 11.250")
    texts = [begin, *between, end]
    assert judged(meter.key, 10_000, *texts).verdict == "verified"
    seen: list[str] = []
    parse = ocmf.parse

    def counted(text: str) -> ocmf.Record:
        seen.append(text)
        return parse(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ocmf, "parse", counted)
        unmarked: Sequence[Kept] = [Kept(text, "") for text in texts]
        assert judge(unmarked, meter.key, 10_000).verdict == "verified"
    assert len(seen) == LOOKED_AT


HOSTILE = [
    "OCMF|" + "[" * 90_000 + "|{}",
    "OCMF|" + '{"a":' * 15_000 + "|{}",
    'OCMF|{"RD":[{"RV":' + "9" * 50_000 + '}]}|{"SD":"00"}',
    'OCMF|{"RD":[{"RV":1e999999999999999999999}]}|{"SD":"00"}',
    'OCMF|{"RD":[{"TX":"B","RV":1e900000},{"TX":"E","RV":-1e900000}]}|{"SD":"00"}',
    'OCMF|{"RD":[{"TX":"B","RV":1e-900000}]}|{"SD":"00"}',
    'OCMF|{"PG":"T1","RD":[{"TX":"B","RV":1,"ST":"G"},{"TX":"E","RV":1e900000}]}|{"SD":"00"}',
    'OCMF|{"RD":[{"RV":NaN}]}|{"SD":"00"}',
    'OCMF|{"RD":["x"]}|{"SD":"00"}',
    'OCMF|{"RD":{"a":1}}|{"SD":"00"}',
    'OCMF|{"RD":[{"TM":5,"TX":[],"RI":{},"RU":1,"RV":true,"ST":null,"EF":7}],"PG":3}|{"SD":"00"}',
    'OCMF|{"RD":[]}|{"SD":7,"SA":{}}',
    'OCMF|{"RD":[]}|{"SD":"00","SA":"' + "x" * 9_000 + '"}',
    "OCMF|null|null",
    "OCMF||",
    "OCMF|",
    "4f434d467c" + "ff" * 50,
    "T0NNRnx7" + "A" * 999,
    "OCMF|\ud7ff\U0010ffff|{}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_judged_and_breaks_nothing(text: str) -> None:
    meter = SigningMeter()
    found = [judged(EXAMPLE_KEY, 10_000, text)]
    # Signed by the right key it is no better.
    if text.count("|") == 2 and text.startswith("OCMF|"):
        found.append(judged(meter.key, 10_000, meter.signed(text.split("|")[1])))
    for one in found:
        assert one.verdict in {"failed", "not_comparable"} and one.why
        assert max(len(words) for words in one.why) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
NAMES = st.sampled_from(["TM", "TX", "RV", "RI", "RU", "ST", "EF"])
READING = st.dictionaries(NAMES, JSON | st.sampled_from(["B", "E", "G", "kWh", 1, "1-0:1.8.0"]))
MEMBERS = st.dictionaries(st.sampled_from(["PG", "MS", "GS", "IL", "FV"]), JSON)


@given(st.lists(READING, max_size=4) | JSON, MEMBERS, st.text(max_size=40))
def test_any_payload_of_the_right_key_gets_a_verdict(
    readings: Any, members: dict[str, Any], method: str
) -> None:
    text = METER.signed(json.dumps(members | {"RD": readings}).replace("|", ""))
    assert judged(METER.key, 10_000, text).verdict in {"failed", "not_comparable", "verified"}
    other = METER.signed("{}", SA=method.replace("|", ""))
    assert judged(METER.key, 10_000, other).verdict in {"failed", "not_comparable"}


@given(st.text(max_size=300), st.text(max_size=100))
def test_any_text_and_any_key_get_a_verdict(text: str, key: str) -> None:
    for one in (text, f"OCMF|{text}", EXAMPLE[: len(text)]):
        assert judged(key, 10_000, one).verdict in {"failed", "not_comparable"}


METER = SigningMeter()


@given(st.integers(0, len(EXAMPLE) - 1), st.characters(categories=["L", "N", "P"]))
def test_no_single_character_can_be_changed_unnoticed(place: int, character: str) -> None:
    changed = EXAMPLE[:place] + character + EXAMPLE[place + 1 :]
    section = EXAMPLE[:place].count("|")
    if changed != EXAMPLE and section == 1:
        assert judged(EXAMPLE_KEY, 0, changed).verdict != "verified"
