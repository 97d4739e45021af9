"""The question "may this card charge here now?", asked by the gateway, answered by identity.

One of the two request/reply exceptions over NATS. No answer within TIMEOUT_S is an answer too:
the asker has its own rule for it.
"""

from typing import Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

SUBJECT: Final = "csms.rpc.identity.authorize"
TIMEOUT_S: Final = 2.0  # a driver stands at the charger; most give up an Authorize after some 30 s

# Words that OCPP 1.6 (IdTagInfo) and 2.x (AuthorizationStatusEnumType) share, but for NoCredit,
# which 1.6 is told as Blocked.
AuthorizeStatus = Literal["Accepted", "Blocked", "Expired", "Invalid", "NoCredit"]


class AuthorizeQuestion(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    operator_id: UUID
    station_id: str
    evse_id: int | None = Field(default=None, description="None: not yet known at Authorize")
    id_token: str = Field(description="as the charger sent it; compared without case")


class Holder(BaseModel):
    """Whose card it is at the moment of the answer. A session keeps it: its price and its bill
    follow who held the card when it began, whatever is changed afterwards.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    user_group_ids: tuple[UUID, ...] = Field(default=(), description="of the card's user")
    company_id: UUID | None = None
    company_master: bool = Field(default=False, description="the company's own card")
    cost_centre_id: UUID | None = None
    partner_id: UUID | None = Field(default=None, description="who issued the card")
    accounting_strategy_id: UUID | None = None


class AuthorizeAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    status: AuthorizeStatus
    why: str = Field(description="one sentence for staff, not for the charger")
    # Told whenever the card is known, refused or not: the gateway files the attempt under it.
    card_id: UUID | None = None
    user_id: UUID | None = None
    holder: Holder | None = None
    expires_at: AwareDatetime | None = Field(
        default=None, description="when the card's validity ends; OCPP's expiryDate"
    )
    parent_id_token: str | None = Field(
        default=None,
        description="the card's group: cards of one group end each other's sessions; OCPP 1.6's "
        "parentIdTag, 2.x's groupIdToken",
    )
    master_pass: bool = Field(
        default=False, description="ends any session and begins none (OCPP 2.0.1, C16)"
    )
