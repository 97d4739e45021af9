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
    ocpp_boot_retry_interval_s: int = Field(
        default=60, ge=1, description="told to a pending or rejected charger: boot again after it"
    )
    read_device_model: bool = Field(
        default=True,
        description="ask OCPP 2.x stations for their variables at the first boot of each firmware",
    )
    # OCMF and certificates stay far below this; more is a mistake or an attack.
    ocpp_message_bytes_max: int = Field(
        default=512 * 1024, ge=1024, description="larger ones close it"
    )
    ocpp_call_timeout_s: float = Field(default=30.0, gt=0, description="for a charger to answer us")
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
    notification_keep_days: int = Field(
        default=90, ge=1, description="of what stations tell of themselves"
    )
    customer_information_keep_days: int = Field(
        default=3, ge=1, description="of what stations tell of customers: personal data"
    )
