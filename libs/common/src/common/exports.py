"""What a query finds as a file: CSV while it is read, XLSX once it is written.

The rows come by a cursor in a transaction of the caller's own, so the walls stand and a list of any
length takes the memory of a batch. It is not the request's: that ends before the answer is sent.
"""

import asyncio
import csv
import io
import re
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Annotated, Any, Final, Literal

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Select
from xlsxwriter import Workbook

from common.auth import Principal
from common.problems import Problem

BATCH: Final = 1000
XLSX_ROWS_MAX: Final = 1_048_575  # what a sheet holds beside its header
XLSX_DIGITS_MAX: Final = 15  # that a spreadsheet's number is exact to, point and sign included
XLSX_TEXT_MAX: Final = 32_767  # characters that a cell holds
CHUNK_BYTES: Final = 64 * 1024
BOM: Final = "\ufeff"  # by which a spreadsheet knows UTF-8
LIST: Final = "|"  # between several values in a cell
# What a spreadsheet takes for a formula, which may send away what else is in the sheet.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Format = Annotated[Literal["csv", "xlsx"], Query(description="CSV in UTF-8, or a spreadsheet")]
Separator = Annotated[Literal[";", ","], Query(description="between the cells of CSV")]
# What no XML may hold (XML 1.0, 2.2). The library escapes some of them; a reader shows that.
NO_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
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
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


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
    """Each row goes to the disk before the next one, so any number takes the memory of one."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is sent
    with tempfile.TemporaryDirectory() as place:
        book = Workbook(file, {"constant_memory": True, "tmpdir": place})
        book.use_zip64()
        sheet = book.add_worksheet()
        try:
            _write(sheet, 0, [header])
            count = 0
            async for batch in batches:
                if count + len(batch) > XLSX_ROWS_MAX:
                    raise TooManyRows(f"a spreadsheet gets {XLSX_ROWS_MAX} at most; ask for csv")
                await asyncio.to_thread(_write, sheet, count + 1, batch)
                count += len(batch)
            await asyncio.to_thread(book.close)
        except BaseException:
            book.fileclosed = True  # so that the library does not complain that nobody closed it
            sheet.row_data_fh.close()
            file.close()
            raise
    file.seek(0)
    return file


def _write(sheet: Any, first: int, rows: Iterable[Sequence[Any]]) -> None:
    for number, row in enumerate(rows, first):
        for column, value in enumerate(row):
            shown = value if isinstance(value, Decimal) else cell(value)
            if isinstance(shown, str):
                if shown:
                    text = NO_XML.sub("", shown)[:XLSX_TEXT_MAX]
                    sheet.write_string(number, column, text)
            elif len(str(shown)) <= XLSX_DIGITS_MAX:
                sheet.write_number(number, column, shown)
            else:
                sheet.write_string(number, column, str(shown))


async def _read(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
