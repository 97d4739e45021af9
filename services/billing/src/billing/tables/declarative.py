"""What every table of billing is made with."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    DateTime,
    Numeric,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from common.database import new_metadata
from common.ids import uuid7

Wh = Annotated[int, mapped_column(BigInteger)]
Key = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
# common.authorize.Holder as it was when the session began, and what is searched for in it.
HolderJson = Annotated[
    dict[str, Any] | None, mapped_column(JSONB(none_as_null=True), nullable=True)
]


# For arrays of ids: a statement takes 32,767 values.
UUIDS = ARRAY(Uuid)
SetNow = Annotated[datetime, mapped_column(server_default=func.now())]


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        # Without a scale: Postgres then keeps an amount as it was written, 0.49 or 12.30.
        Decimal: Numeric(),
        str: Text(),
    }
