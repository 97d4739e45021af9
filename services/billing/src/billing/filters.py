"""What sessions and records are looked for by, the same for lists and files."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, func, or_, select

from billing import tables
from billing.incidents import Review
from common.auth import Principal
from common.clock import Moment
from common.events import RecordKind
from common.money import Currency

# PostgreSQL's text cannot hold NUL, not even in a comparison.
OfStation = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]
Text = Annotated[str | None, Field(max_length=255, pattern=r"^[^\x00]*$")]
Wh = Annotated[int | None, Field(ge=-(2**53), le=2**53)]
Amount = Annotated[Decimal | None, Field(max_digits=20, decimal_places=10)]

State = Literal["running", "ended"]
# Parameters that are a column of the same name, in which they are equal.
EQUAL: Final = (
    "station_id", "evse_id", "user_id", "card_id", "company_id", "cost_centre_id", "partner_id",
    "account_id", "strategy_id", "tariff_id", "agreement_id", "transaction_id",
)  # fmt: skip
OF_RECORD: Final = ("kind", "session_id", "currency", "late")


class Filters(BaseModel):
    """All of them together must hold. A slip in a name would find everything, so it is refused."""

    model_config = ConfigDict(extra="forbid")

    station_id: Text = None
    evse_id: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    station_group_id: UUID | None = Field(default=None, description="the station is in it now")
    location_id: UUID | None = Field(default=None, description="the station stands there now")
    user_id: UUID | None = None
    user_group_id: UUID | None = Field(default=None, description="of the user when it began")
    card_id: UUID | None = None
    company_id: UUID | None = None
    cost_centre_id: UUID | None = None
    partner_id: UUID | None = None
    account_id: UUID | None = None
    strategy_id: UUID | None = None
    tariff_id: UUID | None = Field(default=None, description="this version of a tariff")
    series_id: UUID | None = Field(default=None, description="any version of this tariff")
    agreement_id: UUID | None = None
    transaction_id: Text = None
    text: Text = Field(default=None, description="a transaction id or a card's token, the whole")
    started_from: Moment | None = Field(default=None, description="inclusive")
    started_to: Moment | None = Field(default=None, description="exclusive")
    ended_from: Moment | None = Field(default=None, description="inclusive")
    ended_to: Moment | None = Field(default=None, description="exclusive")
    energy_min_wh: Wh = Field(default=None, description="inclusive")
    energy_max_wh: Wh = Field(default=None, description="inclusive")
    review: Review | None = None


class SessionFilters(Filters):
    state: State | None = None


class RecordFilters(Filters):
    kind: RecordKind | None = None
    session_id: UUID | None = None
    late: bool | None = Field(default=None, description="closed in a later month than it ended in")
    currency: Currency | None = None
    gross_min: Amount = Field(default=None, description="inclusive, of total_gross")
    gross_max: Amount = Field(default=None, description="inclusive, of total_gross")


def of_sessions(wanted: SessionFilters, caller: Principal) -> list[ColumnElement[bool]]:
    session = tables.Session
    found = [*_shared(session, session.id, wanted, caller)]
    if wanted.state is not None:
        found.append(session.state == wanted.state)
    return found


def of_records(wanted: RecordFilters, caller: Principal) -> list[ColumnElement[bool]]:
    record = tables.Record
    found = [*_shared(record, record.session_id, wanted, caller)]
    asked = {name: getattr(wanted, name) for name in OF_RECORD}
    found += [getattr(record, name) == value for name, value in asked.items() if value is not None]
    return [*found, *_between(record.total_gross, wanted.gross_min, wanted.gross_max)]


def _shared(
    table: Any, session_id: Any, wanted: Filters, caller: Principal
) -> Iterator[ColumnElement[bool]]:
    if caller.operator_id is not None:
        # Row-level security does the same; stated here so that the index is used.
        yield table.operator_id == caller.operator_id
    for name in EQUAL:
        if (value := getattr(wanted, name)) is not None:
            yield getattr(table, name) == value
    yield from _when(table, wanted)
    yield from _between(table.energy_wh, wanted.energy_min_wh, wanted.energy_max_wh)
    yield from _of_people(table, wanted)
    yield from _of_places(table, wanted)
    if wanted.series_id is not None:
        tariff = tables.Tariff
        versions = select(tariff.id).where(tariff.series_id == wanted.series_id)
        yield table.tariff_id.in_(versions)
    if wanted.review == "pending":
        incident = tables.Incident
        waiting = select(incident.session_id).where(incident.decided_at.is_(None))
        if caller.operator_id is not None:
            waiting = waiting.where(incident.operator_id == caller.operator_id)
        yield session_id.in_(waiting)
    elif wanted.review is not None:
        yield table.review == wanted.review


def _when(table: Any, wanted: Filters) -> Iterator[ColumnElement[bool]]:
    for name in ("started", "ended"):
        moment = getattr(table, f"{name}_at")
        if (begin := getattr(wanted, f"{name}_from")) is not None:
            yield moment >= begin
        if (end := getattr(wanted, f"{name}_to")) is not None:
            yield moment < end


def _of_people(table: Any, wanted: Filters) -> Iterator[ColumnElement[bool]]:
    if wanted.user_group_id is not None:
        # As the index has it.
        yield table.holder.op("->")("user_group_ids").op("@>")(
            func.jsonb_build_array(str(wanted.user_group_id))
        )
    if wanted.text is not None:
        token = func.upper(table.id_token) == wanted.text.upper()
        yield or_(token, table.transaction_id == wanted.text)


def _of_places(table: Any, wanted: Filters) -> Iterator[ColumnElement[bool]]:
    if wanted.station_group_id is not None:
        member = tables.StationGroupMember
        yield table.station_id.in_(
            select(member.station_id).where(
                member.group_id == wanted.station_group_id, member.member
            )
        )
    if wanted.location_id is not None:
        station = tables.Station
        yield table.station_id.in_(
            select(station.station_id).where(station.location_id == wanted.location_id)
        )


def _between(column: Any, least: Any, most: Any) -> Iterator[ColumnElement[bool]]:
    if least is not None:
        yield column >= least
    if most is not None:
        yield column <= most
