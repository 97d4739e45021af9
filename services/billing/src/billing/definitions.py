"""Pure: tariffs as they are written down: OCPI 2.2.1's elements (mod_tariffs), with caps per
dimension and a fee for blocking the place beyond it.

Decimals are strings (or whole numbers); a JSON number with a point is a float in most writers.
Prices: ENERGY a kWh, TIME and PARKING_TIME an hour, FLAT once a session.
"""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_UP, Decimal
from typing import Annotated, Final, Literal, Self, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from billing.holes import hole, week, weeks
from billing.rating import model
from common.money import Exact, digits, schema

PRICE: Final = "^[0-9]{1,6}([.][0-9]{1,4})?$"
PERCENT: Final = "^[0-9]{1,3}([.][0-9]{1,2})?$"
AMOUNT: Final = "^[0-9]{1,9}([.][0-9]{1,4})?$"
CLOCK: Final = "^([0-1][0-9]|2[0-3]):[0-5][0-9]$"
DayOfWeek = Literal[
    "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY",
]  # fmt: skip
WEEKDAYS: Final[tuple[DayOfWeek, ...]] = get_args(DayOfWeek)


Price = Annotated[Exact, digits(PRICE), schema(PRICE, "0.49")]
Percent = Annotated[Exact, digits(PERCENT), Field(le=100), schema(PERCENT, "19")]
Amount = Annotated[Exact, digits(AMOUNT), schema(AMOUNT, "12")]
Quantity = Annotated[Exact, digits(AMOUNT, whole=True), schema(AMOUNT, "10")]
Clock = Annotated[str, Field(pattern=CLOCK, examples=["22:00"])]
Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]
Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2200, 1, 1))]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PriceComponent(Part):
    type: model.Dimension
    price: Price
    vat: Percent | None = Field(default=None, description="percent; null: no VAT applies")
    step_size: int = Field(default=1, ge=0, le=10**7, description="Wh or seconds")


class TariffRestrictions(Part):
    """All must hold. min_… is inclusive, max_… is not."""

    start_time: Clock | None = Field(default=None, description="local; may wrap over midnight")
    end_time: Clock | None = Field(default=None, description="exclusive; 00:00 is midnight")
    start_date: Day | None = None
    end_date: Day | None = Field(default=None, description="exclusive")
    min_kwh: Quantity | None = Field(default=None, description="of the session so far")
    max_kwh: Quantity | None = None
    min_current: Quantity | None = Field(default=None, description="A, over all phases")
    max_current: Quantity | None = None
    min_power: Quantity | None = Field(default=None, description="kW")
    max_power: Quantity | None = None
    min_duration: Seconds | None = Field(default=None, description="of the session so far")
    max_duration: Seconds | None = None
    day_of_week: Annotated[list[DayOfWeek], Field(min_length=1, max_length=7)] | None = None
    reservation: Literal["RESERVATION", "RESERVATION_EXPIRES"] | None = None

    @model_validator(mode="after")
    def _some_room(self) -> Self:
        for name in ("kwh", "current", "power", "duration"):
            least, below = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if least is not None and below is not None and least >= below:
                raise ValueError(f"min_{name} must be below max_{name}")
        if self.start_date and self.end_date and self.start_date >= self.end_date:
            raise ValueError("start_date must be before end_date")
        return self


class TariffElement(Part):
    price_components: list[PriceComponent] = Field(min_length=1, max_length=4)
    restrictions: TariffRestrictions | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        types = [one.type for one in self.price_components]
        if len(set(types)) < len(types):
            raise ValueError("an element has one price of each type")
        return self


class PriceLimit(Part):
    excl_vat: Amount | None = None
    incl_vat: Amount | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.excl_vat is None and self.incl_vat is None:
            raise ValueError("say excl_vat or incl_vat")
        net, gross = self.excl_vat, self.incl_vat
        if net is not None and gross is not None and net > gross:
            raise ValueError("excl_vat must not be above incl_vat")
        return self


class QuietHours(Part):
    start_time: Clock
    end_time: Clock


