"""What csms-gateway tells."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from common.authorize import Holder
from common.events.event import Event, Part, StationId
from common.money import Exact


class GatewayBeat(Event):
    """A gateway replica lives. Its stations are offline when this stays away."""

    subject = "csms.gateway.beat.v1"

    replica: UUID


class ConnectionReport(Part):
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


class BootReport(Part):
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


class StatusReport(Part):
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


ChargingState = Literal["charging", "suspended_ev", "suspended_evse", "connected", "idle"]


class ChargingStateReport(Part):
    """Whether the car of a session took power from a moment on. Unique by session and moment."""

    operator_id: UUID
    station_id: StationId
    evse_id: int = Field(ge=0, description="0: the charger has not said")
    session_id: UUID
    at: AwareDatetime = Field(
        description="the charger's own time, settled; may be before the session"
    )
    received_at: AwareDatetime = Field(description="of two at one moment the later one counts")
    state: ChargingState = Field(
        description="suspended_ev: the car asks for none; suspended_evse: the station gives none"
    )


class ChargingStatesReported(Event):
    """Charging states of running sessions as they changed, in batches of any size."""

    subject = "csms.charging_state.reported.v1"

    reports: tuple[ChargingStateReport, ...]


class MeterSample(Part):
    """One reading. Unique by session, sampled_at, measurand, phase, location and context."""

    sampled_at: AwareDatetime
    measurand: str = "Energy.Active.Import.Register"
    value: Exact = Field(description="in unit, as the charger meant it: 12,5 is 12.5")
    unit: str = Field(description="Wh for energy whatever the charger sent; else its own")
    phase: str = ""
    location: str = ""
    context: str = ""


class MeterReport(Part):
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


class SignedReading(Part):
    """A reading as the meter signed it: evidence, told byte for byte."""

    sampled_at: AwareDatetime = Field(description="the charger's own time, settled")
    context: str = Field(examples=["Transaction.Begin"], description="empty: not said")
    measurand: str = Field(description="empty: not said")
    data: str = Field(
        description="as the charger sent it: OCMF or another format, plain or encoded"
    )
    signing_method: str | None
    encoding_method: str | None = Field(examples=["OCMF"])
    public_key: str | None = Field(description="as the charger sent it; nothing is verified by it")


class SignedReadingsReported(Event):
    """Signed readings of one message, or some of them: one with more is told in several events.

    A reading is unique by message and its place in it, counted from first.
    """

    subject = "csms.session.signed_readings_reported.v1"

    station_id: StationId
    evse_id: int
    session_id: UUID
    message_id: UUID
    first: int = Field(ge=0, description="the place of the first of them in the message")
    received_at: AwareDatetime
    readings: tuple[SignedReading, ...]


IncidentKind = Literal[
    "token_refused", "authorization_unavailable", "clock", "unknown_transaction",
    "stop_repeated", "stop_without_start", "stop_matched", "register_backwards",
    "implausible_energy", "start_while_open", "late_meter_values", "delivered_late", "no_tariff",
    "eternal_session", "missing_events", "meter_reading_missing", "seq_no_reused",
    "energy_unknown",
    "signature_invalid",
]  # fmt: skip


class Incident(Part):
    """A reason to look at a session before it is invoiced."""

    kind: IncidentKind
    detail: str


class SessionState(Event):
    session_id: UUID
    transaction_id: str
    station_id: StationId
    evse_id: int
    connector_id: int
    id_token: str = Field(description="as the charger sent it")
    card_id: UUID | None
    user_id: UUID | None
    holder: Holder | None = Field(default=None, description="whose card it was at the start")
    token_status: str = Field(examples=["Accepted", "Blocked", "Invalid"])
    started_at: AwareDatetime
    meter_start_wh: int | None = Field(description="None: never reported")
    incidents: tuple[Incident, ...] = ()


class SessionStarted(SessionState):
    """A charger reported the start of a transaction.

    Told again if another driver is accepted after the one that was told had been refused.
    """

    subject = "csms.session.started.v1"


class SessionEnded(SessionState):
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
