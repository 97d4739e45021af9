"""What anybody may know of a station: these models and columns, and nothing else.

This read crosses operators on purpose, so it is one list in one place. No vendor, model or serial
number, no error codes, no sessions, and nothing that anybody is.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import Row, text

from common.events import ConnectorStatus, DisplayPrice, PriceLine
from common.money import Currency, Exact, plain
from registry.hardware.models import PowerType, Standard
from registry.public_map.index import BIT, Entry, Offer
from registry.public_map.sphere import Point

# A station is public if it works, its place is, and people know where that is.
PUBLIC: Final = """
s.active
and l.publish
and l.latitude is not null and l.longitude is not null
"""

CONNECTORS: Final = """
select json_agg(json_build_object(
    'connector_id', c.connector_id, 'standard', c.standard, 'format', c.format,
    'power_type', c.power_type, 'status', t.status
) order by c.connector_id)
from connector c left join connector_live t
on t.operator_id = c.operator_id and t.station_id = c.station_id and t.evse_id = c.evse_id
and t.connector_id = c.connector_id
where c.operator_id = e.operator_id and c.station_id = e.station_id and c.evse_id = e.evse_id
"""
EVSES: Final = f"""
select json_agg(json_build_object(
    'evse_id', e.evse_id, 'code', e.code, 'max_power_w', e.max_power_w,
    'connectors', ({CONNECTORS})
) order by e.evse_id)::text
from evse e where e.operator_id = s.operator_id and e.station_id = s.id
"""  # noqa: S608 - constants
STATIONS: Final = f"""
select s.id, s.operator_id, s.name, l.name as location_name, l.street, l.postal_code, l.city,
    l.country, l.latitude::float8 as latitude, l.longitude::float8 as longitude,
    case when v.connected then v.replica end as replica, own.status as own_status,
    d.station_id is not null as displayed, d.shown::text as display,
    ({EVSES}) as evses
from station s
join location l on l.operator_id = s.operator_id and l.id = s.location_id
left join station_live v on v.operator_id = s.operator_id and v.station_id = s.id
left join connector_live own on own.operator_id = s.operator_id and own.station_id = s.id
    and own.evse_id = 0 and own.connector_id = 0
left join display_price d on d.operator_id = s.operator_id and d.station_id = s.id
where {PUBLIC}
"""  # noqa: S608
THESE: Final = text(f"{STATIONS} and s.id = any(cast(:ids as text[]))")
FROM_HERE: Final = text(f"{STATIONS} and s.id > :after order by s.id limit :most")
AT_LOCATIONS: Final = text("select id from station where location_id = any(cast(:ids as uuid[]))")
# Those that hold now, and those to come.
PRICES: Final = text("""
select t.operator_id, t.valid_from, t.currency, t.tax_included, t.vat_percent, t.energy_price,
    t.time_price, t.start_fee
