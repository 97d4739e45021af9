"""Pure: which mail server, and how it is spoken to, out of one URL; and who sends."""

from email.errors import MessageError
from email.headerregistry import Address
from email.policy import SMTP as RULES
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

PORTS: Final = {"smtp": 587, "smtps": 465}


class Server(NamedTuple):
    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    username: str | None
    password: str | None


def server(url: str) -> Server:
    """smtps://… is TLS from the start; smtp://… STARTTLS, and plain on loopback alone.

    Raises ValueError, without the URL in it: there may be a password in that.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not a URL") from None
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("write smtp://user:password@host:587 or smtps://user:password@host")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("a user has a password")
    if parts.scheme == "smtps":
        security: Literal["tls", "starttls", "none"] = "tls"
    else:
        security = "none" if loopback(parts.hostname) else "starttls"
    return Server(
        parts.hostname,
        port or PORTS[parts.scheme],
        security,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def sender(text: str) -> Address:
    """OpenLade <no-reply@example.org>, or the address alone. Raises ValueError."""
    try:
        header = RULES.header_factory("From", text)
    except (MessageError, ValueError, IndexError):
        raise ValueError("not an e-mail address") from None
    addresses: tuple[Address, ...] = header.addresses
    if header.defects or len(addresses) != 1 or not addresses[0].domain:
        raise ValueError("write one address, such as OpenLade <no-reply@example.org>")
    return addresses[0]
