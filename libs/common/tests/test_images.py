"""What an image is, by its header."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import SVG, jpeg, png, webp

from common import images


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (png(300, 120), ("image/png", 300, 120)),
        (jpeg(300, 120), ("image/jpeg", 300, 120)),
        (jpeg(300, 120, 0xC2), ("image/jpeg", 300, 120)),
        (webp(300, 120, b"VP8 "), ("image/webp", 300, 120)),
        (webp(300, 120, b"VP8L"), ("image/webp", 300, 120)),
        (webp(300, 120, b"VP8X"), ("image/webp", 300, 120)),
    ],
)
def test_an_image_is_known_by_its_header(data: bytes, found: tuple[str, int, int]) -> None:
    assert images.of(data) == found


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SVG,
        b"GIF89a" + bytes(20),
        png()[:20],
        png(5000, 10),
        jpeg(0, 10),
        jpeg(2, 1, 0xC4),
        jpeg()[:12],
        webp(4, 4, b"VP8X")[:26],
        b"\x89PNG\r\n\x1a\n" + SVG,
    ],
)
def test_what_is_no_image_of_good_size_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        images.of(data)


@given(st.sampled_from([png(), jpeg(), webp(2, 2, b"VP8X")]), st.binary(max_size=60), st.data())
def test_no_bytes_break_it(begin: bytes, rest: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(begin)))
    with contextlib.suppress(ValueError):
        assert 1 <= images.of(begin[:cut] + rest).width <= images.SIDE_MAX
