"""alerts"""

import sqlalchemy as sa
from alembic import op

from common.audit import audited
from common.database import LOCATIONS_SETTING
from common.migrate import location_walls, tenant_walls
from common.sql_views import Shown, readable, show

revision = "0011"
down_revision = "0010"

# A rule of a place within my locations; of the whole operator or a group, which may hold stations
# of others, it is for staff who see every location.
OF_MY_LOCATIONS = (
    "place_kind = 'location' "
    f"and place_id = any(nullif(current_setting('{LOCATIONS_SETTING}', true), '')::text[]) "
    "or place_kind = 'station' and of_my_locations(place_id)"
)
ALERT = (
    Shown("id", "of the alert"),
    Shown("operator_id", "your operator"),
    Shown("version", "grows with each change"),
    Shown("rule_id", "of the rule that found it; the rule may be gone"),
    Shown("rule_name", "as it was called then"),
    Shown("kind", "offline, faulted, unused or failing"),
    Shown("severity", "info, warning or critical"),
    Shown("station_id", "stations.id"),
    Shown("evse_id", "evses.evse_id; 0: the station as a whole"),
    Shown("detail", "error codes, or how often it failed"),
    Shown("since_at", "when what it tells of began"),
    Shown("raised_at", "when it was found"),
    Shown("resolved_at", "when it was over; null: it is not"),
    Shown("acknowledged_at", "when somebody took care of it; null: nobody has"),
    Shown("acknowledged_by", "the login of who did"),
    Shown("note", "what they wrote"),
)


def upgrade() -> None:
    op.create_table(
        "alert_round",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_alert_round")),
    )
    op.create_table(
        "alert_rule",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place_kind", sa.Text(), nullable=False),
        sa.Column("place_id", sa.Text(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("after_s", sa.Integer(), nullable=True),
        sa.Column("error_codes", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=True),
        sa.Column("hours", sa.Integer(), nullable=True),
        sa.Column("clear_after_s", sa.Integer(), nullable=False),
        sa.Column("emails", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("notices_per_hour", sa.Integer(), nullable=False),
        sa.Column("remind_after_s", sa.Integer(), nullable=True),
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_until", sa.Time(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.ARRAY(sa.DateTime(timezone=True)), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_rule")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_alert_rule_operator_id_name")),
    )
    op.create_table(
        "mail",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
    )
    op.create_index(op.f("ix_mail_made_at"), "mail", ["made_at"])
    op.create_index(
        "ix_mail_waiting",
        "mail",
        ["next_try_at"],
        postgresql_where=sa.text("sent_at is null and failed_at is null"),
    )
    op.create_table(
        "operator",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name=op.f("pk_operator")),
    )
    op.create_table(
        "webhook",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rule_id"], ["alert_rule.id"], name=op.f("fk_webhook_rule_id"), ondelete="cascade"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        sa.UniqueConstraint("rule_id", name=op.f("uq_webhook_rule_id")),
    )
    op.create_table(
        "alert",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("evse_id", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("since_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "station_id"],
            ["station.operator_id", "station.id"],
            name=op.f("fk_alert_operator_id_station_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(
        "ix_alert_end_untold",
        "alert",
        ["rule_id"],
        postgresql_where=sa.text(
            "resolved_at is not null and told_at is not null and end_told_at is null"
        ),
    )
    op.create_index(op.f("ix_alert_operator_id_id"), "alert", ["operator_id", "id"])
    op.create_index(op.f("ix_alert_resolved_at"), "alert", ["resolved_at"])
    op.create_index(op.f("ix_alert_station_id_id"), "alert", ["station_id", "id"])
    op.create_index(
        "ix_alert_untold",
        "alert",
        ["rule_id"],
        postgresql_where=sa.text("resolved_at is null and told_at is null"),
    )
    op.create_index(
        "uq_alert_unresolved",
        "alert",
        ["rule_id", "station_id", "evse_id"],
        unique=True,
        postgresql_where=sa.text("resolved_at is null"),
    )
    op.create_table(
        "station_failure",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "station_id"],
            ["station.operator_id", "station.id"],
            name=op.f("fk_station_failure_operator_id_station_id"),
        ),
        sa.PrimaryKeyConstraint(
            "operator_id", "station_id", "what", name=op.f("pk_station_failure")
        ),
    )
    op.create_index(op.f("ix_station_failure_at"), "station_failure", ["at"])
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhook.id"],
            name=op.f("fk_webhook_delivery_webhook_id"),
            ondelete="cascade",
        ),
        sa.PrimaryKeyConstraint("id", "webhook_id", name=op.f("pk_webhook_delivery")),
    )
    op.create_index(op.f("ix_webhook_delivery_made_at"), "webhook_delivery", ["made_at"])
    op.create_index(
        "ix_webhook_delivery_waiting",
        "webhook_delivery",
        ["webhook_id", "id"],
        postgresql_where=sa.text("delivered_at is null and given_up_at is null"),
    )
    op.create_index(
        op.f("ix_webhook_delivery_webhook_id_id"),
        "webhook_delivery",
        ["webhook_id", "id"],
    )
    tenant_walls(
        "alert_rule", "alert", "station_failure", "webhook", "webhook_delivery", "mail", "operator"
    )
    location_walls("alert", "station_failure")
    location_walls("alert_rule", condition=OF_MY_LOCATIONS)
    # The rules that the wall above lets through.
    location_walls("webhook", condition="rule_id in (select id from alert_rule)")
    location_walls("webhook_delivery", condition="webhook_id in (select id from webhook)")
    audited("alert_rule", "alert")
    audited("webhook", secret=["secret"])
    readable("registry", {"alert": [one.name for one in ALERT]})
    show("alerts", "What alert rules found, resolved or not.", "alert t", ALERT)