from tariff t where t.valid_from >= coalesce((
    select max(p.valid_from) from tariff p
    where p.operator_id = t.operator_id and p.valid_from <= :now
), '-infinity') and (:every or t.operator_id = any(cast(:operators as uuid[])))
order by t.valid_from
""")

OUT_OF_ORDER: Final = frozenset({"faulted", "unavailable"})


class Published(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PublicConnector(Published):
    connector_id: int
    standard: Standard = Field(description="OCPI 2.2.1, 8.4.5")
    format: Literal["SOCKET", "CABLE"]
    power_type: PowerType
    status: ConnectorStatus | None = Field(description="null: not known, as while offline")


class PublicEvse(Published):
    evse_id: int
    code: str | None = Field(description="the EVSE id that is written on it")
    max_power_w: int | None
    available: bool = Field(description="a car can be plugged in now")
    connectors: list[PublicConnector]


class PublicLocation(Published):
    name: str
    street: str
    postal_code: str
    city: str
    country: str
    latitude: float = Field(description="degrees, WGS 84")
    longitude: float = Field(description="degrees, WGS 84")


class PublicPrice(Published):
    """Of whoever has no contract, as it is now; a contract may say another."""

    currency: Currency
    tax_included: bool = Field(description="true: the prices are gross")
    vat_percent: Exact | None = Field(description="null: none applies, or there are several")
    energy_price: Exact = Field(description="per kWh, at this time of day")
    time_price: Exact = Field(description="per minute")
    start_fee: Exact = Field(description="once a session")
    free_of_charge: bool
    lines: list[PriceLine] = Field(
        description="all of it in words, in the order kWh, minute, session, other; then discounts "
        "and tax; empty: the prices say all"
    )
    valid_from: AwareDatetime
    valid_until: AwareDatetime | None = Field(description="when the clock changes it next")


class PublicStation(Published):
    id: str
    operator_id: UUID
    name: str
    location: PublicLocation
    online: bool
    available: bool = Field(description="one of its EVSEs is")
    evses: list[PublicEvse]
    price: PublicPrice | None = Field(description="null: the operator has published none")


def entry(row: Row[Any]) -> Entry:
    evses = orjson.loads(row.evses or "[]")
    working = row.own_status not in OUT_OF_ORDER
    offers = [_offer(evse, working=working) for evse in evses]
    told = {
        "name": row.name,
        "location": {
            "name": row.location_name,
            "street": row.street,
            "postal_code": row.postal_code,
            "city": row.city,
            "country": row.country,
            "latitude": row.latitude,
            "longitude": row.longitude,
        },
        "evses": [
            {**evse, "available": offer.free != 0}
            for evse, offer in zip(evses, offers, strict=True)
        ],
    }
    at = Point(row.latitude, row.longitude)
    # Copied, for orjson's bytes keep the room they were written in, some kilobytes each.
    shown = bytes(memoryview(orjson.dumps(told)))
    return Entry(row.id, row.operator_id, at, row.replica, offers, shown)


def _offer(evse: dict[str, Any], *, working: bool) -> Offer:
    """One car at a time: if one of its connectors is in use, none of them is free."""
    connectors = evse["connectors"]
    in_use = any(c["status"] not in (None, "available", *OUT_OF_ORDER) for c in connectors)
    free = [c for c in connectors if c["status"] == "available" and working and not in_use]
    return Offer(_bits(connectors), _bits(free), evse["max_power_w"] or 0)


def _bits(connectors: Iterable[dict[str, Any]]) -> int:
    found = 0
    for connector in connectors:
        found |= BIT[connector["standard"]]
    return found


def told(
    known: tuple[str, UUID, bytes, bool], price: dict[str, Any] | None, **more: Any
) -> dict[str, Any]:
    """As PublicStation has it. known: what the index shows."""
    station_id, operator_id, shown, online = known
    rest = orjson.loads(shown)
    if not online:
        for evse in rest["evses"]:
            evse["available"] = False
            for connector in evse["connectors"]:
                connector["status"] = None
    available = any(evse["available"] for evse in rest["evses"])
    return {
        "id": station_id,
        "operator_id": str(operator_id),
        **more,
        **rest,
        "online": online,
        "available": available,
        "price": price,
    }


class Displayed(NamedTuple):
    """What a station shows. price: as PublicPrice has it; None: it has none."""

    price: dict[str, Any] | None
    until: datetime | None


@lru_cache(maxsize=4096)  # most stations show the same, which is then there once
def displayed(text: str | None) -> Displayed:
    """text: common.events.DisplayPrice as JSON."""
    if text is None:
        return Displayed(None, None)
    shown = DisplayPrice.model_validate_json(text)
    told = shown.model_dump(mode="json", exclude={"tariff_id"})
    return Displayed(told, shown.valid_until)


def price(row: Row[Any]) -> dict[str, Any]:
    """Of the operator's own tariff, as PublicPrice has it."""
    found = row._asdict()
    del found["operator_id"]
    told = {
        name: plain(value) if isinstance(value, Decimal) else value for name, value in found.items()
    }
    return told | {"free_of_charge": False, "lines": [], "valid_until": None}
