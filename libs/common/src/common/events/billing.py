"""What billing tells."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from common.authorize import Holder
from common.events.event import Event, Part, StationId
from common.money import Currency, Exact
from common.places import PlaceKind


class PriceLine(Part):
    """A part of a price in words, in the order in which drivers are to be told them (AFIR)."""

    part: Literal["energy", "time", "session", "other", "discount", "tax"]
    texts: dict[str, str] = Field(description="by language: en, de; ASCII")


class TariffPrices(Part):
    """With a definition the three prices are the highest in it."""

    currency: Currency
    tax_included: bool = Field(description="true: the prices are gross")
    vat_percent: Exact
    energy_price: Exact = Field(description="per kWh")
    time_price: Exact = Field(description="per minute")
    start_fee: Exact = Field(description="once a session")
    definition: dict[str, Any] | None = Field(
        default=None, description="elements, limits, caps, an idle fee, as REST has them (OCPI)"
    )


class TariffChanged(Event):
    """An operator has a tariff from this moment on; before its first none of its cards can charge.
    Told again when it is withdrawn: it will never be valid.
    """

    subject = "csms.tariff.changed.v1"

    tariff_id: UUID
    name: str
    valid_from: AwareDatetime
    prices: TariffPrices | None = Field(default=None, description="None: told before it had them")
    agreed_only: bool = Field(
        default=False, description="for agreements; not one of the operator's own"
    )
    lines: tuple[PriceLine, ...] = Field(default=(), description="(): told before it had them")
    withdrawn: bool = False


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


class StrategyPlace(Part):
    """One of a strategy's tariffs."""

    place: AgreedPlace
    valid_from: date | None = Field(default=None, description="days of the operator's time zone")
    valid_until: date | None = Field(default=None, description="the last day")
    tariff_id: UUID | None = Field(default=None, description="None: the operator's own price")
    priced_from: AwareDatetime | None = Field(
        default=None, description="since when the tariff has a price"
    )


class AccountingStrategyChanged(Event):
    """How accounts pay and by which tariffs, made or changed."""

    subject = "csms.accounting_strategy.changed.v1"

    strategy_id: UUID
    version: int
    name: str
    active: bool = Field(description="if not, it counts for nobody")
    method: Literal["prepaid", "per_session", "monthly", "yearly", "free"]
    tariffs: tuple[StrategyPlace, ...] = ()


class StrategyAssignmentChanged(Event):
    """A company, a user, a user group or everybody was given a strategy, or it was taken away."""

    subject = "csms.strategy_assignment.changed.v1"

    assignment_id: UUID
    version: int
    strategy_id: UUID
    holder_kind: Literal["company", "user", "user_group", "everybody"]
    holder_id: UUID | None = Field(default=None, description="None: everybody")
    priority: int = Field(default=0, description="of user groups: the higher one's counts")
    removed: bool = False


class RecordLine(Part):
    """amount: of the record's total, gross or net as its prices are; may be negative."""

    kind: Literal[
        "energy", "time", "parking", "start", "reservation", "idle", "discount", "event", "cap",
        "minimum", "maximum",
    ]  # fmt: skip
    quantity: Exact
    unit: Literal["kWh", "min", "session"]
    unit_price: Exact
    amount: Exact
    rule: str = Field(description="why this line is there, for people")
    vat_percent: Exact | None = Field(default=None, description="None: no VAT applies")
    modifier_id: UUID | None = Field(default=None, description="the discount or event it is of")


# What cancels a record has its amounts negated; what corrects it has the right ones.
RecordKind = Literal["session", "cancellation", "correction"]


# pending: somebody must decide first, so it is not final; void: nothing counts.
ReviewState = Literal["pending", "valid", "corrected", "void", "none"]


class DisplayPrice(Part):
    """What whoever has no contract pays from now on, as its prices are: gross or net.

    The prices are those of this time of day, with the discounts and events that are for everybody;
    the lines say all of it.
    """

    tariff_id: UUID
    currency: Currency
    tax_included: bool = Field(description="true: the prices are gross")
    vat_percent: Exact | None = Field(description="None: none applies, or there are several")
    energy_price: Exact = Field(description="per kWh")
    time_price: Exact = Field(description="per minute")
    start_fee: Exact = Field(description="once a session")
    free_of_charge: bool = False
    lines: tuple[PriceLine, ...] = ()
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = Field(
        default=None, description="when the clock changes it next; another is told then"
    )


class DisplayPricesChanged(Event):
    """Stations show another price: at all of their EVSEs, to whoever has no contract.

    At most 1,000 stations. Of each the event with the highest version counts.
    """

    subject = "csms.display_price.changed.v1"

    version: int = Field(description="of the operator; only grows")
    station_ids: tuple[StationId, ...]
    price: DisplayPrice | None = Field(description="None: there is none, nobody may charge")


class SessionPriceSet(Event):
    """What a session is charged by: fixed when it begins, told to whoever shows it.

    Told again if another price counts after all: whoever was let in after a refused card, or the
    operator's first tariff, which sessions waited for. The newest counts.
    """

    subject = "csms.session_price.set.v1"

    session_id: UUID
    station_id: StationId
    evse_id: int
    tariff_id: UUID
    method: str = Field(description="how it is paid: prepaid, monthly, …; none: not by the driver")
    free_of_charge: bool
    prices: TariffPrices | None = Field(
        default=None, description="None: they do not say it all; there are conditions or discounts"
    )
    lines: tuple[PriceLine, ...]


class SessionCostUpdated(Event):
    """What a running session costs so far; the newest counts, none is final. No stream keeps it."""

    subject = "csms.session_cost.updated.v1"

    session_id: UUID
    station_id: StationId
    total_gross: Exact
    currency: Currency
    as_of: AwareDatetime | None = Field(
        default=None, description="the charger's time up to which it counts"
    )
    register_wh: int | None = Field(
        default=None, description="the energy register that it rests on; None: the start had none"
    )


class RecordClosed(Event):
    """A session was priced; the whole business record.

    With the review pending it is not final: RecordReviewed follows once somebody has decided.
    """

    subject = "csms.record.closed.v1"

    record_id: UUID
    kind: RecordKind = "session"
    refers_to: UUID | None = Field(default=None, description="the record it cancels or corrects")
    account_id: UUID | None = Field(default=None, description="who pays; None: nobody is billed")
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
    review: ReviewState = Field(default="none", description="none: nobody doubts it")


class RecordReviewed(RecordClosed):
    """Somebody decided about a session that was pending; the record that counted until then, whole.

    It counts from now on. If the review is corrected or void a cancellation takes it back: that,
    and what counts instead, are told as RecordClosed.
    """

    subject = "csms.record.reviewed.v1"


class AccountStandingChanged(Event):
    """Whether an account may pay for another session, told when it is opened and when it flips."""

    subject = "csms.account_standing.changed.v1"

    account_id: UUID
    version: int
    owner_kind: Literal["user", "company", "card", "partner"]
    owner_id: UUID
    currency: Currency
    may_charge: bool
    reason: Literal["no_credit", "blocked", "chargeback", "closed"] | None = Field(
        description="None: it may charge"
    )
    available: Exact | None = Field(
        description="what could be spent when it flipped, bonus and credit included; None: no limit"
    )
