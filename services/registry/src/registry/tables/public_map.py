"""What the public map needs beside the stations: prices, and what of it may have changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from common.tariffs import TariffColumns
from registry.tables.declarative import Table


class Tariff(TariffColumns, Table):
    """Our copy of billing's tariffs: of an operator whose stations' own prices are not told yet."""


class DisplayPrice(Table):
    """What a station shows whoever has no contract, told by billing, maybe before the station."""

    __tablename__ = "display_price"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    version: Mapped[int]
    # common.events.DisplayPrice; None: it has no price.
    shown: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


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
