"""What billing needs of other services' things, told by events."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table
from common.station_groups import StationGroupColumns, StationGroupMemberColumns


class Operator(Table):
    """What billing needs of identity's operators."""

    __tablename__ = "operator"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    time_zone: Mapped[str]
    personal_data_days: Mapped[int | None]
    # Where customers transfer money to; None: not known, or not told since an upgrade.
    payee: Mapped[str | None]
    iban: Mapped[str | None]
    bic: Mapped[str | None]


class Station(Table):
    """Where registry's stations stand: some staff may see the sessions of some locations only."""

    __tablename__ = "station"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    location_id: Mapped[UUID | None]
    # What each EVSE can deliver at most, by its number; None: not told since this is kept.
    power_w: Mapped[dict[str, int | None] | None] = mapped_column(JSONB(none_as_null=True))


class Location(Table):
    """By whose clock days and nights are where a station stands."""

    __tablename__ = "location"

    location_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    time_zone: Mapped[str]


class StationGroup(StationGroupColumns, Table):
    """Told by registry."""


class StationGroupMember(StationGroupMemberColumns, Table):
    """Told by registry, maybe before the group or the station."""


class Partner(Table):
    """What billing needs of identity's partners."""

    __tablename__ = "partner"

    partner_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    name: Mapped[str]
    active: Mapped[bool]
