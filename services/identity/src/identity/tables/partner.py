"""Foreign issuers of cards: car sharing, other providers."""

from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from identity.tables.declarative import Versioned


class Partner(Versioned):
    __tablename__ = "partner"
    __table_args__ = (
        UniqueConstraint("operator_id", "id"),
        UniqueConstraint("operator_id", "name"),
    )

    operator_id: Mapped[UUID] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[str]
    active: Mapped[bool]
