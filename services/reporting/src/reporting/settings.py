"""Settings of reporting alone, beside the shared ones."""

from common import settings


class Settings(settings.Settings):
    pass
