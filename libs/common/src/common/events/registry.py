"""What registry tells."""

from uuid import UUID

from pydantic import AwareDatetime, Field

from common.events.event import Event, Part, StationId


class LocationChanged(Event):
    """A location was made or changed."""

    subject = "csms.location.changed.v1"

    location_id: UUID
    version: int
    name: str
    time_zone: str


class Evse(Part):
    evse_id: int = Field(ge=1, description="1.6: the connector number")
    code: str | None = Field(description="public EVSE id, DE*ABC*E1234")
    max_power_w: int | None
    connectors: int = 1


class StationChanged(Event):
    """A station was made or changed."""

    subject = "csms.station.changed.v1"

    station_id: StationId
    version: int
    name: str
    location_id: UUID | None
    active: bool = Field(description="False: decommissioned; it may no longer connect")
    evses: tuple[Evse, ...]


class StationCredentialSet(Event):
    """A station's password was made or replaced. Only the gateway listens."""

    subject = "csms.station.credential_set.v1"

    station_id: StationId
    version: int
    password_hash: str = Field(description="common.credentials: scheme$salt$hash")


class StationRefused(Event):
    """An unknown station is not wanted; the gateway does not ask about it again until then."""

    subject = "csms.station.refused.v1"

    station_id: StationId
    refused_until: AwareDatetime
