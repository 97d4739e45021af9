"""Settings of registry alone, beside the shared ones."""

from pydantic import Field

from common.mail import MailSettings


class Settings(MailSettings):
    ocpp_public_url: str = Field(
        default="ws://127.0.0.1:9000/ocpp",
        pattern="^wss?://",
        description="where chargers reach the gateway; a station's id is appended",
    )
    alerts_every_s: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="between two looks for stations that are offline or faulted; four of these for "
        "those that often fail, twenty for those that are not used",
    )
    alert_bundle_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="what a rule finds meanwhile is told in one mail",
    )
    qr_requests_per_minute: int = Field(
        default=600,
        ge=0,
        le=100_000,
        description="requests of scanned QR codes and apps, without a token, that a network (/24 "
        "of IPv4, /64 of IPv6) may send; many phones share one. Each replica counts for itself, in "
        "memory. 0: no limit",
    )
