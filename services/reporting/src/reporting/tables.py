"""Everything reporting stores."""

from sqlalchemy.orm import DeclarativeBase

from common.database import new_metadata


class Table(DeclarativeBase):
    metadata = new_metadata()
