"""What every table of identity is made on."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import DateTime, Numeric
from sqlalchemy.orm import DeclarativeBase

from common.database import new_metadata
from common.single import VersionedColumns


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        # Without a scale: an amount is kept as it was written.
        Decimal: Numeric(),
    }


class Versioned(VersionedColumns, Table):
    __abstract__ = True
