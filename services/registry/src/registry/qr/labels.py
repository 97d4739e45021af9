"""Label sheets as PDF, and the program that draws them.

A program of its own, python -m registry.qr.labels, with a Job as JSON on stdin and the PDF on
stdout: a thousand labels are seconds of work, which no other request shall wait for. Everything is
vector but the logo. Lengths are millimetres, fonts' sizes too.
"""

import io
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import fontpkg_atkinson_hyperlegible
from pydantic import BaseModel, ConfigDict
from reportlab import rl_config
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from registry.qr import drawing
from registry.qr.layouts import LAYOUTS, Layout, LayoutName
from registry.qr.words import LABEL, LabelWords, Language

MM: Final = 72 / 25.4
# Made for readers with low vision: 0 and O, 1, I and l cannot be taken for another. OFL 1.1.
REGULAR, BOLD = "AtkinsonHyperlegible-Regular", "AtkinsonHyperlegible-Bold"
FONTS: Final = Path(fontpkg_atkinson_hyperlegible.__file__).parent / "files"
INK, SOFT, PAPER = 0.08, 0.32, 1.0  # grey
EDGE: Final = 5.0  # no text nearer to a label's edge: office printers leave 4.2 mm of a sheet white
QUIET_EDGE: Final = 2.0  # nor a symbol's quiet zone, for sheets are never cut quite straight
SMALLEST: Final = 1.55  # 4.4 pt; smaller nobody reads
LINE: Final = 1.18  # of a font's size


rl_config.useA85 = 0  # no text encoding of what is compressed: a fifth less, and sooner


class Label(BaseModel):
    code: str
    link: str


class Job(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    layout: LayoutName
    languages: list[Language]  # the first leads
    skip: int
    brand: str
    domain: str
    logo: bytes | None  # PNG, of ours (logos)
    labels: list[Label]


class Block(NamedTuple):
    """Something with a height, drawn downwards from a point on a column's left edge."""

    height: float
    draw: Callable[[Canvas, float, float], None]


class Pen(NamedTuple):
    """What the labels of a job have in common."""

    job: Job
    words: LabelWords
    second: LabelWords | None
    logo: tuple[int, int] | None  # pixels


@cache
def _register() -> None:
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))


def unprintable(text: str) -> set[str]:
    """The characters that the labels' font does not have."""
    _register()
    known = pdfmetrics.getFont(BOLD).face.charToGlyph
    return {character for character in text if ord(character) not in known}


def pdf(job: Job) -> bytes:
    _register()
    layout = LAYOUTS[job.layout]
    file = io.BytesIO()
    size = (layout.page[0] * MM, layout.page[1] * MM)
    canvas = Canvas(file, pagesize=size, invariant=1, lang=job.languages[0])
    canvas.setTitle(f"{job.brand}: QR codes")
    canvas.setCreator("OpenLade")
    # Or printers fit the page into their margins, and no label is where the sheet has it.
    canvas.setViewerPreference("PrintScaling", "None")
    second = LABEL[job.languages[1]] if len(job.languages) > 1 else None
    pen = Pen(job, LABEL[job.languages[0]], second, _logo(canvas, job))
    page = 0
    for label, spot in zip(job.labels, layout.spots(len(job.labels), job.skip), strict=True):
        for _ in range(page, spot.page):
            canvas.showPage()
        page = spot.page
        canvas.saveState()
        canvas.scale(MM, MM)
        canvas.translate(spot.left, layout.page[1] - spot.top)  # y is 0 at the top, and negative
        _label(canvas, pen, layout, label)
        canvas.restoreState()
    canvas.save()
    return file.getvalue()


def _logo(canvas: Canvas, job: Job) -> tuple[int, int] | None:
    """Put the logo into the file once, one unit high and wide."""
    if job.logo is None:
        return None
    image = ImageReader(io.BytesIO(job.logo))
    canvas.beginForm("logo", 0, 0, 1, 1)
    canvas.drawImage(image, 0, 0, 1, 1)
    canvas.endForm()
    width, height = image.getSize()
    return width, height


