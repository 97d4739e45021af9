"""Every event that crosses a service boundary: the published language of the suite.

Subjects are csms.<noun>.<past tense>.v<n>. Handlers may see events twice and in any order, so
entity events carry the whole state and a version that only grows.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.clock import now
from common.ids import uuid7
from common.money import Currency, Exact

StationId = Annotated[str, Field(description="the charger's id in its OCPP URL; unique")]


class Event(BaseModel):
    """A fact, named in the past tense. Fields may be added with a default, never changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]

    id: UUID = Field(default_factory=uuid7)
    occurred_at: AwareDatetime = Field(default_factory=now)
    # None: it concerns the platform or rows of several operators.
    operator_id: UUID | None = None


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# --- identity ---------------------------------------------------------------------------------


class OperatorChanged(Event):
    """An operator was made or changed."""

    subject = "csms.operator.changed.v1"

    version: int
    name: str
    time_zone: str = Field(description="IANA name; days, months and tariffs use it")
    currency: Currency


class UserChanged(Event):
    """A person who charges was made or changed."""

    subject = "csms.user.changed.v1"

    user_id: UUID
    version: int
    name: str
    active: bool


class CardChanged(Event):
    """A card was made, given, blocked or changed."""

    subject = "csms.card.changed.v1"

    card_id: UUID
    version: int
    uid: str = Field(description="upper case")
    user_id: UUID | None
    label: str
    active: bool
    group_id: str | None = Field(
        default=None, description="cards of one group end each other's sessions; upper case"
    )
    master_pass: bool = Field(default=False, description="ends any session and begins none")


# --- registry ---------------------------------------------------------------------------------


class LocationChanged(Event):
    """A location was made or changed."""

    subject = "csms.location.changed.v1"

    location_id: UUID
    version: int
    name: str
    time_zone: str


class Evse(_Part):
    evse_id: int = Field(ge=1, description="1.6: the connector number")
    code: str | None = Field(description="public EVSE id, DE*ABC*E1234")
    max_power_w: int | None
    connectors: int = 1


class StationChanged(Event):
    """A station was made or changed."""

    subject = "csms.station.changed.v1"

    station_id: StationId
    version: int
    name: str
    location_id: UUID | None
    active: bool = Field(description="False: decommissioned; it may no longer connect")
    evses: tuple[Evse, ...]


class StationCredentialSet(Event):
    """A station's password was made or replaced. Only the gateway listens."""

    subject = "csms.station.credential_set.v1"

    station_id: StationId
    version: int
    password_hash: str = Field(description="common.credentials: scheme$salt$hash")


class StationRefused(Event):
    """An unknown station is not wanted; the gateway does not ask about it again until then."""

    subject = "csms.station.refused.v1"

    station_id: StationId
    refused_until: AwareDatetime


# --- csms-gateway -----------------------------------------------------------------------------


class GatewayBeat(Event):
    """A gateway replica lives. Its stations are offline when this stays away."""

    subject = "csms.gateway.beat.v1"

    replica: UUID


class ConnectionReport(_Part):
    """A charger's socket opened or closed; a lower generation is old news."""

    operator_id: UUID
    station_id: StationId
    generation: int
    replica: UUID
    connected: bool
    protocol: str = Field(examples=["ocpp1.6"])
    at: AwareDatetime


class ConnectionsReported(Event):
    """Sockets opened and closed, in batches of any size."""

    subject = "csms.station.connections_reported.v1"

    reports: tuple[ConnectionReport, ...]


class BootReport(_Part):
    """A charger sent BootNotification."""

    operator_id: UUID
    station_id: StationId
    generation: int
    vendor: str
    model: str
    serial_number: str | None
    firmware_version: str | None
    at: AwareDatetime


class BootsReported(Event):
    """Chargers booted, in batches of any size."""

    subject = "csms.station.boots_reported.v1"

    reports: tuple[BootReport, ...]


class StationDiscovered(Event):
    """A station that nobody has made connected. Its operator: whose it is to decide, if anybody's.

    accepted: the gateway has let it in already (lab mode), and only its entry is missing.
    """

    subject = "csms.station.discovered.v1"

    station_id: StationId
    accepted: bool
    address: str
    protocol: str | None = None
    vendor: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None


ConnectorStatus = Literal[
    "available", "occupied", "preparing", "charging", "suspended_ev", "suspended_evse",
    "finishing", "reserved", "unavailable", "faulted",
]  # fmt: skip


