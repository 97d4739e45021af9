"""What a partner says of a card, read from lines."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.partners import listed
from identity.partners.listed import Part, TooLarge

GOOD = b'{"uid": "04a2"}'
REVERSED = (
    b'{"uid": "A", "valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"}'
)


def read(*lines: bytes, pieces: int = 7) -> Part:
    part = Part()
    body = b"\n".join(lines)
    for first in range(0, len(body), pieces):
        part.feed(body[first : first + pieces])
    part.end()
    return part


@pytest.mark.parametrize(
    ("line", "member"),
    [
        (b"{", None),
        (b"[]", None),
        (b'"04A2"', None),
        (b"\xff", None),
        (b"{}", "uid"),
        (b'{"uid": "04A2", "owner": "Jane"}', "owner"),
        (b'{"uid": 7}', "uid"),
        (b'{"uid": ""}', "uid"),
        (b'{"uid": "\xc3\xa4"}', "uid"),
        (b'{"uid": "A\\u0000"}', "uid"),
        (b'{"uid": "A", "active": "yes"}', "active"),
        (b'{"uid": "A", "kind": "nfc"}', "kind"),
        (b'{"uid": "A", "label": "%s"}' % (b"x" * 81), "label"),
        (b'{"uid": "A", "blocked_reason": "lost"}', "blocked_reason"),
        (b'{"uid": "A", "valid_from": "2026-01-01"}', "valid_from"),
        (b'{"uid": "A", "valid_from": "2026-01-01T00:00:00"}', "valid_from"),
        (b'{"uid": "A", "group_id": "\\ud800"}', None),
        (b'{"uid": "%s"}' % (b"A" * 21), "uid"),
        (b'{"uid": "%s"}' % (b"A" * 37), "uid"),
        (b'{"uid": "DE-ABC", "kind": "emaid"}', "uid"),
        (REVERSED, "valid_until"),
        (b'{"uid": "04A2"}', "uid"),  # as line 1
        (b" " * 4097, None),
    ],
)  # fmt: skip
def test_a_bad_line_is_told_with_its_number_and_member(line: bytes, member: str | None) -> None:
    part = read(GOOD, b"", line, b'{"uid": "B"}')
    assert [(one.line, one.member) for one in part.faults] == [(3, member)]
    assert part.faults[0].why
    assert part.bad_lines == 1
    assert [card.uid for card in part.cards] == ["04A2", "B"]


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    part = Part()
    for _ in range(1000):
        part.feed(b"x" * 4000)
        assert len(part._rest) <= listed.LINE_BYTES_MAX
    part.feed(b"\n" + GOOD)
    part.end()
    assert [(one.line, one.member) for one in part.faults] == [(1, None)]
    assert [card.uid for card in part.cards] == ["04A2"]


def test_a_part_has_bounds() -> None:
    part = Part()
    for _ in range(16):
        part.feed(b" " * 2**20)
    with pytest.raises(TooLarge):
        part.feed(b" ")
    lines = b"".join(b'{"uid": "%x"}\n' % number for number in range(listed.PART_CARDS_MAX))
    full = Part()
    full.feed(lines)
    with pytest.raises(TooLarge):
        full.feed(b'{"uid": "ONE-MORE"}\n')
    bad = Part()
    bad.feed(b"{}\n" * 500)
    assert (bad.bad_lines, len(bad.faults)) == (500, listed.FAULTS_MAX)


printable = st.characters(min_codepoint=32, exclude_categories=["C"])
cards: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"uid": st.text("0123456789ABCDEF", min_size=1, max_size=20)},
    optional={"label": st.text(printable, max_size=80), "active": st.booleans()},
)


@given(
    st.lists(cards, max_size=20, unique_by=lambda card: card["uid"]),
    st.integers(1, 200),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
)
def test_wherever_the_pieces_end_the_cards_are_the_same(
    wanted: list[dict[str, Any]], size: int, ending: bytes
) -> None:
    body = ending.join(json.dumps(card).encode() for card in wanted) + ending
    part = Part()
    for first in range(0, len(body), size):
        part.feed(body[first : first + size])
    part.end()
    assert part.faults == []
    assert [card.uid for card in part.cards] == [card["uid"] for card in wanted]
    whole = Part()
    whole.feed(body)
    assert whole.sha256 == part.sha256
