"""what people decide about sessions and records, and indexes for what is asked of them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.database import OPERATOR_SETTING, PLATFORM
from common.migrate import append_only, location_walls, tenant_walls
from common.sql_views import Shown, readable, readable_more, show_anew, show_more

revision = "0014"
down_revision = "0013"

CENTRE = Shown("cost_centre_id", "cost_centres.id of the card when it began; null: none")
STRATEGY = Shown("strategy_id", "the accounting strategy it was priced by; null: none")
LATE = Shown("late", "true: closed in a later month than it ended in")
PENDING = (
    "exists (select from incident i where i.operator_id = t.operator_id and i.session_id = {id} "
    "and i.decided_at is null)"
)
REVIEW = (
    f"case when {PENDING} then 'pending' else coalesce((select d.verdict from decision d "
    "where d.operator_id = t.operator_id and d.session_id = {id} order by d.id desc limit 1), "
    "'none') end"
)
# A record that was cancelled does not count any more; what corrects it does.
WITH_RECORD = (
    "session t left join record r on r.operator_id = t.operator_id and r.session_id = t.id "
    "and r.kind <> 'cancellation' and not exists (select from record c where c.refers_to = r.id "
    "and c.operator_id = r.operator_id and c.kind = 'cancellation')"
)
TOLD_OF_REVIEW = (
    "pending: somebody must decide before it is invoiced; valid, corrected or void: what was "
    "decided last; none: nobody ever doubted it"
)


def upgrade() -> None:
    _decisions()
    for table in ("session", "record"):
        for name, of in (("cost_centre_id", "holder"), ("strategy_id", "terms")):
            computed = sa.Computed(f"({of}->>'{name}')::uuid", persisted=True)
            op.add_column(table, sa.Column(name, sa.Uuid(), computed, nullable=True))
    late = sa.Column("late", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("record", late)
    _indexes()
    _views()


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("facts", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("incidents", postgresql.JSONB(), nullable=False),
        sa.Column("dispute_id", sa.Uuid(), nullable=True),
        sa.Column("record_id", sa.Uuid(), nullable=True),
        sa.Column("cancellation_id", sa.Uuid(), nullable=True),
        sa.Column("correction_id", sa.Uuid(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_as", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint(
            "operator_id", "idempotency_key", name=op.f("uq_decision_operator_id_idempotency_key")
        ),
    )
    op.create_table(
        "dispute",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("station_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("raised_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_as", sa.Text(), nullable=False),
        sa.Column(
            "opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint(
            "operator_id", "idempotency_key", name=op.f("uq_dispute_operator_id_idempotency_key")
        ),
    )
    for table, columns in (("dispute", ["operator_id", "id"]), ("dispute", ["record_id"]),
                           ("decision", ["session_id", "id"])):  # fmt: skip
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    op.create_index(
        op.f("ix_decision_dispute_id"),
        "decision",
        ["dispute_id"],
        unique=True,
        postgresql_where=sa.text("dispute_id is not null"),
    )
    tenant_walls("decision", "dispute")
    location_walls("decision", "dispute")
    append_only("decision", "dispute", service="billing")
    audited("decision", "dispute")
    op.add_column("incident", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))
    # What could not be priced for want of its energy waited without an incident until now.
    op.execute(f"select set_config('{OPERATOR_SETTING}', '{PLATFORM}', true)")
    op.execute(
        "insert into incident (operator_id, session_id, kind, detail, opened_at) "
        "select operator_id, id, 'energy_unknown', 'the charger did not tell how much it was', "
        "ended_at from session s where state = 'ended' and energy_wh is null "
        "and not exists (select from incident i where i.session_id = s.id)"
    )
    op.create_index(
        "ix_incident_open",
        "incident",
        ["operator_id", "session_id"],
        postgresql_where=sa.text("decided_at is null"),
    )


def _indexes() -> None:
    for table in ("session", "record"):
        op.create_index(
            op.f(f"ix_{table}_operator_id_started_at_id"),
            table,
            ["operator_id", "started_at", "id"],
        )
        for name in ("user_id", "company_id"):
            op.create_index(
                op.f(f"ix_{table}_{name}_id"),
                table,
                [name, "id"],
                postgresql_where=sa.text(f"{name} is not null"),
            )
    op.drop_index(op.f("ix_record_operator_id_ended_at"), "record")
    for columns in (["ended_at", "id"], ["transaction_id"]):
        name = op.f(f"ix_record_operator_id_{'_'.join(columns)}")
        op.create_index(name, "record", ["operator_id", *columns])
    op.create_index("ix_record_token", "record", ["operator_id", sa.text("upper(id_token)")])
    op.create_index(
        "ix_record_user_groups",
        "record",
        [sa.text("(holder -> 'user_group_ids')")],
        postgresql_using="gin",
    )
    op.drop_index(op.f("ix_record_refers_to"), "record")
    op.create_index(
        op.f("ix_record_refers_to_kind"),
        "record",
        ["refers_to", "kind"],
        unique=True,
        postgresql_where=sa.text("refers_to is not null"),
    )


def _views() -> None:
    shown = ("operator_id", "session_id", "id", "verdict")
    readable("billing", {"decision": shown})
    readable_more("incident", ["decided_at"])
    show_more("sessions", "session", (CENTRE, STRATEGY))
    show_more("records", "record", (CENTRE, STRATEGY, LATE))
    review = {"review": REVIEW.format(id="t.id")}
    told = {"review": TOLD_OF_REVIEW}
    with_record = review | {"record_id": "r.id"}
    about = {"record_id": "records.id of the record that counts; null: none does"}
    show_anew("sessions", WITH_RECORD, with_record, told | about)
    review = {"review": REVIEW.format(id="t.session_id")}
    show_anew("records", "record t", review, told)
