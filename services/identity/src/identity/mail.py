"""Mail: put into a table together with what it tells of, sent afterwards."""

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from common import mail
from common.mail import PLATFORM_NAME, TRIED_FOR, MailText, Voice
from identity.settings import Settings
from identity.tables import Mail, Operator

NEEDED: Final = ("smtp_url", "mail_from", "public_url", "secret_key")


class Mailing:
    """What routes that send mail need of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sealer = settings.sealer("identity")

    def require(self) -> None:
        """Raises MailNotConfigured; before anything else, so that it tells nothing."""
        self._settings.require(*NEEDED)

    def link(self, path: str, token: str) -> bytes:
        """Sealed. The token stands behind the #, which browsers send to nobody and log nowhere."""
        self.require()
        assert self._sealer
        base = (self._settings.public_url or "").rstrip("/")
        return self._sealer.seal(f"{base}/{path}#token={token}".encode())


def _of_app(request: Request) -> Mailing:
    mailing: Mailing = request.app.state.mailing
    return mailing


# For routes that make no sense without mail: they refuse before they do anything.
def _required(request: Request) -> Mailing:
    mailing = _of_app(request)
    mailing.require()
    return mailing


MailIfAny = Annotated[Mailing, Depends(_of_app)]
MailRequired = Annotated[Mailing, Depends(_required)]


async def voice(db: AsyncSession, operator_id: UUID | None, language: str | None = None) -> Voice:
    """The operator's name, and the language: if not told, its first; db must see it."""
    row = await db.get(Operator, operator_id) if operator_id else None
    if row is None:
        return Voice(PLATFORM_NAME, language or "en")
    return Voice(row.name, language or row.languages[0])


async def send(
    db: AsyncSession,
    operator_id: UUID | None,
    to: str,
    subject: str,
    text: str,
    *,
    language: str = "en",
    link: bytes | None = None,
    tried_for: timedelta = TRIED_FOR,
) -> None:
    """Have a mail sent if the transaction commits.

    link: of Mailing.link, put where text has mail.LINK when it is sent. tried_for: a server
    that is away is tried for so long.
    """
    values = mail.columns(to, subject, text, language=language, link=link, tried_for=tried_for)
    db.add(Mail(operator_id=operator_id, **values))
    await db.flush()


async def send_text(
    db: AsyncSession,
    operator_id: UUID | None,
    to: str,
    text: MailText,
    *,
    language: str,
    link: bytes | None = None,
    tried_for: timedelta = TRIED_FOR,
) -> None:
    await send(
        db,
        operator_id,
        to,
        text.subject,
        text.text,
        language=language,
        link=link,
        tried_for=tried_for,
    )
