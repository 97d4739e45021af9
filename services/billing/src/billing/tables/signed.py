"""Signed readings, the keys that they are verified by, and what came of it."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.tables.declarative import Table


class SignedReading(Table):
    """As the charger sent it, byte for byte; never changed. May come before its session."""

    __tablename__ = "signed_reading"
    __table_args__ = (
        UniqueConstraint("message_id", "place"),
        Index(None, "session_id", "id"),
        # Whether a reading was told of another session too. Of the text itself no index can be: it
        # may be longer than a page.
        Index("ix_signed_reading_same", "station_id", text("md5(data)")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    operator_id: Mapped[UUID]
    session_id: Mapped[UUID]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    message_id: Mapped[UUID]  # the gateway's, which has the whole message
    place: Mapped[int]  # in the message
    sampled_at: Mapped[datetime]
    received_at: Mapped[datetime]
    context: Mapped[str]
    measurand: Mapped[str]
    data: Mapped[str]
    signing_method: Mapped[str | None]
    encoding_method: Mapped[str | None]
    public_key: Mapped[str | None]  # that the charger sent; nothing is verified by it


class MeterKey(Table):
    """The public key of an EVSE's meter since a moment, as registry told it; None: no longer any.

    A row a change, by the version of the station that brought it.
    """

    __tablename__ = "meter_key"

    station_id: Mapped[str] = mapped_column(primary_key=True)
    evse_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    operator_id: Mapped[UUID]
    since_at: Mapped[datetime]
    public_key: Mapped[str | None]


class Verification(Table):
    """Of a session with signed readings; verdict None: it is to be looked at once it has ended."""

    __tablename__ = "verification"
    __table_args__ = (
        Index(
            "ix_verification_open",
            "session_id",
            postgresql_where=text("verdict is null"),
        ),
        # What a key that is registered later may verify.
        Index(
            "ix_verification_no_key",
            "station_id",
            "evse_id",
            postgresql_where=text("verdict = 'no_key'"),
        ),
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    operator_id: Mapped[UUID]
    station_id: Mapped[str]
    evse_id: Mapped[int]
    verdict: Mapped[str | None]  # billing.signed.judging.Verdict
    why: Mapped[list[str]] = mapped_column(ARRAY(Text))
    energy_wh: Mapped[Decimal | None]  # that the meter has signed
    public_key: Mapped[str | None]  # by which it was looked at
    checked_at: Mapped[datetime | None]
