"""The tenants."""

from sqlalchemy.orm import Mapped

from identity.tables.declarative import Versioned


class Operator(Versioned):
    __tablename__ = "operator"

    name: Mapped[str]
    time_zone: Mapped[str]
    currency: Mapped[str]
