"""What the public map needs beside the stations: prices, and what of it may have changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from common.tariffs import TariffColumns
from registry.tables.declarative import Table


class Tariff(TariffColumns, Table):
    """Our copy of billing's tariffs."""


class MapChange(Table):
    """Something that the public map shows may have changed; triggers write it, replicas read it.

    Found by the transaction, not by the sequence: numbers are given before the commit, so a reader
    that went by them would miss what committed late.
    """

    __tablename__ = "map_change"
    __table_args__ = (Index(None, "txid"),)

    seq: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    operator_id: Mapped[UUID]
    txid: Mapped[int] = mapped_column(
        BigInteger, server_default=text("((pg_current_xact_id())::text)::bigint")
    )
    kind: Mapped[str]  # station, location or tariff
    key: Mapped[str]  # the id of the station or the location; of a tariff, its operator's
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
