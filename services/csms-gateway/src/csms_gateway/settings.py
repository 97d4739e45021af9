"""Settings of csms-gateway alone, beside the shared ones."""

from typing import Literal
from uuid import UUID

from pydantic import Field, SecretStr

from common import settings


def words(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


class Settings(settings.Settings):
    ocpp_host: str = Field(default="127.0.0.1", description="the address that chargers connect to")
    ocpp_port: int = Field(
        default=9000, description="OCPP of every version, by WebSocket subprotocol"
    )
    # Mobile networks drop idle mappings after minutes, some after one.
    ocpp_ping_s: float = Field(
        default=30.0, gt=0, description="between pings; a socket silent for two of them is dropped"
    )
    ocpp_heartbeat_interval_s: int = Field(
        default=300, ge=1, description="told to chargers at boot"
    )
    ocpp_boot_retry_interval_s: int = Field(
        default=60, ge=1, description="told to a pending or rejected charger: boot again after it"
    )
    read_device_model: bool = Field(
        default=True,
        description="ask OCPP 2.x stations for their variables at the first boot of each firmware, "
        "1.6 ones whether they show costs",
    )
    # OCMF and certificates stay far below this; more is a mistake or an attack.
    ocpp_message_bytes_max: int = Field(
        default=512 * 1024, ge=1024, description="larger ones close it"
    )
    # What has a request in hand is not silent: a herd that comes back at once stays below.
    ocpp_silent_connections_max: int = Field(
        default=1000,
        ge=16,
        description="accepted and without a request yet; for one more the oldest is cut off, of "
        "the address with most",
    )
    ocpp_call_timeout_s: float = Field(default=30.0, gt=0, description="for a charger to answer us")
    # Three missed ones are a dead replica, whose stations must show offline within 60 s.
    gateway_beat_s: float = Field(
        default=10.0, gt=0, le=15, description="between a replica's beats; three missed: it is dead"
    )
    ocpp_drain_s: float = Field(
        default=20.0, ge=1, description="to close all sockets when the gateway stops"
    )
    ocpp_write_timeout_s: float = Field(
        default=30.0, gt=0, description="a charger that takes nothing for so long is dropped"
    )
    command_deadline_s: float = Field(
        default=60.0, gt=0, description="then a command has timed out"
    )
    # Billing prices within a tenth of a second; a display without the sum is no harm.
    final_cost_wait_s: float = Field(
        default=1.0, ge=0, le=10, description="for billing's final sum before a stop is answered"
    )
    # Only to stations that show it; a new sum every few seconds is of no use to a driver.
    cost_update_every_s: float = Field(
        default=30.0, gt=0, le=3600, description="between two CostUpdated of a running session"
    )
    message_log_keep_days: int = Field(
        default=30, ge=1, description="then its partition is dropped"
    )
    # Twice what a DC station with four EVSEs and a reading each ten seconds says.
    message_log_rows_max: int = Field(
        default=200_000, ge=1, description="logged of a station a day; what is more is only counted"
    )
    message_log_bytes_max: int = Field(
        default=100 * 2**20, ge=1024, description="the same in bytes of frames"
    )
    notification_keep_days: int = Field(
        default=90, ge=1, description="of what stations tell of themselves"
    )
    customer_information_keep_days: int = Field(
        default=3, ge=1, description="of what stations tell of customers: personal data"
    )

    # --- who may connect, and certificates ---
    ocpp_tls_port: int | None = Field(
        default=None, description="OCPP over TLS at the gateway itself; none: an ingress does it"
    )
    ocpp_tls_certificate: str = Field(
        default="",
        description="PEM files of the server's certificate chains, apart by commas: an RSA and an "
        "ECDSA one serve every charger; read again when they change",
    )
    ocpp_tls_key: str = Field(default="", description="PEM files of their keys, in the same order")
    ocpp_client_ca: str = Field(
        default="",
        description="PEM file of authorities whose client certificates every operator trusts, "
        "besides its own authority's",
    )
    ocpp_client_certificates: bool = Field(
        default=True, description="ask for client certificates (security profile 3)"
    )
    ocpp_security_profile_0: bool = Field(
        default=False, description="let stations without a password connect if set to profile 0"
    )
    certificate_days: int = Field(default=397, ge=1, le=3650, description="that we sign for")
    certificate_renew_days: int = Field(
        default=30, ge=1, description="before its end a station is asked to renew its certificate"
    )
    unknown_stations: Literal["reject", "pending", "accept"] = Field(
        default="reject",
        description="reject; pending: hold and let staff adopt them; accept: let anybody in, for "
        "laboratories",
    )
    unknown_stations_operator_id: UUID | None = Field(
        default=None, description="whose they are; pending without it: the platform admin's"
    )
    unknown_stations_max: int = Field(
        default=100, ge=1, description="held at once by a replica while pending"
    )
    iso15118_url: str = Field(
        default="",
        description="an ISO 15118 provider's HTTP address; local: sign SECC certificates by an "
        "authority of our own, for tests; empty: none",
    )
    iso15118_token: SecretStr | None = Field(default=None, description="bearer token for it")
    iso15118_roots: str = Field(
        default="", description="PEM file of V2G and MO roots by which contracts are verified"
    )
    ocsp_hosts: str = Field(
        default="",
        description="hosts (host or host:port, apart by commas) that OCSP requests may go to",
    )
