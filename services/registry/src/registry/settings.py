"""Settings of registry alone, beside the shared ones."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from common.mail import MailSettings
from common.outbound import check_url


def _callable(url: str) -> str:
    if url:
        check_url(url, allow_private=True)
    return url


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
    map_requests_per_minute: int = Field(
        default=600, ge=0, description="requests of the public map from one network; 0: no limit"
    )
    route_requests_per_minute: int = Field(
        default=60,
        ge=0,
        description="ways to stations and stations along ways that one network may ask for; "
        "0: no limit",
    )
    routing_url: Annotated[str, AfterValidator(_callable)] = Field(
        default="",
        description="an OSRM or Valhalla server that tells apps the way to a station, in your own "
        "network too; without one they get the straight line's length",
    )
    routing_engine: Literal["osrm", "valhalla"] = Field(
        default="osrm", description="what answers at the routing URL"
    )
    qr_requests_per_minute: int = Field(
        default=600,
        ge=0,
        le=100_000,
        description="requests of scanned QR codes and apps, without a token, that a network (/24 "
        "of IPv4, /64 of IPv6) may send; many phones share one. Each replica counts for itself, in "
        "memory. 0: no limit",
    )
