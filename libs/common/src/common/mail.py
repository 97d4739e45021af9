"""Mail: put into a service's own table together with what it tells of, sent afterwards.

The table mail stands in the service's schema; common.mail_delivery brings what waits there.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr
from sqlalchemy import Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from common import settings, smtp_address
from common.clock import now
from common.ids import uuid7
from common.problems import Problem

TRIED_FOR: Final = timedelta(hours=24)
# Stands for the link until the mail is sent: a stored text never holds what opens a door.
LINK: Final = "{link}"
PLATFORM_NAME: Final = "OpenLade"


class MailNotConfigured(Problem):
    status = 503
    title = "This installation sends no mail"


class MailText(NamedTuple):
    subject: str
    text: str


class Voice(NamedTuple):
    """In whose name a mail speaks, and how."""

    name: str
    language: str


def either(language: str, german: MailText, english: MailText) -> MailText:
    """German, or what most others read."""
    return german if language.partition("-")[0] == "de" else english


def _server(url: SecretStr) -> SecretStr:
    smtp_address.server(url.get_secret_value())
    return url


def _sender(text: str) -> str:
    smtp_address.sender(text)
    return text


class MailSettings(settings.Settings):
    """Of services that send mail."""

    smtp_url: Annotated[SecretStr, AfterValidator(_server)] | None = Field(
        default=None,
        description="the mail server: smtps://user:password@host, or smtp:// with STARTTLS (plain "
        "to loopback alone); without it and mail_from (for what has a link, public_url and "
        "secret_key as well) no mail is sent, and what needs mail is refused",
    )
    mail_from: Annotated[str, AfterValidator(_sender)] | None = Field(
        default=None, description="who mails are from: OpenLade <no-reply@example.org>"
    )

    def require(self, *names: str) -> None:
        """Raises MailNotConfigured."""
        if missing := [name for name in names if getattr(self, name) is None]:
            wanted = ", ".join(f"CSMS_{name.upper()}" for name in missing)
            raise MailNotConfigured(f"set {wanted}")


def waiting_index() -> Index:
    return Index(
        "ix_mail_waiting",
        "next_try_at",
        postgresql_where=text("sent_at is null and failed_at is null"),
    )


class MailColumns:
    """An outbox: the row commits with what it tells of, and is sent afterwards."""

    __tablename__ = "mail"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    recipient: Mapped[str]
    language: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]  # LINK stands for the link
    link: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed; gone once it is sent
    made_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    give_up_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


def columns(
    to: str,
    subject: str,
    text: str,
    *,
    language: str = "en",
    link: bytes | None = None,
    tried_for: timedelta = TRIED_FOR,
) -> dict[str, Any]:
    """The values of a new row. tried_for: a server that is away is tried for so long."""
    at = now()
    return {
        "recipient": to,
        "language": language,
        # Of one line: whatever it is made of, it cannot become another header.
        "subject": " ".join("".join(c if c.isprintable() else " " for c in subject).split()),
        "text": text,
        "link": link,
        "made_at": at,
        "next_try_at": at,
        "give_up_at": at + tried_for,
    }
