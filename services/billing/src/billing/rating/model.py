"""Pure: what prices are made of. OCPI 2.2.1's tariff model (mod_tariffs), with caps, idle fees and
modifiers beyond it.

Prices are exact decimals in the tariff's currency: ENERGY a kWh, TIME and PARKING_TIME an hour,
FLAT once. Energy is in Wh, times of day are minutes since local midnight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

Dimension = Literal["ENERGY", "TIME", "PARKING_TIME", "FLAT"]
# as_tariff: gross or net as the tariff's prices are; net: for companies, the VAT comes on top of
# the sum; reverse_charge: net, and the customer owes the VAT.
TaxTreatment = Literal["as_tariff", "net", "reverse_charge"]
ENERGY_ONLY: Final = frozenset[Dimension]({"ENERGY"})


@dataclass(frozen=True, slots=True)
class Component:
    type: Dimension
    price: Decimal
    vat_percent: Decimal | None  # None: no VAT applies, which is not 0 %
    step_size: int = 1  # Wh or seconds; 0 counts as 1


@dataclass(frozen=True, slots=True)
class Restrictions:
    """When an element counts; None: always. min_… is inclusive, max_… exclusive."""

    start_minute: int | None = None  # local time of day; end before start wraps over midnight
    end_minute: int | None = None
    start_date: date | None = None  # local; inclusive
    end_date: date | None = None  # exclusive
    weekdays: frozenset[int] | None = None  # 0 is Monday
    min_wh: Decimal | None = None  # of the session so far
    max_wh: Decimal | None = None
    min_current_a: Decimal | None = None
    max_current_a: Decimal | None = None
    min_power_w: Decimal | None = None
    max_power_w: Decimal | None = None
    min_duration_s: int | None = None  # of the session so far
    max_duration_s: int | None = None
    reservation: Literal["RESERVATION", "RESERVATION_EXPIRES"] | None = None


NO_RESTRICTIONS: Final = Restrictions()


@dataclass(frozen=True, slots=True)
class Element:
    components: tuple[Component, ...]
    restrictions: Restrictions = NO_RESTRICTIONS


@dataclass(frozen=True, slots=True)
class Limit:
    """A least or a greatest price of a session; net and gross hold each for itself."""

    excl_vat: Decimal | None
    incl_vat: Decimal | None


@dataclass(frozen=True, slots=True)
class IdleFee:
    """For blocking the place. Minutes count from after_min on, not in the quiet hours."""

    price_per_min: Decimal
    vat_percent: Decimal | None
    after_min: int
    # Since the session began, or since the car stopped asking for power.
    after: Literal["session_start", "charging_end"] = "session_start"
    # parking: only while the car asks for no power; connected: all the time.
    counts: Literal["parking", "connected"] = "parking"
    quiet: tuple[int, int] | None = None  # minutes of the local day, from and to; may wrap
    max_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """One version. tax_included: the prices are gross, for consumers."""

    name: str
    currency: str
    tax_included: bool
    elements: tuple[Element, ...]
    min_price: Limit | None = None
    max_price: Limit | None = None
    # The most that a dimension may cost in one session, as the prices are: net or gross.
    caps: Mapping[Dimension, Decimal] = field(default_factory=dict)
    idle_fee: IdleFee | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """When a modifier counts: from one moment until before another, and by the local clock."""

    from_at: datetime | None = None
    until_at: datetime | None = None
    start_minute: int | None = None  # local time of day; end before start wraps over midnight
    end_minute: int | None = None
    weekdays: frozenset[int] | None = None  # 0 is Monday; of the local day it is


@dataclass(frozen=True, slots=True)
class Quota:
    """What of a modifier is there for this session; what is over it costs as without."""

    unit: Literal["wh", "s", "amount"]  # amount: of money, in the tariff's currency
    left: Decimal


@dataclass(frozen=True, slots=True)
class Modifier:
    """A discount, or a price event, as it is for one session.

    Order: absolute ones (station, station group, user group, user), percentages in the same order,
    then free quotas and events. Each works on what the ones before have left, never below 0.
    exclusive: stands alone; of all that count at a moment the highest priority has its turn first,
    and an exclusive one that comes second is left out.
    """

    id: UUID
    name: str
    scope: Literal["station", "station_group", "user_group", "user", "event"]
    # absolute: off the price of a unit (kWh, hour, session); percent: off what is left; price: the
    # unit costs this instead; free: costs nothing.
    kind: Literal["absolute", "percent", "price", "free"]
    amount: Decimal = Decimal(0)
    components: frozenset[Dimension] = ENERGY_ONLY
    window: Window = Window()
    exclusive: bool = False
    priority: int = 0
    quota: Quota | None = None
