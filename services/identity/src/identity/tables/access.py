"""What decides beside the card whether it may charge; told by other services."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Table


class Tariff(Table):
    """Told by billing. Only whether an operator has a price is of interest here."""

    __tablename__ = "tariff"

    operator_id: Mapped[UUID] = mapped_column(primary_key=True)
    tariff_id: Mapped[UUID] = mapped_column(primary_key=True)
    valid_from: Mapped[datetime]
    told_at: Mapped[datetime]  # occurred_at of the event that this row comes from
