"""What people send and read of discounts and price events, and what has no meaning in it."""

from decimal import Decimal
from typing import Any, Final, Literal, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    NaiveDatetime,
    model_validator,
)

from billing import tables
from billing.definitions import Clock, Price
from billing.discounts.applying import DAYS, Day, Kind, QuotaPer, QuotaUnit
from billing.rating.model import Dimension
from common.clock import Moment
from common.fields import Body, Line
from common.money import Currency, CurrencyIn, Exact
from common.places import PlaceIn

NAMED_MAX: Final = 1000
# Local years that can be reckoned with in any time zone, as common.clock has them for moments.
YEARS: Final = range(1970, 2200)

State = Literal["draft", "active", "ended"]


class PersonIn(Body):
    kind: Literal["user", "user_group"]
    id: UUID


class QuotaIn(Body):
    unit: QuotaUnit
    size: Price
    per: QuotaPer = Field(
        description="user_month: of each user, or card without one, in the month of the start; "
        "session: of each session; total: of all together"
    )


BY_THE_CLOCK: Final = "by the clock of the place, so without an offset"


class OfferIn(Body):
    name: Line
    people: list[PersonIn] = Field(
        default=[], max_length=NAMED_MAX, description="any of them; none: everybody"
    )
    places: list[PlaceIn] = Field(
        default=[PlaceIn(kind="everywhere")],
        min_length=1,
        max_length=NAMED_MAX,
        description="any of them",
    )
    kind: Kind = Field(
        description="absolute: `amount` off a kWh, an hour or the session; percent: `amount` per "
        "cent off; price: a kWh, an hour or the session costs `amount` instead; free: nothing"
    )
    amount: Price = Field(
        default="0", validate_default=True, description="net or gross as the tariff's prices are"
    )
    currency: CurrencyIn | None = Field(
        default=None, description="of amounts; with tariffs of another one it does not apply"
    )
    components: list[Dimension] = Field(default=["ENERGY"], min_length=1, max_length=4)
    valid_from: NaiveDatetime | None = Field(default=None, description=f"from then; {BY_THE_CLOCK}")
    valid_until: NaiveDatetime | None = Field(
        default=None, description=f"until before; {BY_THE_CLOCK}"
    )
    weekdays: list[Day] = Field(
        default=[], max_length=7, description="none: every day; of the hours after midnight the new"
    )
    time_from: Clock | None = Field(default=None, examples=["12:00"])
    time_until: Clock | None = Field(
        default=None, description="before time_from: over midnight", examples=["18:00"]
    )
    exclusive: bool = Field(
        default=False, description="stands alone, if none of a higher priority comes first"
    )
    priority: int = Field(default=0, ge=-1000, le=1000)
    quota: QuotaIn | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for fault in (_of_amounts(self), _of_times(self), _of_quota(self)):
            if fault:
                raise ValueError(fault)
        for named in (self.people, self.places, self.components, self.weekdays):
            if len({str(one) for one in named}) < len(named):
                raise ValueError("name each one once")
        return self


def _of_amounts(body: OfferIn) -> str | None:
    """The fault in what it takes off, if there is one."""
    amount = Decimal(body.amount)
    of_money = body.kind in ("absolute", "price") or (
        body.quota is not None and body.quota.unit == "amount"
    )
    if of_money != (body.currency is not None):
        return "a currency belongs to amounts of money, and to nothing else"
    if body.kind == "free" and amount:
        return "what is free has no amount"
    if body.kind in ("absolute", "percent") and not amount:
        return "say the amount"
    if body.kind == "percent" and amount > 100:
        return "at most 100 per cent"
    units = {"hour" if one.endswith("TIME") else one for one in body.components}
    if body.kind in ("absolute", "price") and len(units) > 1:
        return "one amount for kWh, hours and sessions has no meaning: make one of each"
    return None


def _of_times(body: OfferIn) -> str | None:
    ends = [one for one in (body.valid_from, body.valid_until) if one is not None]
    if any(one.year not in YEARS for one in ends):
        return "no such time can be reckoned with"
    if len(ends) == 2 and ends[0] >= ends[1]:
        return "it would end before it begins"
    if (body.time_from is None) != (body.time_until is None):
        return "a time of day has two ends"
    if body.time_from is not None and body.time_from == body.time_until:
        return "for all day leave the times out"
    return None


def _of_quota(body: OfferIn) -> str | None:
    if body.quota is None:
        return None
    unit, size = body.quota.unit, Decimal(body.quota.size)
    if not size:
        return "a quota of nothing"
    if unit == "sessions" and (body.quota.per == "session" or size % 1):
        return "sessions are counted by user and month or in total, in whole numbers"
    of_unit = {"kwh": {"ENERGY"}, "minutes": {"TIME", "PARKING_TIME"}}.get(unit)
    if of_unit and not set(body.components) <= of_unit:
        return f"a quota of {unit} is for {' and '.join(sorted(of_unit))} alone"
    return None


class QuotaOut(BaseModel):
    unit: QuotaUnit
    size: Exact
    per: QuotaPer


class OfferOut(BaseModel):
    id: UUID
    operator_id: UUID
    state: State
    name: str
    people: list[PersonIn]
    places: list[PlaceIn]
    kind: Kind
    amount: Exact
    currency: Currency | None
    components: list[Dimension]
    valid_from: NaiveDatetime | None
    valid_until: NaiveDatetime | None
    weekdays: list[Day]
    time_from: str | None
    time_until: str | None
    exclusive: bool
    priority: int
    quota: QuotaOut | None
    made_at: AwareDatetime
    activated_at: AwareDatetime | None
    ends_at: AwareDatetime | None = Field(description="if it was ended before its time")
    version: int


class EndIn(Body):
    at: Moment | None = Field(default=None, description="default: now")


def columns_of(body: OfferIn) -> dict[str, Any]:
    plain = body.model_dump(exclude={"people", "places", "quota"})
    quota = body.quota.model_dump() if body.quota else dict.fromkeys(QuotaIn.model_fields)
    return plain | {
        "amount": Decimal(plain["amount"]),
        "people": [f"{one.kind}:{one.id}" for one in body.people],
        "places": [f"{one.kind}:{one.id or ''}" for one in body.places],
        "weekdays": sorted(body.weekdays, key=DAYS.index),
        **{f"quota_{name}": value for name, value in quota.items()},
    }


def out_fields(row: tables.Discount, state: State) -> dict[str, Any]:
    """Of any model that is made of OfferOut."""
    quota = None
    if row.quota_unit is not None:
        quota = {name: getattr(row, f"quota_{name}") for name in QuotaOut.model_fields}
    people = (one.partition(":") for one in row.people)
    places = (one.partition(":") for one in row.places)
    same = {name for name in OfferOut.model_fields if hasattr(tables.Discount, name)}
    return {name: getattr(row, name) for name in same} | {
        "strategy_id": row.strategy_id,
        "state": state,
        "people": [{"kind": kind, "id": named} for kind, _, named in people],
        "places": [{"kind": kind, "id": named or None} for kind, _, named in places],
        "quota": quota,
    }
