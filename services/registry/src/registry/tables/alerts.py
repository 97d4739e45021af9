"""What people want to be told of, what came to light, and how they are told."""

from datetime import datetime, time
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from common.mail import MailColumns, waiting_index
from common.single import VersionedColumns
from common.webhooks import WebhookColumns, WebhookDeliveryColumns, delivery_indexes
from registry.tables.declarative import Table


class Operator(Table):
    """What registry needs of identity's operators."""

    __tablename__ = "operator"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int]
    name: Mapped[str]
    time_zone: Mapped[str]
    language: Mapped[str]


class AlertRule(VersionedColumns, Table):
    """Which limit counts depends on the kind; the others are null (registry.alerts.alerting)."""

    __tablename__ = "alert_rule"
    __table_args__ = (UniqueConstraint("operator_id", "name"),)

    operator_id: Mapped[UUID]
    name: Mapped[str]
    kind: Mapped[str]
    # Names no row: a rule of a group that is deleted stays, and is of nothing.
    place_kind: Mapped[str]
    place_id: Mapped[str | None]
    severity: Mapped[str]
    after_s: Mapped[int | None]
    error_codes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    days: Mapped[int | None]
    failures: Mapped[int | None]
    hours: Mapped[int | None]
    clear_after_s: Mapped[int]
    emails: Mapped[list[str]] = mapped_column(ARRAY(Text))
    notices_per_hour: Mapped[int]
    remind_after_s: Mapped[int | None]
    quiet_from: Mapped[time | None]
    quiet_until: Mapped[time | None]
    enabled: Mapped[bool]
    made_at: Mapped[datetime]
    # When people were told within the last hour.
    told: Mapped[list[datetime]] = mapped_column(ARRAY(DateTime(timezone=True)))


class Alert(VersionedColumns, Table):
    """What a rule found, from its beginning to its end; it outlives the rule.

    At most one that is not resolved of a rule, a station and an EVSE: the index, not the task that
    raises them, keeps replicas from raising one twice.
    """

    __tablename__ = "alert"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        Index(
            "uq_alert_unresolved",
            "rule_id",
            "station_id",
            "evse_id",
            unique=True,
            postgresql_where=text("resolved_at is null"),
        ),
        Index(
            "ix_alert_untold",
            "rule_id",
            postgresql_where=text("resolved_at is null and told_at is null"),
        ),
        Index(
            "ix_alert_end_untold",
            "rule_id",
            postgresql_where=text(
                "resolved_at is not null and told_at is not null and end_told_at is null"
            ),
        ),
        Index(None, "operator_id", "id"),
        Index(None, "station_id", "id"),
        Index(None, "resolved_at"),
    )

    operator_id: Mapped[UUID]
    rule_id: Mapped[UUID]
    rule_name: Mapped[str]
    kind: Mapped[str]
    severity: Mapped[str]
    station_id: Mapped[str]
    evse_id: Mapped[int]  # 0: the station as a whole
    detail: Mapped[str | None]
    since_at: Mapped[datetime]
    raised_at: Mapped[datetime]
    cleared_at: Mapped[datetime | None]  # what it tells of is over since then, maybe for a moment
    resolved_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    note: Mapped[str | None]
    told_at: Mapped[datetime | None]  # by mail and webhook, the last time
    end_told_at: Mapped[datetime | None]


class AlertRound(Table):
    """When each kind of rule was looked at last, by whichever replica; the platform's."""

    __tablename__ = "alert_round"

    kind: Mapped[str] = mapped_column(primary_key=True)
    ran_at: Mapped[datetime]


class StationFailure(Table):
    """A session that went wrong or a fault, once however often it is told."""

    __tablename__ = "station_failure"
    __table_args__ = (
        ForeignKeyConstraint(["operator_id", "station_id"], ["station.operator_id", "station.id"]),
        Index(None, "at"),
    )

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(primary_key=True)  # the session, or connector and minute
    at: Mapped[datetime]


class Webhook(WebhookColumns, Table):
    """Where a rule's alerts are told."""

    __table_args__ = (UniqueConstraint("rule_id"),)

    rule_id: Mapped[UUID] = mapped_column(ForeignKey("alert_rule.id", ondelete="cascade"))


class WebhookDelivery(WebhookDeliveryColumns, Table):
    __table_args__ = delivery_indexes()


class Mail(MailColumns, Table):
    __table_args__ = (waiting_index(), Index(None, "made_at"))

    operator_id: Mapped[UUID]
