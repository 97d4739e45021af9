"""How a file of rows comes in to be imported: of a known type, bounded, and few at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fastapi import Request

from common import uploads
from common.exports import XLSX
from common.problems import Problem

FILE_BYTES_MAX: Final = 32 * 2**20
AT_ONCE_MAX: Final = 2  # files being read, each of which takes some 500 MB and a processor
TYPES: Final = ("text/csv", XLSX, "application/octet-stream")
UNDER_WAY: Final[set[object]] = set()

# What OpenAPI says of a route that takes such a file.
BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "CSV or XLSX, 32 MiB at most",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
    }
}


class FileTooLarge(Problem):
    status = 413
    title = "The file is too large"


class FileTypeUnknown(Problem):
    status = 415
    title = "Not a type of file that is imported"


class FileUnreadable(Problem):
    """line: where it was noticed, if it is a line's fault."""

    status = 422
    title = "The file cannot be read"


class ImportsBusy(Problem):
    status = 503
    title = "Other files are being read"
    headers = {"Retry-After": "10"}  # noqa: RUF012 - a constant of the class


@contextmanager
def turn() -> Iterator[None]:
    """While a file is read and planned. Raises ImportsBusy."""
    if len(UNDER_WAY) >= AT_ONCE_MAX:
        raise ImportsBusy("try again in some seconds")
    mine = object()
    UNDER_WAY.add(mine)
    try:
        yield
    finally:
        UNDER_WAY.discard(mine)


def check_type(request: Request) -> None:
    """Raises FileTypeUnknown."""
    kind = request.headers.get("content-type", TYPES[-1]).partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise FileTypeUnknown(f"send the file itself as {' or '.join(TYPES)}")


async def file(request: Request) -> bytes:
    """Raises FileTooLarge."""
    too_large = FileTooLarge(f"{FILE_BYTES_MAX} bytes at most; send several files")
    return await uploads.body(request, FILE_BYTES_MAX, too_large)
