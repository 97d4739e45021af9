"""accounts, journals and postings, and what is held of accounts"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.audit import audited
from common.migrate import append_only, tenant_walls

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("station", sa.Column("power_w", postgresql.JSONB(), nullable=True))
    _tables()
    tenant_walls("account", "balance", "journal", "posting", "hold", "ledger_finding")
    append_only("journal", "posting", service="billing")
    audited("account", noise=("version", "may_charge", "standing_reason", "standing_version"))
    _sums()
    _balances()
    _never_changed()


def _sums() -> None:
    """A journal has the postings that it says, and they sum to zero in each currency."""
    op.execute(
        """
        create function check_journal() returns trigger language plpgsql
            set search_path = billing as $$
        declare
            checked uuid := to_jsonb(new) ->> tg_argv[0];
            -- At the commit it may be another operator's turn, or nobody's. A function's own
            -- setting would do, but only a superuser may make one with that.
            acting text := current_setting('csms.operator', true);
            balanced boolean;
        begin
            perform set_config('csms.operator', '*', true);
            balanced := (select count(*) from posting where journal_id = checked)
                    = (select postings from journal where id = checked)
                and not exists (select from posting where journal_id = checked
                    group by currency having sum(amount) <> 0);
            perform set_config('csms.operator', coalesce(acting, ''), true);
            if balanced is not true then
                raise exception 'journal % does not balance', checked
                    using errcode = 'check_violation', constraint = 'journal_balances';
            end if;
            return null;
        end $$
        """
    )
    for table, key in (("journal", "id"), ("posting", "journal_id")):
        op.execute(
            f"create constraint trigger {table}_balances after insert on {table} "
            f"deferrable initially deferred for each row execute function check_journal('{key}')"
        )


def _balances() -> None:
    op.execute(
        """
        create function add_to_balance() returns trigger language plpgsql as $$
        begin
            update balance set
                posted = posted + case new.purse when 'money' then new.amount else 0 end,
                bonus = bonus + case new.purse when 'bonus' then new.amount else 0 end
            where account_id = new.account_id;
            return null;
        end $$
        """
    )
    op.execute(
        "create trigger add_to_balance after insert on posting "
        "for each row execute function add_to_balance()"
    )


def _never_changed() -> None:
    """Not even by who owns the tables and is bound by no grant."""
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception '% is append-only', tg_table_name
                using errcode = 'restrict_violation';
        end $$
        """
    )
    for table in ("journal", "posting"):
        op.execute(
            f"create trigger {table}_never_changed before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger {table}_never_emptied before truncate on {table} "
            "for each statement execute function refuse_change()"
        )


def _tables() -> None:
    op.create_table(
        "account",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("owner_kind", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("chargeback", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("limit_reason", sa.Text(), nullable=True),
        sa.Column("credit_limit", sa.Numeric(), nullable=True),
        sa.Column("floor", sa.Numeric(), nullable=True),
        sa.Column("minimum", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("strategy_id", sa.Uuid(), nullable=True),
        sa.Column("may_charge", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("standing_reason", sa.Text(), nullable=True),
        sa.Column("standing_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'customer') = (owner_id is not null and owner_kind is not null)",
            name=op.f("ck_account_owner"),
        ),
        sa.CheckConstraint("credit_limit >= 0", name=op.f("ck_account_credit_limit")),
        sa.CheckConstraint("floor >= 0", name=op.f("ck_account_floor")),
        sa.CheckConstraint("minimum >= 0", name=op.f("ck_account_minimum")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint(
            "operator_id", "id", "currency", name=op.f("uq_account_operator_id_id_currency")
        ),
    )
    op.create_index(
        op.f("ix_account_operator_id_id"), "account", ["operator_id", "id"], unique=False
    )
    op.create_index(
        "uq_account_of_owner",
        "account",
        ["operator_id", "owner_kind", "owner_id", "currency"],
        unique=True,
        postgresql_where=sa.text("kind = 'customer'"),
    )
    op.create_index(
        "uq_account_own",
        "account",
        ["operator_id", "kind", "detail", "currency"],
        unique=True,
        postgresql_where=sa.text("kind <> 'customer'"),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "booked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("booked_by", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("postings", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sa.UniqueConstraint(
            "operator_id", "event_id", name=op.f("uq_journal_operator_id_event_id")
        ),
    )
    op.create_index(
        op.f("ix_journal_operator_id_id"), "journal", ["operator_id", "id"], unique=False
    )
    op.create_index(
        op.f("ix_journal_payment_id"),
        "journal",
        ["payment_id"],
        unique=False,
        postgresql_where=sa.text("payment_id is not null"),
    )
    op.create_index(
        op.f("ix_journal_record_id"),
        "journal",
        ["record_id"],
        unique=False,
        postgresql_where=sa.text("record_id is not null"),
    )
    op.create_table(
        "ledger_finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column(
            "found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_finding")),
        sa.UniqueConstraint(
            "operator_id",
            "kind",
            "subject",
            name=op.f("uq_ledger_finding_operator_id_kind_subject"),
        ),
    )
    op.create_index(
        op.f("ix_ledger_finding_operator_id_id"),
        "ledger_finding",
        ["operator_id", "id"],
        unique=False,
    )
    op.create_table(
        "balance",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("posted", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("bonus", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("held", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("bonus >= 0", name=op.f("ck_balance_bonus")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_balance_held")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_balance_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_balance")),
    )
    op.create_table(
        "posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("journal_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("purse", sa.Text(), server_default="money", nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.CheckConstraint("purse in ('money', 'bonus')", name=op.f("ck_posting_purse")),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_posting_amount")),
        sa.ForeignKeyConstraint(["journal_id"], ["journal.id"], name=op.f("fk_posting_journal_id")),
        sa.ForeignKeyConstraint(
            ["operator_id", "account_id", "currency"],
            ["account.operator_id", "account.id", "account.currency"],
            name=op.f("fk_posting_operator_id_account_id_currency"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posting")),
    )
    op.create_index(
        op.f("ix_posting_account_id_journal_id"),
        "posting",
        ["account_id", "journal_id"],
        unique=False,
    )
    op.create_index(op.f("ix_posting_journal_id"), "posting", ["journal_id"], unique=False)
    op.create_table(
        "hold",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("state", sa.Text(), server_default="held", nullable=False),
        sa.Column(
            "made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_wanted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("stop_tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_hold_amount")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["balance.account_id"], name=op.f("fk_hold_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
        sa.UniqueConstraint("operator_id", "key", name=op.f("uq_hold_operator_id_key")),
    )
    op.create_index("ix_hold_of_account", "hold", ["account_id", "id"], unique=False)
    op.create_index(
        "ix_hold_open",
        "hold",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_hold_to_stop",
        "hold",
        ["stop_wanted_at"],
        unique=False,
        postgresql_where=sa.text("stop_wanted_at is not null and stop_settled_at is null"),
    )
