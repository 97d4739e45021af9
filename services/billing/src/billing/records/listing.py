"""Business records, listed and read."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Text, literal_column, select

from billing import tables
from billing.filters import RecordFilters, of_records
from billing.incidents import Review
from billing.signed.judging import SAYS, Signature
from common import exports, paging
from common.auth import Caller, scoped
from common.authorize import Holder
from common.database import Db
from common.events import RecordKind, RecordLine
from common.money import Currency, Exact, Money
from common.paging import Cursor, Limit, Page
from common.problems import NotFound

router = APIRouter(prefix="/v1/records", tags=["records"])


class TaxOut(BaseModel):
    """In the record's currency."""

    vat_percent: Exact | None = Field(description="null: no VAT applies")
    net: Exact
    vat: Exact
    gross: Exact


RecordSort = Literal["closed_at", "started_at", "ended_at", "energy_wh", "total_gross"]
Order = Literal["asc", "desc"]
# Columns of a file; the lines of a record are in its explanation.
EXPORTED: Final = (
    "id", "kind", "refers_to", "session_id", "transaction_id", "station_id", "evse_id",
    "connector_id", "id_token", "token_status", "card_id", "user_id", "company_id",
    "cost_centre_id", "partner_id", "account_id", "strategy_id", "tariff_id", "agreement_id",
    "started_at", "ended_at", "time_zone", "meter_start_wh", "meter_stop_wh", "energy_wh",
    "stop_reason", "currency", "tax_included", "vat_percent", "total_net", "vat", "total_gross",
    "closed_at", "late", "review", "signature",
)  # fmt: skip
# Of each rate; where only one is known, from before they were kept, that of the record.
TAXES: Final[ColumnElement[str]] = literal_column(
    """
    coalesce(
        (
            select string_agg(
                concat(one ->> 'vat_percent', ':', one ->> 'net', '+', one ->> 'vat'),
                '|' order by place
            )
            from jsonb_array_elements(record.taxes) with ordinality as kept(one, place)
        ),
        concat(trim_scale(record.vat_percent), ':', record.total_net, '+', record.vat)
    )
    """,
    Text,
)


class RecordOut(BaseModel):
    id: UUID
    operator_id: UUID
    kind: RecordKind
    refers_to: UUID | None = Field(description="the record that it cancels or corrects")
    account_id: UUID | None = Field(description="who pays; null: nobody is billed here")
    strategy_id: UUID | None = Field(description="the accounting strategy that priced it")
    session_id: UUID
    transaction_id: str
    station_id: str
    evse_id: int
    connector_id: int
    id_token: str
    card_id: UUID | None
    user_id: UUID | None
    holder: Holder | None
    token_status: str
    started_at: AwareDatetime
    ended_at: AwareDatetime
    time_zone: str
    meter_start_wh: int | None
    meter_stop_wh: int | None
    energy_wh: int
    stop_reason: str | None
    tariff_id: UUID
    agreement_id: UUID | None
    currency: Currency
    tax_included: bool
    vat_percent: Exact | None = Field(description="null: several rates, or no VAT applies")
    taxes: list[TaxOut] | None = Field(description="by rate; null: one rate, from before")
    lines: list[RecordLine]
    total_net: Money
    vat: Money
    total_gross: Money
    closed_at: AwareDatetime
    late: bool = Field(description="closed in a later month than it ended in")
    review: Review
    signature: Signature = Field(description=SAYS)

    model_config = ConfigDict(from_attributes=True)


def out_of(record: tables.Record) -> RecordOut:
    fields = {name: getattr(record, name) for name in RecordOut.model_fields}
    for name in ("total_net", "vat", "total_gross"):
        fields[name] = Money(amount=fields[name], currency=record.currency)
    return RecordOut.model_validate(fields)


class RecordsAsked(RecordFilters):
    sort: RecordSort = Field(default="closed_at", description="closed_at: as they were closed")
    order: Order = "desc"
    limit: Limit = paging.LIMIT_DEFAULT
    cursor: Cursor = None


class RecordsExported(RecordFilters):
    format: exports.Format = "csv"
    separator: exports.Separator = ";"


@router.get("", summary="List business records", dependencies=[scoped("records:read")])
async def list_records(
    db: Db, caller: Caller, wanted: Annotated[RecordsAsked, Query()]
) -> Page[RecordOut]:
    """Newest first, in the order in which they were closed, unless another one is asked for."""
    record = tables.Record
    query = select(record).where(*of_records(wanted, caller))
    descending = wanted.order == "desc"
    place: dict[str, Any] = {"limit": wanted.limit, "cursor": wanted.cursor}
    if wanted.sort == "closed_at":  # ids are given in that order
        found, after = await paging.rows(db, query, record.id, newest_first=descending, **place)
    else:
        by = getattr(record, wanted.sort)
        found, after = await paging.sorted_rows(
            db, query, by, record.id, descending=descending, **place
        )
    return Page[RecordOut](items=[out_of(row) for row in found], next_cursor=after)


@router.get(
    "/export",
    summary="Business records as a file",
    response_class=StreamingResponse,
    responses=exports.RESPONSES,
    dependencies=[scoped("records:read")],
)
async def export_records(
    request: Request, caller: Caller, wanted: Annotated[RecordsExported, Query()]
) -> StreamingResponse:
    """The filters are those of the list. In a spreadsheet 1,048,575 rows at most, and it is written
    before it is sent, so take CSV for many.
    """
    record = tables.Record
    columns = [getattr(record, name).label(name) for name in EXPORTED]
    query = (
        select(*columns, TAXES.label("taxes"))
        .where(*of_records(wanted, caller))
        .order_by(record.id)
    )
    return await exports.answer(
        request, caller, query, name="records", format=wanted.format, separator=wanted.separator
    )


@router.get("/{record_id}", summary="One business record", dependencies=[scoped("records:read")])
async def get_record(record_id: UUID, db: Db) -> RecordOut:
    record = await db.get(tables.Record, record_id)
    if record is None:
        raise NotFound("there is no such record")
    return out_of(record)
