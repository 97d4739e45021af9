"""Sums of final records by month, station and more: for people, and as CSV for their sheets.

A session counts for the local day of its end, in the time zone its record carries. Rows are read
page by page in the order of their keys; each page sums only what comes after the page before.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    String,
    and_,
    cast,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.responses import Response

from common import paging
from common.auth import Caller, Principal, scoped
from common.database import Connections, Db
from common.money import Currency, Money, plain
from common.paging import InvalidCursor, Limit, Page
from common.problems import Problem
from reporting.tables import Card, Fact, Location, Person, Station

router = APIRouter(prefix="/v1/breakdowns", tags=["breakdowns"])


class UnknownBreakdown(Problem):
    status = 422
    title = "Unknown breakdown"


Sums = Select[*tuple[Any, ...]]


@dataclass(frozen=True)
class Dimension:
    """key: text, never null ("" is none: no user, say). name: what people call it, if they do."""

    key: ColumnElement[str]
    key_field: str
    name: InstrumentedAttribute[str] | None = None
    name_field: str = ""


def _text(column: Any) -> ColumnElement[str]:
    return func.coalesce(cast(column, String), literal_column("''"))


# The place of a record if it is told, else where its station stands now.
_LOCATION_ID = func.coalesce(Fact.location_id, Station.location_id)

DIMENSIONS: Final = {
    # Literals, not parameters: GROUP BY must see the very expression that is selected.
    "month": Dimension(func.to_char(Fact.ended_on, literal_column("'YYYY-MM'")), "month"),
    "station": Dimension(Fact.station_id.expression, "station_id", Station.name, "station_name"),
    "location": Dimension(_text(_LOCATION_ID), "location_id", Location.name, "location_name"),
    "user": Dimension(_text(Fact.user_id), "user_id", Person.name, "user_name"),
    "card": Dimension(_text(Fact.card_id), "card_id", Card.uid, "card_uid"),
}
# Source: OWASP, CSV Injection.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


class BreakdownRow(BaseModel):
    """Only the keys that were asked for are there."""

    month: str = Field(default="", examples=["2026-11"])
    station_id: str = ""
    station_name: str | None = None
    location_id: UUID | None = None
    location_name: str | None = None
    user_id: UUID | None = None
    user_name: str | None = None
    card_id: UUID | None = None
    card_uid: str | None = None
    currency: Currency
    sessions: int
    energy_wh: int
    duration_s: int
    total_gross: Money
    total_net: Money
    vat: Money


class Wanted(BaseModel):
    """The query of a breakdown."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(
        default="month",
        max_length=100,
        description="comma list of month, station, location, user, card; the order of the rows",
    )
    from_: date | None = Field(default=None, alias="from", description="local date, inclusive")
    to: date | None = Field(default=None, description="local date, exclusive")
    # PostgreSQL's text cannot hold NUL, not even in a comparison.
    station_id: str | None = Field(default=None, max_length=255, pattern=r"^[^\x00]*$")
    user_id: UUID | None = None
    limit: Limit = paging.LIMIT_DEFAULT
    # Longer than elsewhere: it holds a key of each dimension.
    cursor: str | None = Field(default=None, max_length=2000)


