"""Pure: what kind of image some bytes are, and how large, by their headers.

The image is never decoded: a browser does that, in a sandbox of its own.
"""

import struct
from typing import Final, NamedTuple

SIDE_MAX: Final = 4096

_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Start of frame: baseline, progressive and their like; C4, C8 and CC are something else.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE: Final = frozenset(range(0xD0, 0xD8)) | {0x01}  # markers without a length


class Image(NamedTuple):
    media_type: str
    width: int
    height: int


def of(data: bytes) -> Image:
    """Raises ValueError for what is no PNG, JPEG or WebP, is cut short or of no good size."""
    try:
        found = _parsed(data)
    except (struct.error, IndexError):
        raise ValueError("the image's header is cut short") from None
    if found is None:
        raise ValueError("not a PNG, JPEG or WebP image")
    if not (1 <= found.width <= SIDE_MAX and 1 <= found.height <= SIDE_MAX):
        raise ValueError(f"an image has 1 to {SIDE_MAX} pixels a side")
    return found


def _parsed(data: bytes) -> Image | None:
    if data.startswith(_PNG):
        if data[12:16] != b"IHDR":
            return None
        return Image("image/png", *struct.unpack_from(">II", data, 16))
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> Image | None:
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _JPEG_ALONE:
            at += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Image("image/jpeg", width, height)
        elif marker in (0xD9, 0xDA):  # the picture begins, or ends, without a frame
            return None
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if length < 2:
                return None
            at += 2 + length


def _webp(data: bytes) -> Image | None:
    kind = data[12:16]
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return Image("image/webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        return Image("image/webp", (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
    if kind == b"VP8X":
        sizes = data[24:30]
        if len(sizes) < 6:
            raise IndexError
        width, height = (int.from_bytes(sizes[i : i + 3], "little") + 1 for i in (0, 3))
        return Image("image/webp", width, height)
    return None
