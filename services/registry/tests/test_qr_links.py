"""The pure part of QR codes: links, tags, layouts, languages."""

from itertools import combinations
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.qr import links
from registry.qr.layouts import LAYOUTS, Layout
from registry.qr.links import Standing
from registry.qr.words import PAGES, preferred

KEY = b"k" * 32
OPERATOR = UUID("018f0000-0000-7000-8000-000000000001")
keys = st.binary(min_size=32, max_size=32)
evse_codes = st.from_regex(r"[A-Z]{2}\*?[A-Z0-9]{3}\*?E[A-Z0-9][A-Z0-9*]{0,30}", fullmatch=True)
revisions = st.integers(1, 2**40)


def test_a_tag_that_was_printed_stays_good_in_every_release() -> None:
    made = links.tag(KEY, OPERATOR, "DE*ABC*E1234", 1)
    assert made == "EVGZBX4YB761K"
    assert links.link("qr.example.org", "de*abc*e1234", made) == (
        f"https://qr.example.org/q/DEABCE1234/{made}"
    )


@given(keys, st.uuids(), evse_codes, revisions)
def test_a_tag_is_13_plain_characters_and_is_genuine(
    key: bytes, operator: UUID, code: str, revision: int
) -> None:
    made = links.tag(key, operator, code, revision)
    assert len(made) == links.TAG_LENGTH and made.isalnum() and not set(made) & set("ILOU")
    assert links.standing(key, operator, code, revision, made) is Standing.GENUINE


@given(evse_codes, st.data())
def test_case_separators_and_characters_misread_change_nothing(
    code: str, data: st.DataObject
) -> None:
    made = links.tag(KEY, OPERATOR, code, 1)
    misread = {"1": "1Il", "0": "0Oo"}
    typed = "".join(data.draw(st.sampled_from(misread.get(one, one + one.lower()))) for one in made)
    at = data.draw(st.integers(0, len(code)))
    other = code[:at].lower() + data.draw(st.sampled_from(["", "*", "-"])) + code[at:]
    assert links.stripped(other) == links.stripped(code)
    assert links.standing(KEY, OPERATOR, other, 1, typed) is Standing.GENUINE


@given(evse_codes, revisions, st.data())
def test_another_key_operator_code_revision_or_character_is_unknown(
    code: str, revision: int, data: st.DataObject
) -> None:
    made = links.tag(KEY, OPERATOR, code, revision)
    at = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.sampled_from(sorted(set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") - {made[at]})))
    forged = made[:at] + other + made[at + 1 :]
    for key, operator, of_code, now, sent in (
        (b"x" * 32, OPERATOR, code, revision, made),
        (KEY, uuid4(), code, revision, made),
        (KEY, OPERATOR, code + "0", revision, made),
        (KEY, OPERATOR, code, revision, forged),
        (KEY, OPERATOR, code, revision, made[:-1]),
        (KEY, OPERATOR, code, revision, made + "0"),
    ):
        assert links.standing(key, operator, of_code, now, sent) is Standing.UNKNOWN
    # The tag of a revision that is still to come is nobody's to know.
    assert (
        links.standing(KEY, OPERATOR, code, revision, links.tag(KEY, OPERATOR, code, revision + 1))
        is Standing.UNKNOWN
    )


@given(evse_codes, st.integers(1, 200), st.integers(1, 150))
def test_after_a_reissue_the_tag_before_is_known_as_superseded(
    code: str, revision: int, later: int
) -> None:
    made = links.tag(KEY, OPERATOR, code, revision)
    found = links.standing(KEY, OPERATOR, code, revision + later, made)
    known = later <= links.REVISIONS_BACK
    assert found is (Standing.SUPERSEDED if known else Standing.UNKNOWN)


@given(st.text(max_size=20))
def test_whatever_is_sent_as_a_tag_or_a_code_is_answered(sent: str) -> None:
    assert links.standing(KEY, OPERATOR, "DEABCE1", 1, sent) in set(Standing)
    assert links.stripped(sent).isascii()


def test_a_tag_has_one_number_only() -> None:
    made = links.tag(KEY, OPERATOR, "DEABCE1", 1)
    assert made[0] in "01234567889ABCDEF"[:16]
    first = "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(made[0])
    twin = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[first + 16] + made[1:]  # the 65th bit
    assert links.standing(KEY, OPERATOR, "DEABCE1", 1, twin) is Standing.UNKNOWN


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_labels_lie_on_the_sheet_and_not_on_each_other(layout: Layout) -> None:
    spots = list(layout.spots(layout.per_page))
    (page_width, page_height), (width, height) = layout.page, layout.label
    for spot in spots:
        assert spot.page == 0
        assert spot.left >= 0 and spot.left + width <= page_width + 0.01
        assert spot.top >= 0 and spot.top + height <= page_height + 0.01
    for one, other in combinations(spots, 2):
        apart = max(abs(one.left - other.left) - width, abs(one.top - other.top) - height)
        assert apart > -0.01
    right = page_width - max(spot.left for spot in spots) - width
    assert right == pytest.approx(layout.first[0], abs=0.1), "the same margin on both sides"
    below = page_height - max(spot.top for spot in spots) - height
    assert below == pytest.approx(layout.first[1], abs=0.2)


@given(st.sampled_from(sorted(LAYOUTS)), st.integers(1, 100), st.data())
def test_what_is_skipped_stays_empty_and_the_rest_moves_on(
    name: str, number: int, data: st.DataObject
) -> None:
    layout = LAYOUTS[name]  # type: ignore[index]
    skip = data.draw(st.integers(0, layout.per_page - 1))
    spots = list(layout.spots(number, skip))
    assert spots == list(layout.spots(number + skip))[skip:]
    assert len(set(spots)) == number
    assert spots[-1].page == (number + skip - 1) // layout.per_page


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "de"), ("*", "de"), ("fr-FR, fr;q=0.9", "de"), ("en", "en"), ("EN-GB", "en"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"), ("en-US,en;q=0.9,de;q=0.7", "en"),
        ("de;q=0.3, en;q=0.4", "en"), ("en;q=0", "de"), ("en;q=x", "de"), ("en;q=nan", "de"),
        ("fr, en;q=0.5", "en"), ("en;q=", "de"), (";;,,=", "de"),
    ],
)  # fmt: skip
def test_a_page_is_in_the_language_that_is_preferred(header: str, language: str) -> None:
    assert preferred(header) == language


def test_every_page_has_every_language() -> None:
    for words in PAGES.values():
        assert set(words) == {"de", "en"}
