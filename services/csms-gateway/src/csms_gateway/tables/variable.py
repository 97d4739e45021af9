"""The device model as stations told it: variables of OCPP 2.x, configuration keys of 1.6."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Sequence, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from csms_gateway.tables.declarative import Table


class Variable(Table):
    __tablename__ = "variable"
    __table_args__ = (
        # "" and 0 stand for none, so that none equals none.
        UniqueConstraint(
            "station_id",
            "component",
            "component_instance",
            "evse_id",
            "connector_id",
            "variable",
            "variable_instance",
            "attribute",
            name="uq_variable_name",
        ),
    )

    id: Mapped[int] = mapped_column(
        BigInteger,
        Sequence("variable_id_seq", metadata=Table.metadata),
        primary_key=True,
        server_default=text("nextval('variable_id_seq')"),
    )
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    component: Mapped[str] = mapped_column(comment="empty: a configuration key of OCPP 1.6")
    component_instance: Mapped[str]
    evse_id: Mapped[int]
    connector_id: Mapped[int]
    variable: Mapped[str]
    variable_instance: Mapped[str]
    attribute: Mapped[str] = mapped_column(comment="Actual, Target, MinSet or MaxSet")
    value: Mapped[str | None] = mapped_column(comment="null: write-only, or never told")
    mutability: Mapped[str | None]
    characteristics: Mapped[dict[str, Any] | None]
    seen_at: Mapped[datetime]
