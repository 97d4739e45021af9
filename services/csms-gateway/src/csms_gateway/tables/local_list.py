"""Local authorization lists: what is wanted, and what is known to be on the station."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from csms_gateway.tables.declarative import Table


class LocalList(Table):
    __tablename__ = "local_list"
    __table_args__ = (
        CheckConstraint(
            "state in ('unmanaged', 'sending', 'in_sync', 'differs', 'failed', 'version_mismatch')",
            name="state",
        ),
    )

    station_id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(
        default=0, server_default="0", comment="of what is wanted; ETag"
    )
    entries: Mapped[list[dict[str, Any]] | None] = mapped_column(
        comment="wanted; null: nobody has said"
    )
    state: Mapped[str] = mapped_column(default="unmanaged", server_default="unmanaged")
    command_id: Mapped[UUID | None] = mapped_column(comment="the last one to send what is wanted")
    changed_at: Mapped[datetime]
    # As the version of OCPP that was spoken writes them; null: not known.
    installed: Mapped[list[dict[str, Any]] | None]
    installed_protocol: Mapped[str | None]
    installed_version: Mapped[int | None] = mapped_column(Integer, comment="the station's number")
    installed_at: Mapped[datetime | None]
    last_version: Mapped[int] = mapped_column(
        Integer, default=0, server_default=text("0"), comment="the highest number ever sent or told"
    )
    pending_version: Mapped[int | None] = mapped_column(
        Integer, comment="of the last part being sent; while it is there nothing is certain"
    )
