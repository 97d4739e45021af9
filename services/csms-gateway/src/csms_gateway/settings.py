"""Settings of csms-gateway alone, beside the shared ones."""

from common import settings


class Settings(settings.Settings):
    ocpp_host: str = "127.0.0.1"
    ocpp_port: int = 9000
    # Mobile networks drop idle mappings after minutes, some after one.
    ocpp_ping_s: float = 30.0
    ocpp_heartbeat_interval_s: int = 300
    # OCMF and certificates stay far below this; more is a mistake or an attack.
    ocpp_message_bytes_max: int = 512 * 1024
    ocpp_call_timeout_s: float = 30.0
    command_deadline_s: float = 60.0
    message_log_keep_days: int = 30
