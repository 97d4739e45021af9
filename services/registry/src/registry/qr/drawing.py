"""Pure: the QR symbol of a link (ISO/IEC 18004), and files of it."""

import io
from collections.abc import Iterator
from itertools import groupby
from typing import Final, Literal

import segno
from segno import consts

Correction = Literal["L", "M", "Q", "H"]
QUIET_ZONE: Final = 4  # modules; ISO/IEC 18004, 9.1 asks for no less


def symbol(link: str, correction: Correction = "M") -> segno.QRCode:
    """The smallest that holds the link, with the best correction that is no larger.

    Code and tag are in alphanumeric mode: 29 modules a side instead of 33 for the most links, and
    so larger ones on the same label.
    """
    head, mark, tail = link.partition("/q/")
    parts = ((head + mark, consts.MODE_BYTE), (tail, consts.MODE_ALPHANUMERIC))
    return segno.make(parts, error=correction, micro=False)  # type: ignore[arg-type]


def svg(drawn: segno.QRCode, quiet_zone: int = QUIET_ZONE) -> bytes:
    """Of no size of its own: it fills what it is put into."""
    file = io.BytesIO()
    drawn.save(file, kind="svg", border=quiet_zone, omitsize=True, dark="#000", light="#fff")
    return file.getvalue()


def png(drawn: segno.QRCode, size_px: int, quiet_zone: int = QUIET_ZONE) -> bytes:
    """At most so large: a module is a whole number of pixels, or printers blur its edges."""
    modules, _ = drawn.symbol_size(border=quiet_zone)
    file = io.BytesIO()
    drawn.save(file, kind="png", scale=max(1, size_px // modules), border=quiet_zone)
    return file.getvalue()


def bars(drawn: segno.QRCode) -> Iterator[tuple[int, int, int]]:
    """Its dark modules as x, y and width of horizontal bars; in modules, from the upper left."""
    for y, row in enumerate(drawn.matrix):
        x = 0
        for dark, run in groupby(row):
            width = len(list(run))
            if dark:
                yield x, y, width
            x += width
