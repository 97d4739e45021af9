"""Settings of billing alone, beside the shared ones."""

from decimal import Decimal

from pydantic import Field

from common import settings


class Settings(settings.Settings):
    # A display needs no more, and each telling reaches every gateway.
    running_cost_every_s: float = Field(
        default=2.0, gt=0, le=3600, description="between two costs of a running session"
    )
    cost_clock_s: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="between two looks for running sessions that cost more though no reading comes",
    )
    # Half an hour at a charger in the street; each step is an update of the account.
    prepaid_step: Decimal = Field(
        default=Decimal(5),
        gt=0,
        description="what a prepaid session holds of its account when it begins, unless its "
        "strategy estimates, and each time that it costs more, in the account's currency",
    )
    # A command may wait for a charger that is busy. What was not read yet is reckoned beside it.
    prepaid_latency_s: int = Field(
        default=120,
        ge=0,
        le=3600,
        description="how long a charger may charge on until the stop of a prepaid session has "
        "reached it; so much earlier it is told",
    )
    prepaid_power_w: int = Field(
        default=22_000,
        ge=1000,
        le=1_000_000,
        description="at which power it may do so, where registry does not say what the EVSE can",
    )
    hold_days: int = Field(
        default=3,
        ge=1,
        le=60,
        description="so long money is held for a prepaid session whose station tells nothing more",
    )
    payment_notices_url: str | None = Field(
        default=None,
        pattern=r"^https?://[!-~]+$",
        description="where payment providers reach billing's REST, https://…, to say that a "
        "payment has changed; without it they are asked again and again",
    )
    payment_notices_per_minute: int = Field(
        default=600,
        ge=0,
        description="notices of payments that a network (/24 of IPv4, /64 of IPv6) may send. Each "
        "replica counts for itself, in memory. 0: no limit",
    )
