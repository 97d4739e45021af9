"""What partners and webhooks are told of sessions and records: what concerns them, and no names."""

from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.events import RecordKind, RecordLine
from common.money import Currency, Exact


class SessionOutside(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    state: Literal["running", "ended"]
    partner_id: UUID | None
    id_token: str
    token_status: str
    station_id: str
    evse_id: int
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    energy_wh: int | None = Field(description="null: not known, or it runs")
    stop_reason: str | None
    agreement_id: UUID | None


class RecordOutside(BaseModel):
    """Amounts are decimals as strings, in the record's currency."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: RecordKind = Field(
        description="a cancellation takes a record back: its energy and amounts are negative; a "
        "correction counts instead"
    )
    refers_to: UUID | None = Field(description="the record that it cancels or corrects")
    session_id: UUID
    partner_id: UUID | None
    id_token: str
    station_id: str
    evse_id: int
    started_at: AwareDatetime
    ended_at: AwareDatetime
    time_zone: str
    energy_wh: int
    agreement_id: UUID | None
    currency: Currency
    tax_included: bool
    vat_percent: Exact | None = Field(description="null: several rates, or no VAT applies")
    lines: list[RecordLine]
    total_net: Exact
    vat: Exact
    total_gross: Exact


class RecordListed(RecordOutside):
    position: UUID = Field(
        description="in the list; ask with the last one's as `after` for what came later"
    )


def of_row(row: dict[str, Any]) -> RecordOutside:
    """Of a record that is just being written."""
    holder = row["holder"] or {}
    return RecordOutside.model_validate({"partner_id": holder.get("partner_id"), **row})
