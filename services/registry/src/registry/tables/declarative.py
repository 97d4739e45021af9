"""What every table of registry is made on."""

from datetime import datetime

from sqlalchemy import (
    DateTime,
    Text,
)
from sqlalchemy.orm import DeclarativeBase

from common.database import new_metadata


class Table(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own name
        str: Text,
        datetime: DateTime(timezone=True),
    }
