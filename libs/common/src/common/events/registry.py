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
    phases: int | None = Field(default=None, description="of AC: 1 or 3")
    meter_serial_number: str | None = None
    public_key: str | None = Field(
        default=None, description="of its meter, as it was entered: hexadecimal, Base64 or PEM"
    )


class StationChanged(Event):
    """A station was made or changed."""

    subject = "csms.station.changed.v1"

    station_id: StationId
    version: int
    name: str
    location_id: UUID | None
    active: bool = Field(description="False: it may not connect")
    evses: tuple[Evse, ...]
    decommissioned_at: AwareDatetime | None = Field(
        default=None, description="taken down for good; its EVSE codes may be another's by now"
    )


class StationCredentialSet(Event):
    """A station's password was made or replaced. Only the gateway listens."""

    subject = "csms.station.credential_set.v1"

    station_id: StationId
    version: int
    password_hash: str = Field(description="common.credentials: scheme$salt$hash")
    hand_over: bool = Field(
        default=False,
        description="an adopted station waits: the gateway gives it a password of its own there",
    )


class StationRefused(Event):
    """An unknown station is not wanted; the gateway does not ask about it again until then."""

    subject = "csms.station.refused.v1"

    station_id: StationId
    refused_until: AwareDatetime


class StationGroupChanged(Event):
    """A station group was made, named or deleted. Which stations are in it is told apart."""

    subject = "csms.station_group.changed.v1"

    group_id: UUID
    version: int
    name: str
    deleted: bool = False


class StationGroupMembersChanged(Event):
    """Stations were put into a group or taken out. Of a deleted group's stations nothing is told.

    At most 1,000 ids: a group may have more than fit into a message. Of each station the event
    with the highest version says whether it is in the group.
    """

    subject = "csms.station_group.members_changed.v1"

    group_id: UUID
    version: int = Field(description="counts the changes of who is in it, apart from the group's")
    added: tuple[StationId, ...] = ()
    removed: tuple[StationId, ...] = ()
