"""How apps ask: numbers, points, boxes and what they want of a station."""

import re
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from common.auth import OperatorRequired, Unauthenticated, caller_if_any
from registry.hardware.models import Standard
from registry.public_map.index import Wanted, bits
from registry.public_map.sphere import Box, Point

NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
NUMBER_MAX: Final = 40
RADIUS_MAX_M: Final = 20_100_000  # beyond the other side of the earth


def _plain(value: Any) -> Any:
    """Of a query; no NaN, no Infinity, no 52,5."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if len(value) > NUMBER_MAX or not NUMBER.fullmatch(value):
        comma = re.fullmatch(r"[+-]?\d+,\d+", value)
        raise ValueError(
            "write a point and not a comma before the decimals: 52.5"
            if comma
            else "write a plain number such as 52.5"
        )
    return value


Plain = BeforeValidator(_plain)
Latitude = Annotated[float, Plain, Field(ge=-90, le=90, allow_inf_nan=False, examples=[52.517])]
Longitude = Annotated[float, Plain, Field(ge=-180, le=180, allow_inf_nan=False, examples=[13.389])]
Metres = Annotated[float, Plain, Field(gt=0, le=RADIUS_MAX_M, allow_inf_nan=False)]


class Filters(BaseModel):
    """One EVSE has all of it. What is not known by this name is refused, not overlooked."""

    model_config = ConfigDict(extra="forbid")

    standard: list[Standard] = Field(
        default=[], max_length=40, description="any of these; OCPI 2.2.1, 8.4.5"
    )
    min_power_w: int = Field(default=0, ge=0, le=10_000_000)
    available: bool = Field(default=False, description="true: only with an EVSE free now")
    only_my_contract: bool = Field(
        default=False,
        description="true, with a token: only stations of the operator that it is of. Whether a "
        "card may charge there now is decided when it is shown (access rules)",
    )

    def wanted(self, operator_id: UUID | None) -> Wanted:
        return Wanted(bits(self.standard), self.min_power_w, self.available, operator_id)


class BoxQuery(BaseModel):
    """west beyond east: across the date line, as in GeoJSON (RFC 7946, 5.2)."""

    west: Longitude
    south: Latitude
    east: Longitude
    north: Latitude

    @model_validator(mode="after")
    def _upright(self) -> Self:
        _check_upright(self.south, self.north)
        return self

    def box(self) -> Box:
        return Box.of(self.west, self.south, self.east, self.north)


def _check_upright(south: float, north: float) -> None:
    if south > north:
        raise ValueError(f"south ({south:g}) is north of north ({north:g})")


def both_or_none(latitude: float | None, longitude: float | None) -> None:
    if (latitude is None) != (longitude is None):
        raise ValueError("give latitude and longitude, or neither")


class Where(BaseModel):
    """A point, a box, or both: then it is the box, by the distance from the point."""

    latitude: Latitude | None = None
    longitude: Longitude | None = None
    radius_m: Metres | None = Field(default=None, description="around the point; default: any")
    west: Longitude | None = None
    south: Latitude | None = None
    east: Longitude | None = None
    north: Latitude | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        both_or_none(self.latitude, self.longitude)
        sides = (self.west, self.south, self.east, self.north)
        if any(one is None for one in sides) and any(one is not None for one in sides):
            raise ValueError("a box has all of west, south, east and north")
        if self.latitude is None and self.west is None:
            raise ValueError("give latitude and longitude, or west, south, east and north")
        if self.latitude is None and self.radius_m is not None:
            raise ValueError("a radius is around a point: give latitude and longitude")
        if self.south is not None and self.north is not None:
            _check_upright(self.south, self.north)
        return self

    def box(self) -> Box | None:
        if self.west is None or self.south is None or self.east is None or self.north is None:
            return None
        return Box.of(self.west, self.south, self.east, self.north)

    def point(self) -> Point:
        """What distances are from: of a box alone its centre."""
        if self.latitude is not None and self.longitude is not None:
            return Point(self.latitude, self.longitude)
        box = self.box()
        assert box is not None
        return box.centre()


async def of_contract(request: Request, filters: Filters) -> Wanted:
    """Raises Unauthenticated, also for a token that is not good though none was needed."""
    caller = await caller_if_any(request)
    if not filters.only_my_contract:
        return filters.wanted(None)
    if caller is None:
        raise Unauthenticated("only_my_contract needs a token: whose contract is it?")
    if caller.operator_id is None:
        raise OperatorRequired("send the header Operator-Id to say which operator you mean")
    return filters.wanted(caller.operator_id)