def _label(canvas: Canvas, pen: Pen, layout: Layout, label: Label) -> None:
    width, height = layout.label
    drawn = drawing.symbol(label.link)
    if width > 1.2 * height:
        side = min(height - 2 * QUIET_EDGE, 0.5 * width)
        modules, _ = drawn.symbol_size(border=drawing.QUIET_ZONE)
        zone = drawing.QUIET_ZONE * side / modules
        # As high as the dark part of the symbol, and no higher.
        tall = side - 2 * zone if height < 50 else height - 2 * EDGE
        wide = width - side - QUIET_EDGE - EDGE
        groups = _fitting(pen, label, wide, tall, centred=False)
        _symbol(canvas, drawn, QUIET_EDGE, (height - side) / 2, side)
        _stack(canvas, groups, QUIET_EDGE + side, (height - tall) / 2, tall)
    else:
        wide = width - 2 * EDGE
        above, *below = _fitting(
            pen, label, wide, max(height - width + 8, 0.38 * width), centred=True
        )
        used = sum(_height(group) for group in (above, *below))
        side = min(width - 2 * EDGE, height - 2 * EDGE - used - 2.0)
        symbol = Block(side, lambda c, x, y: _symbol(c, drawn, x + (wide - side) / 2, -y, side))
        _stack(canvas, [above, [symbol], *below], EDGE, EDGE, height - 2 * EDGE)


def _fitting(
    pen: Pen, label: Label, wide: float, tall: float, *, centred: bool
) -> list[list[Block]]:
    """The groups of text, in the largest sizes that fit."""
    scale = max(1.0, min(2.2, wide / (42 if centred else 26)))
    while True:
        groups = _groups(pen, label, wide, scale, centred=centred)
        needed = sum(_height(group) for group in groups) + (len(groups) - 1) * 0.8
        if needed <= tall or scale < 0.55:
            return groups
        scale *= 0.96


def _groups(
    pen: Pen, label: Label, wide: float, scale: float, *, centred: bool
) -> list[list[Block]]:
    """What it says, from above: whose it is, what to do, which charge point, which address."""

    def words(text: str, font: str, size: float, grey: float, lines: int = 2) -> Block:
        return _text(text, font, size * scale, wide, grey=grey, lines=lines, centred=centred)

    whose = _picture(pen.logo, wide, 6.2 * scale, centred=centred) if pen.logo else (
        words(pen.job.brand, BOLD, 3.6, INK)
    )  # fmt: skip
    what = [words(pen.words.title, BOLD, 3.1, INK, 1)]
    if scale >= 1.25 or centred:
        what.append(words(pen.words.how, REGULAR, 2.3, SOFT))
    if pen.second:
        what.append(words(pen.second.title, REGULAR, 2.3, SOFT))
    code = words(label.code, BOLD, 3.8, INK)
    address = [words(pen.words.genuine, REGULAR, 2.0, SOFT)]
    if pen.second and scale >= 1.1:
        address.append(words(pen.second.genuine, REGULAR, 2.0, SOFT))
    address.append(_badge(pen.job.domain, 2.7 * scale, wide, centred=centred))
    if centred:
        return [[whose, words(pen.words.title, BOLD, 3.4, INK)], [code, *what[1:]], address]
    return [[whose], [*what], [code], address]


def _height(group: Sequence[Block]) -> float:
    return sum(block.height for block in group)


def _stack(
    canvas: Canvas, groups: Sequence[Sequence[Block]], left: float, top: float, tall: float
) -> None:
    """One below the other, what is free evenly between them."""
    free = tall - sum(_height(group) for group in groups)
    gap = max(0.0, free / max(1, len(groups) - 1))
    y = top
    for group in groups:
        for block in group:
            block.draw(canvas, left, -y)
            y += block.height
        y += gap


def _text(
    text: str, font: str, size: float, wide: float, *, grey: float, lines: int, centred: bool
) -> Block:
    """In one line if that is not much smaller, or else in up to so many."""
    size, shown = _set(text, font, size, wide, lines)

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.setFillGray(grey)
        canvas.setFont(font, size)
        for number, line in enumerate(shown):
            base = y - (number * LINE + 0.92) * size
            if centred:
                canvas.drawCentredString(x + wide / 2, base, line)
            else:
                canvas.drawString(x, base, line)

    return Block(len(shown) * size * LINE, draw)


