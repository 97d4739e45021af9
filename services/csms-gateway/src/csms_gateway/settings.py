"""Settings of csms-gateway alone, beside the shared ones."""

from pydantic import Field

from common import settings


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
    # OCMF and certificates stay far below this; more is a mistake or an attack.
    ocpp_message_bytes_max: int = Field(
        default=512 * 1024, ge=1024, description="larger ones close it"
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
