"""Settings of identity alone, beside the shared ones."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from common import settings
from common.contacts import Email
from identity import smtp_address
from identity.fields import Password


def _server(url: SecretStr) -> SecretStr:
    smtp_address.server(url.get_secret_value())
    return url


def _sender(text: str) -> str:
    smtp_address.sender(text)
    return text


class Settings(settings.Settings):
    # Both set and no login in the database: the first platform admin is made at start.
    bootstrap_email: Email | None = None
    bootstrap_password: Password | None = None

    public_url: str | None = Field(
        default=None,
        description="where people reach the console, https://…; links in mails and passkeys are "
        "of it",
    )
    smtp_url: Annotated[SecretStr, AfterValidator(_server)] | None = Field(
        default=None,
        description="the mail server: smtps://user:password@host, or smtp:// with STARTTLS (plain "
        "to loopback alone); without it, mail_from, public_url and secret_key no mail is sent, and "
        "what needs mail is refused",
    )
    mail_from: Annotated[str, AfterValidator(_sender)] | None = Field(
        default=None, description="who mails are from: OpenLade <no-reply@example.org>"
    )
    public_posts_per_minute: int = Field(
        default=30,
        ge=0,
        le=100_000,
        description="POSTs without a token that a network (/24 of IPv4, /64 of IPv6) may send to "
        "sign in, and as many to begin it; with a refresh token or an API key ten times as many. "
        "Each replica counts for itself, in memory. 0: no limit",
    )
    public_posts_per_hour: int = Field(
        default=300, ge=0, le=1_000_000, description="the same by hour"
    )