@lru_cache(maxsize=10_000)  # all labels say the same but for their codes
def _set(text: str, font: str, size: float, wide: float, lines: int) -> tuple[float, list[str]]:
    """The size and the lines; more lines than wanted only where the smallest size needs them."""
    for allowed in range(1, lines + 1):
        tried = max(SMALLEST, size)
        least = SMALLEST if allowed == lines else max(SMALLEST, 0.72 * size)
        while True:
            shown = _broken(text, font, tried, wide)
            if len(shown) <= allowed:
                return tried, shown
            if tried <= least:
                break
            tried = max(least, 0.96 * tried)
    return tried, shown


def _width(text: str, font: str, size: float) -> float:
    return float(pdfmetrics.stringWidth(text, font, size))


def _broken(text: str, font: str, size: float, wide: float) -> list[str]:
    """Into lines that are not too wide; a long word breaks anywhere."""
    lines, line = [], ""
    for piece in _pieces(text):
        if line and _width((line + piece).rstrip(), font, size) > wide:
            lines.append(line.rstrip())
            line = ""
        line += piece
        while _width(line.rstrip(), font, size) > wide and len(line) > 8:
            fits = next(n for n in range(len(line), 0, -1) if _width(line[:n], font, size) <= wide)
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line.rstrip()]


def _pieces(text: str) -> list[str]:
    """Where a line may end: behind a blank, a code's separator and a domain's dot or hyphen."""
    return [piece for piece in re.split(r"(?<=[ *.-])", text) if piece]


def _badge(domain: str, size: float, wide: float, *, centred: bool) -> Block:
    """The domain, white in a dark bar: the one line to compare with the phone."""
    inset, above = 0.55 * size, 0.7
    size, lines = _set(domain, BOLD, size, wide - 2 * inset, 2)
    length = max(_width(line, BOLD, size) for line in lines) + 2 * inset
    height = (len(lines) * LINE + 0.44) * size

    def draw(canvas: Canvas, x: float, y: float) -> None:
        left = x + (wide - length) / 2 if centred else x
        canvas.setFillGray(INK)
        canvas.roundRect(left, y - above - height, length, height, size * 0.35, stroke=0, fill=1)
        canvas.setFillGray(PAPER)
        canvas.setFont(BOLD, size)
        for number, line in enumerate(lines):
            canvas.drawString(left + inset, y - above - (number * LINE + 1.1) * size, line)

    return Block(height + above, draw)


def _picture(logo: tuple[int, int], wide: float, tall: float, *, centred: bool) -> Block:
    per_pixel = min(wide / logo[0], tall / logo[1])
    width, height = logo[0] * per_pixel, logo[1] * per_pixel

    def draw(canvas: Canvas, x: float, y: float) -> None:
        canvas.saveState()
        canvas.translate(x + (wide - width) / 2 if centred else x, y - height)
        canvas.scale(width, height)
        canvas.doForm("logo")
        canvas.restoreState()

    return Block(height + 0.6, draw)


def _symbol(canvas: Canvas, drawn: Any, left: float, top: float, side: float) -> None:
    """With its quiet zone; as one path, so that no viewer shows seams between its bars."""
    modules, _ = drawn.symbol_size(border=drawing.QUIET_ZONE)
    canvas.saveState()
    canvas.translate(left, -top)
    canvas.scale(side / modules, -side / modules)  # modules, downwards: whole numbers are short
    path = canvas.beginPath()
    for x, y, width in drawing.bars(drawn):
        path.rect(x + drawing.QUIET_ZONE, y + drawing.QUIET_ZONE, width, 1)
    canvas.setFillGray(0)
    canvas.drawPath(path, stroke=0, fill=1)
    canvas.restoreState()


if __name__ == "__main__":
    sys.stdout.buffer.write(pdf(Job.model_validate_json(sys.stdin.buffer.read())))
