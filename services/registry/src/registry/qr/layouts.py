"""Pure: where labels are on their sheets. Millimetres, from the upper left corner.

The sheets' dimensions are those their makers print on the package.
"""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, get_args

LayoutName = Literal[
    "a4-3x8-70x36", "a4-3x7-63.5x38.1", "a4-2x7-99.1x38.1", "a4-2x4-99.1x67.7", "a4-2x2-105x148",
    "single-100x100", "single-80x120",
]  # fmt: skip
A4: Final = (210.0, 297.0)


class Spot(NamedTuple):
    """A label's place on its page."""

    page: int  # from 0
    left: float
    top: float


class Layout(NamedTuple):
    page: tuple[float, float]  # width and height
    label: tuple[float, float]
    columns: int = 1
    rows: int = 1
    first: tuple[float, float] = (0.0, 0.0)  # left and top of the first label
    pitch: tuple[float, float] = (0.0, 0.0)  # from one label to the next, across and down

    @property
    def per_page(self) -> int:
        return self.columns * self.rows

    def spots(self, number: int, skip: int = 0) -> Iterator[Spot]:
        """Of so many labels, line by line; the first so many of the first page stay empty."""
        for at in range(skip, skip + number):
            page, on_page = divmod(at, self.per_page)
            row, column = divmod(on_page, self.columns)
            left = self.first[0] + column * self.pitch[0]
            yield Spot(page, left, self.first[1] + row * self.pitch[1])


LAYOUTS: Final[dict[LayoutName, Layout]] = {
    # Herma 4453, Avery Zweckform 3490
    "a4-3x8-70x36": Layout(A4, (70, 36), 3, 8, (0, 4.5), (70, 36)),
    # Avery L7160
    "a4-3x7-63.5x38.1": Layout(A4, (63.5, 38.1), 3, 7, (7.21, 15.15), (66.04, 38.1)),
    # Avery L7163
    "a4-2x7-99.1x38.1": Layout(A4, (99.1, 38.1), 2, 7, (4.63, 15.15), (101.64, 38.1)),
    # Avery L7165
    "a4-2x4-99.1x67.7": Layout(A4, (99.1, 67.7), 2, 4, (4.63, 13.1), (101.64, 67.7)),
    # Herma 4676, Avery Zweckform 3483
    "a4-2x2-105x148": Layout(A4, (105, 148), 2, 2, (0, 0.5), (105, 148)),
    # Of label printers: each label is a page.
    "single-100x100": Layout((100, 100), (100, 100)),
    "single-80x120": Layout((80, 120), (80, 120)),
}
assert set(LAYOUTS) == set(get_args(LayoutName))