class IdleFee(Part):
    """For blocking the place; counted by the second."""

    price_per_min: Price
    vat: Percent | None = None
    after_min: int = Field(ge=0, le=10_080, description="the grace period")
    after: Literal["session_start", "charging_end"] = "session_start"
    counts: Literal["parking", "connected"] = Field(
        default="parking",
        description="parking: only while the car asks for no power; connected: all the time",
    )
    quiet_hours: QuietHours | None = Field(default=None, description="local; costs nothing then")
    max_amount: Amount | None = None


class Caps(Part):
    """The most a dimension costs in one session, net or gross as the prices are."""

    ENERGY: Amount | None = None
    TIME: Amount | None = None
    PARKING_TIME: Amount | None = None


class Definition(Part):
    elements: list[TariffElement] = Field(min_length=1, max_length=100)
    min_price: PriceLimit | None = None
    max_price: PriceLimit | None = None
    caps: Caps | None = None
    idle_fee: IdleFee | None = None
    gaps_are_free: bool = Field(
        default=False,
        description="true: energy that no element names a price for costs nothing",
    )


def problem(of: Definition, since: date) -> str | None:
    """What a new version must not be: with elements that never count, with holes from the day on
    from which it holds. Not of the model, for what was kept once must stay readable.
    """
    for found in (*_unreachable(of.elements), *_limits(of), *_quiet(of.idle_fee)):
        return found
    if of.gaps_are_free:
        return None
    charging = [
        restrictions
        for one in of.elements
        if any(component.type == "ENERGY" for component in one.price_components)
        and (restrictions := compile_restrictions(one.restrictions)).reservation is None
    ]
    return hole(charging, since) if charging else None


def _limits(of: Definition) -> Iterator[str]:
    least, most = of.min_price, of.max_price
    for name in ("excl_vat", "incl_vat"):
        low, high = getattr(least, name, None), getattr(most, name, None)
        if low is not None and high is not None and low > high:
            yield f"min_price {name} is above max_price"
    if least is None or most is None:
        return
    # Of one measure against the other, by the most VAT that there may be.
    factor = 1 + highest(of)["vat_percent"] / 100
    net, gross = least.excl_vat, most.incl_vat
    if net is not None and gross is not None and net * factor > gross:
        yield "min_price excl_vat is with its VAT above max_price incl_vat"
    gross, net = least.incl_vat, most.excl_vat
    if net is not None and gross is not None and gross > net * factor:
        yield "min_price incl_vat is above max_price excl_vat with its VAT"


def _quiet(fee: IdleFee | None) -> Iterator[str]:
    quiet = fee and fee.quiet_hours
    if quiet and quiet.start_time == quiet.end_time:
        yield "quiet_hours are the whole day, so the idle fee would never count: leave one out"


def _unreachable(elements: list[TariffElement]) -> Iterator[str]:
    """Elements none of whose prices can ever count, for those before do wherever they would."""
    seen: dict[str, list[model.Restrictions]] = {}
    for index, element in enumerate(elements):
        restrictions = compile_restrictions(element.restrictions)
        hidden = []
        for component in element.price_components:
            before = seen.setdefault(component.type, [])
            wider = [one for one in before if _holds_wherever(one, restrictions)]
            hidden.append(not week(restrictions) & ~weeks(wider))
            before.append(restrictions)
        if all(hidden):
            yield f"element {index + 1} overlaps: those before it count wherever it would"


def _holds_wherever(wide: model.Restrictions, narrow: model.Restrictions) -> bool:
    """Whether one holds where another does, the clock and the days of the week left aside."""
    # Current and power may be unknown, which is within no limits, not even of 0.
    none = {"min_wh": 0, "min_duration_s": 0, "min_current_a": -1, "min_power_w": -1}
    for name, least in none.items():
        values = [getattr(one, name) for one in (wide, narrow)]
        of_wide, of_narrow = (least if one is None else one for one in values)
        if of_wide > of_narrow:
            return False
    for name in ("max_wh", "max_current_a", "max_power_w", "max_duration_s", "end_date"):
        most, below = getattr(wide, name), getattr(narrow, name)
        if most is not None and (below is None or below > most):
            return False
    if wide.start_date and (narrow.start_date or date.min) < wide.start_date:
        return False
    # What is of any reservation is also of one that expired.
    return wide.reservation == narrow.reservation or (
        wide.reservation == "RESERVATION" and narrow.reservation == "RESERVATION_EXPIRES"
    )