@router.get(
    "",
    summary="Sums by month, station, location, user or card",
    dependencies=[scoped("breakdowns:read")],
    response_model=Page[BreakdownRow],
    response_model_exclude_unset=True,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def list_breakdowns(
    request: Request,
    db: Db,
    caller: Caller,
    wanted: Annotated[Wanted, Query()],
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Page[BreakdownRow] | Response:
    """One row for each combination of the keys and each currency; all of them as text/csv."""
    dimensions = _dimensions(wanted.by)
    query = _sums(dimensions, wanted, caller.operator_id)
    if "text/csv" in accept.lower():
        # The first page is read before the answer begins, so that a failure is still a problem.
        first = await _page(db, query, dimensions, paging.LIMIT_MAX, wanted.cursor)
        connections = request.app.state.connections
        lines = _csv(first, query, dimensions, connections, caller)
        attachment = {"Content-Disposition": 'attachment; filename="breakdown.csv"'}
        return StreamingResponse(lines, media_type="text/csv", headers=attachment)
    rows, after = await _page(db, query, dimensions, wanted.limit, wanted.cursor)
    return Page[BreakdownRow](items=[_row(row) for row in rows], next_cursor=after)


def _dimensions(by: str) -> list[Dimension]:
    names = [name.strip() for name in by.split(",")]
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or len(set(names)) < len(names):
        raise UnknownBreakdown(f"by takes each of {', '.join(DIMENSIONS)} at most once")
    return [DIMENSIONS[name] for name in names]


def _keys(dimensions: Sequence[Dimension]) -> list[ColumnElement[str]]:
    return [*(dimension.key for dimension in dimensions), Fact.currency.expression]


def _key_fields(dimensions: Sequence[Dimension]) -> list[str]:
    return [*(dimension.key_field for dimension in dimensions), "currency"]


def _sums(dimensions: Sequence[Dimension], wanted: Wanted, operator_id: UUID | None) -> Sums:
    """All rows of a breakdown, in the order of their keys."""
    keys = _keys(dimensions)
    columns: list[ColumnElement[Any]] = [
        *(key.label(field) for key, field in zip(keys, _key_fields(dimensions), strict=True)),
        *(func.max(d.name).label(d.name_field) for d in dimensions if d.name is not None),
        func.sum(Fact.sessions).label("sessions"),
        func.sum(Fact.energy_wh).label("energy_wh"),
        func.sum(Fact.duration_s).label("duration_s"),
        func.sum(Fact.total_gross).label("total_gross"),
        func.sum(Fact.total_net).label("total_net"),
        func.sum(Fact.vat).label("vat"),
    ]
    query = (
        select(*columns)
        .select_from(Fact)
        .outerjoin(Station, _same(Station, Station.station_id, Fact.station_id))
        .outerjoin(Location, _same(Location, Location.location_id, _LOCATION_ID))
        .outerjoin(Person, _same(Person, Person.user_id, Fact.user_id))
        .outerjoin(Card, _same(Card, Card.card_id, Fact.card_id))
        .where(*_conditions(wanted, operator_id))
    )
    return query.group_by(*keys).order_by(*keys)


def _conditions(wanted: Wanted, operator_id: UUID | None) -> Iterator[ColumnElement[bool]]:
    yield Fact.review != "pending"
    # Row-level security limits it to the operator too; stated here so that the index is used.
    if operator_id is not None:
        yield Fact.operator_id == operator_id
    if wanted.from_ is not None:
        yield Fact.ended_on >= wanted.from_
    if wanted.to is not None:
        yield Fact.ended_on < wanted.to
    if wanted.station_id is not None:
        yield Fact.station_id == wanted.station_id
    if wanted.user_id is not None:
        yield Fact.user_id == wanted.user_id


def _same(table: Any, key: Any, fact: Any) -> ColumnElement[bool]:
    return and_(table.operator_id == Fact.operator_id, key == fact)


Rows = tuple[Sequence[RowMapping], str | None]


async def _page(
    db: AsyncSession,
    query: Sums,
    dimensions: Sequence[Dimension],
    limit: int,
    cursor: str | None,
) -> Rows:
    """One page of rows, and the cursor to the next. Raises InvalidCursor."""
    if cursor is not None:
        # The keys are columns of the facts, so what is behind the cursor is not even summed.
        query = query.where(tuple_(*_keys(dimensions)) > tuple_(*_decoded(cursor, dimensions)))
    rows = (await db.execute(query.limit(limit + 1))).mappings().all()
    if len(rows) <= limit:
        return rows, None
    last = [rows[limit - 1][field] for field in _key_fields(dimensions)]
    return rows[:limit], paging.encode(json.dumps(last))


def _decoded(cursor: str, dimensions: Sequence[Dimension]) -> list[Any]:
    try:
        keys = json.loads(paging.decode(cursor, str))
    except (ValueError, RecursionError):
        keys = None
    fits = isinstance(keys, list) and len(keys) == len(dimensions) + 1
    if not fits or not all(isinstance(key, str) and key.isprintable() for key in keys):
        raise InvalidCursor("use next_cursor of an earlier page of the same breakdown, unchanged")
    return [literal(key, String) for key in keys]


def _row(row: RowMapping) -> BreakdownRow:
    fields = dict(row)
    for name in ("user_id", "card_id", "location_id"):
        if fields.get(name) == "":
            fields[name] = None
    for name in ("total_gross", "total_net", "vat"):
        fields[name] = Money(amount=fields[name], currency=row["currency"])
    return BreakdownRow.model_validate(fields)


async def _csv(
    first: Rows,
    query: Sums,
    dimensions: Sequence[Dimension],
    connections: Connections,
    caller: Principal,
) -> AsyncIterator[str]:
    """Page by page: a slow reader holds neither memory nor a database connection."""
    columns = [*query.selected_columns.keys()]
    yield _line(columns)
    rows, after = first
    while True:
        yield "".join(_line([_cell(row[name]) for name in columns]) for row in rows)
        if after is None:
            return
        async with connections.acting(caller) as db:
            rows, after = await _page(db, query, dimensions, paging.LIMIT_MAX, after)


def _cell(value: Any) -> str:
    """Names are written by people: what a sheet would run as a formula gets a quote before it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return plain(value) if isinstance(value, Decimal) else str(value)


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
