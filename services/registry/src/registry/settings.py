"""Settings of registry alone, beside the shared ones."""

from pydantic import Field

from common import settings


class Settings(settings.Settings):
    ocpp_public_url: str = Field(
        default="ws://127.0.0.1:9000/ocpp",
        pattern="^wss?://",
        description="where chargers reach the gateway; a station's id is appended",
    )
