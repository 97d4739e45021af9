"""user groups, companies with cost centres, partners, and whose a card is"""

import sqlalchemy as sa
from alembic import op

from common.migrate import tenant_walls

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _user_groups()
    _companies()
    op.create_table(
        "partner",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_partner_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner")),
        sa.UniqueConstraint("operator_id", "id", name=op.f("uq_partner_operator_id_id")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_partner_operator_id_name")),
    )
    _cards()
    tenant_walls("user_group", "user_group_member", "company", "cost_centre", "partner")


def _user_groups() -> None:
    op.create_table(
        "user_group",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_user_group_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_group")),
        sa.UniqueConstraint("operator_id", "id", name=op.f("uq_user_group_operator_id_id")),
        sa.UniqueConstraint("operator_id", "name", name=op.f("uq_user_group_operator_id_name")),
    )
    op.create_table(
        "user_group_member",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "group_id"],
            ["user_group.operator_id", "user_group.id"],
            name=op.f("fk_user_group_member_operator_id_group_id"),
            ondelete="cascade",
        ),
        sa.ForeignKeyConstraint(
            ["operator_id", "user_id"],
            ["users.operator_id", "users.id"],
            name=op.f("fk_user_group_member_operator_id_user_id"),
        ),
        sa.PrimaryKeyConstraint("group_id", "user_id", name=op.f("pk_user_group_member")),
    )
    op.create_index(
        op.f("ix_user_group_member_operator_id_user_id"),
        "user_group_member",
        ["operator_id", "user_id"],
        unique=False,
    )


def _companies() -> None:
    op.create_table(
        "company",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("street", sa.String(), nullable=True),
        sa.Column("postal_code", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("vat_id", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name=op.f("fk_company_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company")),
        sa.UniqueConstraint(
            "operator_id", "external_id", name=op.f("uq_company_operator_id_external_id")
        ),
        sa.UniqueConstraint("operator_id", "id", name=op.f("uq_company_operator_id_id")),
    )
    op.create_table(
        "cost_centre",
        sa.Column("operator_id", sa.Uuid(), nullable=False),
        sa.Column("company_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id", "company_id"],
            ["company.operator_id", "company.id"],
            name=op.f("fk_cost_centre_operator_id_company_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cost_centre")),
        sa.UniqueConstraint(
            "operator_id",
            "company_id",
            "code",
            name=op.f("uq_cost_centre_operator_id_company_id_code"),
        ),
        sa.UniqueConstraint(
            "operator_id", "company_id", "id", name=op.f("uq_cost_centre_operator_id_company_id_id")
        ),
    )


def _cards() -> None:
    for name in ("company_id", "cost_centre_id", "partner_id", "accounting_strategy_id"):
        op.add_column("card", sa.Column(name, sa.Uuid(), nullable=True))
    op.add_column(
        "card",
        sa.Column("company_master", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("card", sa.Column("monthly_cap", sa.Numeric(), nullable=True))
    for name, condition in (
        ("master_of_company", "company_id is not null or not company_master"),
        ("centre_of_company", "company_id is not null or cost_centre_id is null"),
        ("partner_alone", "partner_id is null or user_id is null and company_id is null"),
        (
            "strategy_not_on_user_card",
            "company_id is null or company_master or accounting_strategy_id is null",
        ),
        ("cap_not_negative", "monthly_cap >= 0"),
    ):
        op.create_check_constraint(op.f(f"ck_card_{name}"), "card", condition)
    for columns, other in (
        (["operator_id", "company_id", "cost_centre_id"], "cost_centre"),
        (["operator_id", "company_id"], "company"),
        (["operator_id", "partner_id"], "partner"),
    ):
        referred = [*columns[:-1], "id"]
        op.create_foreign_key(
            op.f(f"fk_card_{'_'.join(columns)}"), "card", other, columns, referred
        )
    for columns in (["operator_id", "company_id"], ["operator_id", "partner_id", "id"]):
        op.create_index(op.f(f"ix_card_{'_'.join(columns)}"), "card", columns, unique=False)
    op.create_index(
        "uq_card_master_of_company",
        "card",
        ["company_id"],
        unique=True,
        postgresql_where=sa.text("company_master"),
    )
