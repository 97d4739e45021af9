"""What every table of identity is made on."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from common.database import new_metadata
from common.ids import uuid7


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        # Without a scale: an amount is kept as it was written.
        Decimal: Numeric(),
    }


class Versioned(Table):
    """A row people change; its version grows by one each time and is its ETag."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    version: Mapped[int] = mapped_column(default=1)
