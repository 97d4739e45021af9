"""Places that a rule or an agreement names: stations, groups of them, locations, everywhere."""

from collections.abc import Iterable
from typing import Final, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from common.fields import Body, Line

PlaceKind = Literal["everywhere", "station", "station_group", "location"]
# Kinds and ids; everywhere has an empty one.
Names = frozenset[tuple[str, str]]

UUIDS: Final = {"location", "station_group"}


class PlaceIn(Body):
    kind: PlaceKind
    id: Line | None = Field(
        default=None,
        description="a station's id, a station group's or a location's; null: kind is everywhere",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "everywhere") != (self.id is None):
            raise ValueError("everywhere has no id, any other place has one")
        if self.kind in UUIDS:
            self.id = str(UUID(self.id))
        return self


def names_of(station_id: str, location_id: UUID | None, group_ids: Iterable[UUID] = ()) -> Names:
    """Under what names a station may be meant."""
    found = {("everywhere", ""), ("station", station_id)}
    found |= {("station_group", str(group_id)) for group_id in group_ids}
    return frozenset(found | ({("location", str(location_id))} if location_id else set()))
