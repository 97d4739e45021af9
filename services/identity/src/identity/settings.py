"""Settings of identity alone, beside the shared ones."""

from pydantic import Field

from common.contacts import Email
from common.mail import MailSettings
from identity.fields import Password


class Settings(MailSettings):
    # Both set and no login in the database: the first platform admin is made at start.
    bootstrap_email: Email | None = None
    bootstrap_password: Password | None = None

    public_url: str | None = Field(
        default=None,
        description="where people reach the console, https://…; links in mails and passkeys are "
        "of it",
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
