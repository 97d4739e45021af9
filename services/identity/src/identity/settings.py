"""Settings of identity alone, beside the shared ones."""

from pydantic import Field

from common import settings
from identity.fields import Email, Password


class Settings(settings.Settings):
    # Both set and no login in the database: the first platform admin is made at start.
    bootstrap_email: Email | None = None
    bootstrap_password: Password | None = None

    public_url: str | None = Field(
        default=None,
        description="where people reach the console, https://…; links in mails and passkeys are "
        "of it",
    )
