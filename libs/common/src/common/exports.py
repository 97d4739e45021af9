"""What a query finds as a file: CSV while it is read, XLSX once it is written.

The rows come by a cursor in a transaction of the caller's own, so the walls stand and a list of any
length takes the memory of a batch. It is not the request's: that ends before the answer is sent.
"""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import IO, Annotated, Any, Final, Literal

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from sqlalchemy import Select

from common.auth import Principal
from common.problems import Problem

BATCH: Final = 1000
XLSX_ROWS_MAX: Final = 200_000  # a minute of writing; a spreadsheet holds 1,048,576
CHUNK_BYTES: Final = 64 * 1024
BOM: Final = "\ufeff"  # by which a spreadsheet knows UTF-8
LIST: Final = "|"  # between several values in a cell
# What a spreadsheet takes for a formula, which may send away what else is in the sheet.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Format = Annotated[Literal["csv", "xlsx"], Query(description="CSV in UTF-8, or a spreadsheet")]
Separator = Annotated[Literal[";", ","], Query(description="between the cells of CSV")]
# What OpenAPI says of a route that answers with a file.
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file", "content": {"text/csv": {}, XLSX: {}}}
}


class TooManyRows(Problem):
    status = 422
    title = "Too many rows for a spreadsheet"


async def answer(
    request: Request,
    caller: Principal,
    query: Select[Any],
    *,
    name: str,
    format: Literal["csv", "xlsx"],  # noqa: A002 - as the parameter is called
    separator: str = ";",
) -> StreamingResponse:
    """The rows of a query as a file; the names of its columns are the header.

    Raises TooManyRows, for a spreadsheet alone.
    """
    header = [column.name for column in query.selected_columns]
    batches = _batches(request, caller, query)
    return await written(header, batches, name=name, format=format, separator=separator)


async def written(
    header: Sequence[str],
    batches: AsyncIterator[Sequence[Any]],
    *,
    name: str,
    format: Literal["csv", "xlsx"],  # noqa: A002 - as the parameter is called
    separator: str = ";",
) -> StreamingResponse:
    """Rows that no query finds as they stand, but that are reckoned. Raises TooManyRows."""
    if format == "xlsx":
        body, kind = _read(await _spreadsheet(header, batches)), XLSX
    else:
        body, kind = _csv(header, batches, separator), "text/csv; charset=utf-8"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{format}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(body, media_type=kind, headers=headers)


def cell(value: object) -> str | int:
    """A value as people and an import read it, and no spreadsheet computes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return str(value)


def uncelled(text: str) -> str:
    """What cell was given, of a file that comes back."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


async def _batches(
    request: Request, caller: Principal, query: Select[Any]
) -> AsyncIterator[Sequence[Any]]:
    async with request.app.state.connections.acting(caller) as db:
        result = await db.stream(query.execution_options(yield_per=BATCH))
        async for batch in result.partitions():
            yield batch


async def _csv(
    header: Sequence[str], batches: AsyncIterator[Sequence[Any]], separator: str
) -> AsyncIterator[bytes]:
    yield (BOM + _lines([header], separator)).encode()
    async for batch in batches:
        yield _lines(batch, separator).encode()


def _lines(rows: Iterable[Sequence[Any]], separator: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


async def _spreadsheet(header: Sequence[str], batches: AsyncIterator[Sequence[Any]]) -> IO[bytes]:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(header)
    try:
        count = 0
        async for batch in batches:
            count += len(batch)
            if count > XLSX_ROWS_MAX:
                raise TooManyRows(f"a spreadsheet gets {XLSX_ROWS_MAX} at most; ask for csv")
            await asyncio.to_thread(_append, sheet, batch)
    except BaseException:
        sheet.close()
        sheet._writer.cleanup()  # noqa: SLF001 - its file would stay until the process ends
        raise
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is sent
    await asyncio.to_thread(book.save, file)
    file.seek(0)
    return file


def _append(sheet: Any, rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        sheet.append([_allowed(cell(value)) for value in row])


def _allowed(value: str | int) -> str | int:
    return ILLEGAL_CHARACTERS_RE.sub("", value) if isinstance(value, str) else value


async def _read(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
