"""Pure: whether the signed readings of a session prove the energy that is billed.

The rules are those of the transparency software that a driver checks a bill with, and that the
energy is the one that is billed. What cannot be compared is said to be so, and is not a failure.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from billing.signed import ocmf
from billing.signed.ocmf import Broken, Reading, Record, Unsupported

Verdict = Literal["verified", "failed", "no_key", "not_comparable", "none"]
Signature = Literal[Verdict, "pending"]
SAYS: Final = (
    "verified: the meter's signatures prove the energy; failed: they do not; no_key: none is "
    "registered; not_comparable: they cannot prove or disprove it; none: nothing was signed; "
    "pending: not looked at yet"
)

BEGIN: Final = "Transaction.Begin"
END: Final = "Transaction.End"
# Of one session at most so many records are looked into: those of its begin and end first.
LOOKED_AT: Final = 40
WH: Final = Decimal(1)  # to which energy is billed
OK: Final = "G"
ENERGY_FLAG: Final = "E"
# The meter itself says that it is another's session than the card's (OCMF, table 11).
UNASSIGNED: Final = {"MISMATCH", "INVALID", "OUTDATED", "UNKNOWN"}


class Kept(NamedTuple):
    """A signed reading as it is kept."""

    data: str
    context: str


class Judged(NamedTuple):
    verdict: Verdict
    why: tuple[str, ...] = ()  # sentences, for people
    energy_wh: Decimal | None = None  # that the meter has signed


@dataclass(frozen=True, slots=True)
class Found:
    """A reading of energy in a record that is signed by the right key."""

    record: Record
    reading: Reading


class Failed(Exception):
    """It does not prove the bill; says why."""


class Unknown(Exception):
    """Nothing can be said; says why not."""


def judge(
    kept: Sequence[Kept],
    key: str | None,
    energy_wh: int | None,
    *,
    of_others: Collection[str] = frozenset(),
) -> Judged:
    """kept: of one session, in the order of their times. energy_wh: what is billed.

    of_others: those data that were also told of another session.
    """
    chosen = _chosen(kept)
    if not chosen:
        return Judged("none")
    if all(ocmf.text_of(one.data) is None for one in chosen):
        return Judged("not_comparable", (f"no reading is OCMF; {OTHER_FORMATS}",))
    if key is None:
        return Judged("no_key", ("no public key of the meter is registered for the EVSE",))
    try:
        records = _records(chosen, key, of_others)
        begin, end = _pair([Found(one, reading) for one in records for reading in one.readings])
        _compare(begin, end)
        signed_wh = end.reading.value_wh - begin.reading.value_wh
    except Failed as failed:
        return Judged("failed", failed.args)
    except Unknown as unknown:
        return Judged("not_comparable", unknown.args)
    return _billed(begin.reading, end.reading, signed_wh, energy_wh)


OTHER_FORMATS: Final = "other formats are kept and not verified here"


def _chosen(kept: Sequence[Kept]) -> list[Kept]:
    """Each text once, and of too many those of the begin and the end, then the first and last."""
    once: dict[str, Kept] = {}
    for one in kept:
        once.setdefault(one.data, one)
    apart = list(once.values())
    if len(apart) <= LOOKED_AT:
        return apart
    marked = [one for one in apart if one.context in {BEGIN, END}]
    half = LOOKED_AT // 2
    first_and_last = (marked or apart)[:half] + (marked or apart)[-half:]
    return list(dict.fromkeys(first_and_last))


def _records(chosen: Sequence[Kept], key: str, of_others: Collection[str]) -> list[Record]:
    """Raises Failed with every reason that there is, Unknown."""
    records, wrong, unknown = [], [], []
    for place, one in enumerate(chosen, start=1):
        text = ocmf.text_of(one.data)
        name = f"reading {place} ({one.context or 'of no context'})"
        if text is None:
            continue
        try:
            record = ocmf.parse(text)
            if not ocmf.is_signed(record, ocmf.key_of(key, record.method)):
                raise Broken("is not signed by the registered key, or was changed")
        except Broken as broken:
            wrong.append(f"{name}: {broken}")
        except Unsupported as unsupported:
            unknown.append(f"{name}: {unsupported}")
        else:
            records.append(record)
        if one.data in of_others:
            wrong.append(f"{name}: was told of another session too")
    if wrong:
        raise Failed(*wrong)
    if unknown:
        raise Unknown(*unknown)
    return records


def _pair(found: Sequence[Found]) -> tuple[Found, Found]:
    """The begin and the end that are billed. Raises Failed, Unknown."""
    begins = [one for one in found if one.reading.kind == "begin"]
    ends = [one for one in found if one.reading.kind == "end"]
    if not begins or not ends:
        missing = " and ".join(
            name for name, those in (("begin", begins), ("end", ends)) if not those
        )
        raise Unknown(f"no signed reading of the {missing}")
    both = {one.reading.register for one in begins} & {one.reading.register for one in ends}
    if not both:
        raise Failed("begin and end are of different registers")
    ranks = {one.reading.register: one.reading.rank for one in begins}
    register = min(both, key=lambda one: (ranks[one], one))
    return _only(begins, register, "begin"), _only(ends, register, "end")


def _only(those: Sequence[Found], register: str, name: str) -> Found:
    """The newest of them: a record of the end may repeat the begin."""
    of_register = [one for one in those if one.reading.register == register]
    values = {one.reading.value_wh for one in of_register}
    if len(values) > 1:
        raise Failed(f"there are {len(values)} readings of the {name}, and they differ")
    return of_register[-1]


def _compare(begin: Found, end: Found) -> None:
    """Raises Failed with every reason that there is, Unknown."""
    wrong = [*_of_one(begin, "begin"), *_of_one(end, "end")]
    for mine, other in zip(begin.record.serials, end.record.serials, strict=True):
        if mine and other and mine != other:
            wrong.append(f"begin and end are of different meters, {mine[:40]} and {other[:40]}")
    started, ended = begin.reading.at, end.reading.at
    if started and ended and bool(started.tzinfo) == bool(ended.tzinfo) and ended < started:
        wrong.append("the meter's clock says that the end is before the begin")
    if end.reading.value_wh < begin.reading.value_wh:
        wrong.append("the register at the end is lower than at the begin")
    if begin.record is not end.record and (problem := _paginated(begin.record, end.record)):
        wrong.append(problem)
    if wrong:
        raise Failed(*wrong)
    if not (begin.record.pagination and end.record.pagination):
        raise Unknown("the records have no pagination, so one may be missing in between")


def _of_one(one: Found, name: str) -> Iterator[str]:
    if one.reading.status != OK:
        yield f"the meter's status at the {name} is {(one.reading.status or 'not told')[:20]}"
    if ENERGY_FLAG in one.reading.error_flags:
        yield f"the meter says that its energy at the {name} is wrong"
    if one.record.identification_level in UNASSIGNED:
        yield f"the meter could not assign the user: {one.record.identification_level}"


def _paginated(begin: Record, end: Record) -> str | None:
    """What is wrong with the numbers of two records: each number is given once, and they grow."""
    if not (begin.pagination and end.pagination):
        return None
    first, last = (ocmf.PAGINATION.fullmatch(one.pagination or "") for one in (begin, end))
    words = f"{begin.pagination[:20]} and {end.pagination[:20]}"
    if not first or not last:
        return f"the pagination is none: {words}"
    if first[1] != last[1]:
        return f"begin and end are of different paginations: {words}"
    return None if int(first[2]) < int(last[2]) else f"the end comes before the begin: {words}"


def _billed(begin: Reading, end: Reading, signed_wh: Decimal, energy_wh: int | None) -> Judged:
    if energy_wh is None:
        return Judged("not_comparable", ("the energy to bill is not known",), signed_wh)
    # Both registers may be cut off at their last digit, and billed are whole Wh.
    within = max(begin.resolution_wh, end.resolution_wh, WH)
    if abs(signed_wh - energy_wh) > within:
        words = f"the meter has signed {signed_wh.normalize():f} Wh, {energy_wh} Wh are billed"
        return Judged("failed", (words,), signed_wh)
    return Judged("verified", (), signed_wh)
