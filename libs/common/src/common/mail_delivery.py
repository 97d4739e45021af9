"""Mails leave by SMTP. One at a time, by whichever replica takes it first.

A mail is taken for TAKEN and its try counted before it is sent: no database connection is held
while a server dawdles, and what a crashed replica had taken is tried again, under the same
Message-ID, by which a mail that comes twice is known.
"""

import asyncio
import logging
import ssl
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as RULES
from email.utils import format_datetime
from typing import Final

import aiosmtplib
from prometheus_client import Counter
from sqlalchemy import delete, or_, select, update

from common import smtp_address
from common.clock import now
from common.database import PLATFORM, Connections
from common.mail import LINK, MailColumns, MailSettings
from common.sealing import Sealer
from common.smtp_address import Server

log = logging.getLogger(__name__)

POLL_S: Final = 1.0
REPLY_S: Final = 20.0  # for one answer of the server
WHOLE_S: Final = 90.0  # for one mail; less than TAKEN, or another replica sends it too
TAKEN: Final = timedelta(minutes=3)
WAIT_MIN: Final = timedelta(minutes=1)
WAIT_MAX: Final = timedelta(hours=1)
KEPT: Final = timedelta(days=30)
ERROR_MAX: Final = 300

MAILS = Counter("csms_mails_total", "Mails by what came of a try", ["outcome"])


class Undeliverable(Exception):
    """Trying again would change nothing."""


def pause(tries: int) -> timedelta:
    """After so many failed tries: 1, 2, 4 … minutes, an hour at most."""
    return min(WAIT_MIN * (1 << min(tries - 1, 10)), WAIT_MAX)


class Delivery:
    """A way to one mail server, for the mails of a service's table.

    sealer: opens their links; None where none has one.
    """

    def __init__(
        self,
        table: type[MailColumns],
        server: Server,
        sender: Address,
        sealer: Sealer | None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.table = table
        self._server = server
        self._sender = sender
        self._sealer = sealer
        self._tls = tls

    async def deliver(self, row: MailColumns) -> None:
        """Raises Undeliverable, or what aiosmtplib, asyncio and ssl raise for the time being."""
        message = self.message(row)
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            # Otherwise asked of the DNS, each time and without a limit.
            local_hostname=self._sender.domain,
            timeout=REPLY_S,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls,
        )
        async with asyncio.timeout(WHOLE_S):
            try:
                async with client:
                    await client.send_message(
                        message, sender=self._sender.addr_spec, recipients=[row.recipient]
                    )
            except aiosmtplib.SMTPRecipientsRefused as refused:
                raise _final(refused.recipients[0]) or refused from refused
            except aiosmtplib.SMTPDataError as refused:
                raise _final(refused) or refused from refused

    def message(self, row: MailColumns) -> EmailMessage:
        """Raises Undeliverable."""
        text = row.text
        message = EmailMessage(policy=RULES)
        try:
            if row.link is not None:
                if self._sealer is None:
                    raise ValueError("secret_key is not set")
                text = text.replace(LINK, self._sealer.open(row.link).decode())
            message["From"] = self._sender
            message["To"] = Address(addr_spec=row.recipient)
            message["Subject"] = row.subject
        except (ValueError, IndexError) as error:
            # Not an address, or sealed with a key that is no longer there.
            raise Undeliverable(str(error)) from error
        message["Date"] = format_datetime(row.made_at)
        message["Message-ID"] = f"<{row.id}@{self._sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notes, please
        message.set_content(text, cte="quoted-printable")
        message["Content-Language"] = row.language
        return message


def _final(refused: aiosmtplib.SMTPResponseException) -> Undeliverable | None:
    """5xx about this mail (RFC 5321, 4.2.1). One about us, such as a wrong password, may pass."""
    return Undeliverable(f"{refused.code} {refused.message}") if refused.code >= 500 else None


def delivery(
    settings: MailSettings, table: type[MailColumns], sealer: Sealer | None
) -> Delivery | None:
    """None: no mail is sent here."""
    if settings.smtp_url is None or settings.mail_from is None:
        return None
    server = smtp_address.server(settings.smtp_url.get_secret_value())
    return Delivery(table, server, smtp_address.sender(settings.mail_from), sealer)


async def deliver(connections: Connections, way: Delivery) -> None:
    while True:
        while await deliver_once(connections, way):
            pass
        await asyncio.sleep(POLL_S)


async def deliver_once(connections: Connections, way: Delivery) -> bool:
    """Try the mail that waits longest; whether there was one."""
    row = await _take(connections, way.table)
    if row is None:
        return False
    try:
        await way.deliver(row)
    except Undeliverable as error:
        await _failed(connections, way.table, row, error, final=True)
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
        final = now() + pause(row.tries) > row.give_up_at
        await _failed(connections, way.table, row, error, final=final)
    else:
        await _note(connections, way.table, row, sent_at=now(), link=None, last_error=None)
        MAILS.labels("sent").inc()
    return True


async def _take(connections: Connections, table: type[MailColumns]) -> MailColumns | None:
    at = now()
    async with connections.begin(PLATFORM) as db:
        waiting = (
            select(table.id)
            .where(table.sent_at.is_(None), table.failed_at.is_(None), table.next_try_at <= at)
            .order_by(table.next_try_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        # Equal, not in: what stands behind IN may run anew for each row, and more be taken.
        taken = update(table).where(table.id == waiting.scalar_subquery())
        taken = taken.values(tries=table.tries + 1, next_try_at=at + TAKEN)
        return await db.scalar(taken.returning(table))


async def _failed(
    connections: Connections,
    table: type[MailColumns],
    row: MailColumns,
    error: Exception,
    *,
    final: bool,
) -> None:
    why = "".join(c if c.isprintable() else " " for c in f"{type(error).__name__}: {error}")
    why = why[:ERROR_MAX]
    if final:
        log.warning("mail %s is given up after %d tries: %s", row.id, row.tries, why)
        await _note(connections, table, row, failed_at=now(), link=None, last_error=why)
    else:
        log.info("mail %s is tried again: %s", row.id, why)
        await _note(connections, table, row, next_try_at=now() + pause(row.tries), last_error=why)
    MAILS.labels("failed" if final else "deferred").inc()


async def _note(
    connections: Connections, table: type[MailColumns], row: MailColumns, **values: object
) -> None:
    async with connections.begin(PLATFORM) as db:
        await db.execute(update(table).where(table.id == row.id).values(**values))


async def prune_once(connections: Connections, table: type[MailColumns]) -> None:
    """What was sent or given up, a month later."""
    oldest: datetime = now() - KEPT
    async with connections.begin(PLATFORM) as db:
        over = or_(table.sent_at < oldest, table.failed_at < oldest)
        await db.execute(delete(table).where(over))
