"""Settings of billing alone, beside the shared ones."""

from pydantic import Field

from common import settings


class Settings(settings.Settings):
    # A display needs no more, and each telling reaches every gateway.
    running_cost_every_s: float = Field(
        default=2.0, gt=0, le=3600, description="between two costs of a running session"
    )