class StatusReport(_Part):
    """What a charger said of one connector, in version-neutral words."""

    operator_id: UUID
    station_id: StationId
    generation: int
    evse_id: int = Field(ge=0, description="0: the station itself")
    connector_id: int = Field(ge=0)
    status: ConnectorStatus
    error_code: str | None = None
    vendor_error_code: str | None = None
    info: str | None = None
    reported_at: AwareDatetime = Field(description="the charger's own time, settled")
    received_at: AwareDatetime


class StatusesReported(Event):
    """Connector statuses as they came in, in batches of any size."""

    subject = "csms.status.reported.v1"

    reports: tuple[StatusReport, ...]


class MeterSample(_Part):
    """One reading. Unique by session, sampled_at, measurand, phase, location and context."""

    sampled_at: AwareDatetime
    measurand: str = "Energy.Active.Import.Register"
    value: Exact = Field(description="in unit, as the charger meant it: 12,5 is 12.5")
    unit: str = Field(description="Wh for energy whatever the charger sent; else its own")
    phase: str = ""
    location: str = ""
    context: str = ""


class MeterReport(_Part):
    """The readings of one MeterValues message."""

    operator_id: UUID
    station_id: StationId
    evse_id: int
    session_id: UUID | None = Field(description="None: not part of a session")
    received_at: AwareDatetime
    samples: tuple[MeterSample, ...]


class MeterValuesReported(Event):
    """Meter readings as they came in, in batches of any size, of any stations."""

    subject = "csms.meter.reported.v1"

    reports: tuple[MeterReport, ...]


IncidentKind = Literal[
    "token_refused", "authorization_unavailable", "clock", "unknown_transaction",
    "stop_repeated", "stop_without_start", "stop_matched", "register_backwards",
    "implausible_energy", "start_while_open", "late_meter_values", "delivered_late", "no_tariff",
    "eternal_session", "missing_events", "meter_reading_missing", "seq_no_reused",
]  # fmt: skip


class Incident(_Part):
    """A reason to look at a session before it is invoiced."""

    kind: IncidentKind
    detail: str


class _SessionState(Event):
    session_id: UUID
    transaction_id: str
    station_id: StationId
    evse_id: int
    connector_id: int
    id_token: str = Field(description="as the charger sent it")
    card_id: UUID | None
    user_id: UUID | None
    token_status: str = Field(examples=["Accepted", "Blocked", "Invalid"])
    started_at: AwareDatetime
    meter_start_wh: int | None = Field(description="None: never reported")
    incidents: tuple[Incident, ...] = ()


class SessionStarted(_SessionState):
    """A charger reported the start of a transaction.

    Told again if another driver is accepted after the one that was told had been refused.
    """

    subject = "csms.session.started.v1"


class SessionEnded(_SessionState):
    """A session is over; carries all of it, for the start may arrive later or never."""

    subject = "csms.session.ended.v1"

    ended_at: AwareDatetime
    meter_stop_wh: int | None
    energy_wh: int | None = Field(description="None: cannot be known; never guessed")
    stop_reason: str | None


class IncidentOpened(Event):
    """Something came to light about a session after its start or end was told."""

    subject = "csms.session.incident_opened.v1"

    session_id: UUID
    station_id: StationId
    incident: Incident


# --- billing ----------------------------------------------------------------------------------


class TariffPrices(_Part):
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


class RecordLine(_Part):
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
    started_at: AwareDatetime
    ended_at: AwareDatetime
    time_zone: str
    energy_wh: int
    currency: Currency
    total_gross: Exact
    total_net: Exact
    vat: Exact


EVENTS: dict[str, type[Event]] = {
    event.subject: event
    for event in (
        OperatorChanged, UserChanged, CardChanged, LocationChanged, StationChanged,
        StationCredentialSet, StationRefused, GatewayBeat, ConnectionsReported, BootsReported,
        StationDiscovered,
        StatusesReported, MeterValuesReported, SessionStarted, SessionEnded, IncidentOpened,
        TariffChanged, SessionCostUpdated, RecordClosed,
    )
}  # fmt: skip

# Told over plain NATS: one that is lost is followed by the next. A stream would be full of them.
PASSING: frozenset[str] = frozenset({SessionCostUpdated.subject})
