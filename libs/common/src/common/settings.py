"""Settings every service shares; a service subclasses this and adds its own."""

from pydantic import PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from CSMS_* environment variables and nowhere else."""

    model_config = SettingsConfigDict(env_prefix="CSMS_", frozen=True)

    # No default: an address with a password in it is a secret.
    database_url: PostgresDsn
    nats_url: str = "nats://127.0.0.1:4222"
    jwks_url: str = "http://127.0.0.1:8003/.well-known/jwks.json"
    host: str = "127.0.0.1"
    log_level: str = "info"
    log_format: str = "json"
    db_pool_size: int = 10

    csms_gateway_port: int = 8001
    registry_port: int = 8002
    identity_port: int = 8003
    billing_port: int = 8004
    reporting_port: int = 8005

    def port(self, service: str) -> int:
        """The REST port of a service, named as its folder: csms-gateway."""
        return int(getattr(self, service.replace("-", "_") + "_port"))
