"""Pure: what an operator decides about its staff, its drivers and its data.

Policies.model_validate(row.policies) reads the stored ones; what was never said has its default.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Policies(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    driver_registration: Literal["closed", "open", "approval"] = Field(
        default="closed",
        description="whether people register themselves as drivers; approval: staff switch "
        "each of them on",
    )
    require_second_factor: Literal["none", "admins", "staff"] = Field(
        default="none", description="who must sign in with more than a password"
    )
    personal_data_days: int | None = Field(
        default=None,
        ge=30,
        le=36_500,
        description="after which what names people in their sessions is removed; null: never",
    )
    invitation_days: int = Field(default=7, ge=1, le=30, description="how long an invitation holds")
    sso_only: bool = Field(
        default=False,
        description="staff sign in by the operator's own provider alone, as long as one is active; "
        "but for logins with break_glass",
    )
