"""Settings of registry alone, beside the shared ones."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from common import settings
from common.outbound import check_url


def _callable(url: str) -> str:
    if url:
        check_url(url, allow_private=True)
    return url


class Settings(settings.Settings):
    ocpp_public_url: str = Field(
        default="ws://127.0.0.1:9000/ocpp",
        pattern="^wss?://",
        description="where chargers reach the gateway; a station's id is appended",
    )
    routing_url: Annotated[str, AfterValidator(_callable)] = Field(
        default="",
        description="an OSRM or Valhalla server that tells apps the way to a station, in your own "
        "network too; without one they get the straight line's length",
    )
    routing_engine: Literal["osrm", "valhalla"] = Field(
        default="osrm", description="what answers at the routing URL"
    )