def _minute(clock: str | None) -> int | None:
    return None if clock is None else int(clock[:2]) * 60 + int(clock[3:])


def _kilo(value: Decimal | None) -> Decimal | None:
    return None if value is None else value * 1000


def compile_restrictions(one: TariffRestrictions | None) -> model.Restrictions:
    if one is None:
        return model.NO_RESTRICTIONS
    days = one.day_of_week
    return model.Restrictions(
        start_minute=_minute(one.start_time),
        end_minute=_minute(one.end_time),
        start_date=one.start_date,
        end_date=one.end_date,
        weekdays=frozenset(map(WEEKDAYS.index, days)) if days else None,
        min_wh=_kilo(one.min_kwh),
        max_wh=_kilo(one.max_kwh),
        min_current_a=one.min_current,
        max_current_a=one.max_current,
        min_power_w=_kilo(one.min_power),
        max_power_w=_kilo(one.max_power),
        min_duration_s=one.min_duration,
        max_duration_s=one.max_duration,
        reservation=one.reservation,
    )


def compile_tariff(of: Definition, name: str, currency: str, *, tax_included: bool) -> model.Tariff:
    """What the rating reckons with."""
    elements = tuple(
        model.Element(
            tuple(
                model.Component(c.type, c.price, c.vat, c.step_size) for c in one.price_components
            ),
            compile_restrictions(one.restrictions),
        )
        for one in of.elements
    )
    # Not model_dump: that makes text of decimals.
    caps = {cast("model.Dimension", name): cap for name, cap in of.caps or () if cap is not None}
    return model.Tariff(
        name=name,
        currency=currency,
        tax_included=tax_included,
        elements=elements,
        min_price=_limit(of.min_price),
        max_price=_limit(of.max_price),
        caps=caps,
        idle_fee=_idle(of.idle_fee),
    )


def _limit(one: PriceLimit | None) -> model.Limit | None:
    return None if one is None else model.Limit(one.excl_vat, one.incl_vat)


def _idle(one: IdleFee | None) -> model.IdleFee | None:
    if one is None:
        return None
    quiet = None
    if one.quiet_hours:
        quiet = (_minute(one.quiet_hours.start_time) or 0, _minute(one.quiet_hours.end_time) or 0)
    return model.IdleFee(
        price_per_min=one.price_per_min,
        vat_percent=one.vat,
        after_min=one.after_min,
        after=one.after,
        counts=one.counts,
        quiet=quiet,
        max_amount=one.max_amount,
    )


def highest(of: Definition) -> dict[str, Decimal]:
    """What a kWh, a minute and the start cost at most, and the highest rate of VAT."""
    components = [one for element in of.elements for one in element.price_components]

    def most(*types: model.Dimension) -> Decimal:
        return max((one.price for one in components if one.type in types), default=Decimal(0))

    return {
        "energy_price": most("ENERGY"),
        "time_price": (most("TIME", "PARKING_TIME") / 60).quantize(Decimal("0.0001"), ROUND_UP),
        "start_fee": most("FLAT"),
        "vat_percent": max((one.vat or Decimal(0) for one in components), default=Decimal(0)),
    }


def simple(
    energy_price: Decimal, time_price: Decimal, start_fee: Decimal, vat: Decimal | None
) -> tuple[model.Element, ...]:
    """A price a kWh, a minute of the whole session and a fee at its start."""
    components = [model.Component("ENERGY", energy_price, vat)]
    if time_price:
        components += [model.Component("TIME", time_price * 60, vat)]
        components += [model.Component("PARKING_TIME", time_price * 60, vat)]
    if start_fee:
        components += [model.Component("FLAT", start_fee, vat)]
    return (model.Element(tuple(components)),)
