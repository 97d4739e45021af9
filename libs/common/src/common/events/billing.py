"""What billing tells."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from common.authorize import Holder
from common.events.event import Event, Part, StationId
from common.money import Currency, Exact
from common.places import PlaceKind


class TariffPrices(Part):
    currency: Currency
    tax_included: bool = Field(description="true: the prices are gross")
    vat_percent: Exact
    energy_price: Exact = Field(description="per kWh")
    time_price: Exact = Field(description="per minute")
    start_fee: Exact = Field(description="once a session")


class TariffChanged(Event):
    """An operator has a tariff from this moment on; before it none of its cards can charge."""

    subject = "csms.tariff.changed.v1"

    tariff_id: UUID
    name: str
    valid_from: AwareDatetime
    prices: TariffPrices | None = Field(default=None, description="None: told before it had them")
    agreed_only: bool = Field(
        default=False, description="for agreements; not one of the operator's own"
    )


class AgreedPlace(Part):
    kind: PlaceKind
    id: str | None = Field(default=None, description="None: kind is everywhere")


class AgreementChanged(Event):
    """What a partner and an operator agreed on, made or changed.

    A partner that has one charges only where and when one of its agreements says.
    """

    subject = "csms.agreement.changed.v1"

    agreement_id: UUID
    version: int
    partner_id: UUID
    name: str
    places: tuple[AgreedPlace, ...]
    valid_from: date | None = Field(default=None, description="days of the operator's time zone")
    valid_until: date | None = Field(default=None, description="the last day")
    tariff_id: UUID | None = Field(default=None, description="None: the operator's own price")


class RecordLine(Part):
    kind: Literal["energy", "time", "start"]
    quantity: Exact
    unit: Literal["kWh", "min", "session"]
    unit_price: Exact
    amount: Exact
    rule: str = Field(description="why this line is there, for people")


class SessionCostUpdated(Event):
    """What a running session costs so far; the newest counts, none is final. No stream keeps it."""

    subject = "csms.session_cost.updated.v1"

    session_id: UUID
    station_id: StationId
    total_gross: Exact
    currency: Currency


class RecordClosed(Event):
    """A session was priced; the whole business record."""

    subject = "csms.record.closed.v1"

    record_id: UUID
    session_id: UUID
    station_id: StationId
    evse_id: int
    location_id: UUID | None = None
    card_id: UUID | None
    user_id: UUID | None
    holder: Holder | None = Field(default=None, description="whose card it was at the start")
    agreement_id: UUID | None = Field(default=None, description="that priced it; None: none did")
    started_at: AwareDatetime
    ended_at: AwareDatetime
    time_zone: str
    energy_wh: int
    currency: Currency
    total_gross: Exact
    total_net: Exact
    vat: Exact
