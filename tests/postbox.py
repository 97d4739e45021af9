"""A real mail server that keeps what it is sent."""

import asyncio
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from functools import partial
from typing import Any
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult
from stack import eventually

ARRIVES_S = 30.0  # mails leave one by one, and the machine may be busy


class Postbox:
    """Refuses later@… with 451 and never@… with 550, and unwanted texts with 554."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.open = True  # if not, later@… is told to come again
        self.logged_in: list[bytes] = []
        self.was_tls: list[bool] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("never@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later@") and self.open:
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if b"unwanted" in envelope.content:
            return "554 5.7.1 we think that this is spam"
        parser = BytesParser(policy=email.policy.default)
        message = parser.parsebytes(envelope.content)
        assert isinstance(message, EmailMessage)
        message["X-Envelope"] = ",".join(envelope.rcpt_tos)
        self.was_tls.append(session.ssl is not None)
        self.mails.append(message)
        return "250 OK"

    def authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        self.logged_in += [data.login, data.password]
        return AuthResult(success=data.password == b"secret of the post")

    def to(self, address: str) -> list[EmailMessage]:
        return [one for one in self.mails if one["To"] == address]

    async def next_to(self, address: str, number: int = 1) -> EmailMessage:
        """The mail with this number to the address, once it is there."""

        async def there() -> bool:
            return len(self.to(address)) >= number

        await eventually(there, ARRIVES_S)
        return self.to(address)[number - 1]


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content())


def token_in(mail: EmailMessage) -> str:
    """What stands behind the # of its link."""
    return text_of(mail).partition("#token=")[2].split()[0]


@asynccontextmanager
async def post_office(
    tls: ssl.SSLContext | None = None, *, login: bool = False
) -> AsyncIterator[Postbox]:
    """With TLS it wants STARTTLS; with login a name and a password, over whatever it is asked."""
    box = Postbox()
    how: dict[str, Any] = {"tls_context": tls, "require_starttls": tls is not None}
    if login:
        how |= {"authenticator": box.authenticate, "auth_required": True}
    factory = partial(SMTP, box, **how)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box
        await asyncio.sleep(0.1)  # the last connection ends, too


def mailbox() -> str:
    return f"{uuid4().hex}@post.example"
