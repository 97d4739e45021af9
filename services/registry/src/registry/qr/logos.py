"""Pure: an operator's logo as labels print it: drawn anew on white, so that of the file that
somebody sent nothing is kept but its pixels.
"""

import io
from typing import Final, NamedTuple

from PIL import Image, UnidentifiedImageError

BYTES_MAX: Final = 1024 * 1024
SENT_SIDE_MAX: Final = 4096  # 64 MiB while it is decoded
SIDE_MAX: Final = 1200  # 600 dots an inch on a label's 50 mm
KINDS: Final = ("PNG", "JPEG")


class Logo(NamedTuple):
    png: bytes
    width: int
    height: int


def of(data: bytes) -> Logo:
    """Raises ValueError for what is no such image, cut short or of no good size."""
    try:
        with Image.open(io.BytesIO(data), formats=KINDS) as sent:
            # Only the header is read until now.
            if max(sent.size) > SENT_SIDE_MAX:
                raise ValueError(f"a logo has at most {SENT_SIDE_MAX} pixels a side")
            drawn = _on_white(sent)
    except UnidentifiedImageError:
        raise ValueError("not a PNG or JPEG image") from None
    except (OSError, SyntaxError, EOFError) as error:  # what Pillow raises for broken files
        raise ValueError("the image is broken") from error
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return Logo(file.getvalue(), *drawn.size)


def _on_white(sent: Image.Image) -> Image.Image:
    sent.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.LANCZOS)
    coloured = sent.convert("RGBA")
    white = Image.new("RGBA", coloured.size, "white")
    white.alpha_composite(coloured)
    return white.convert("RGB")
