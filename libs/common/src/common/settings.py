"""Settings every service shares; a service subclasses this and adds its own."""

import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, PostgresDsn, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.sealing import Sealer


def _networks(text: str) -> str:
    list(networks(text))
    return text


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Raises ValueError."""
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


class Settings(BaseSettings):
    """Read from CSMS_* environment variables and nowhere else."""

    # An invalid value may hold a password: errors end in the log and do not show it.
    model_config = SettingsConfigDict(env_prefix="CSMS_", frozen=True, hide_input_in_errors=True)

    # No default: an address with a password in it is a secret.
    database_url: PostgresDsn = Field(
        description="PostgreSQL 14 or newer; its user must be a member of the role csms_<service>, "
        "and to migrate, be allowed to make schemas and roles"
    )
    nats_url: str = Field(
        default="nats://127.0.0.1:4222", description="NATS 2.10 or newer with JetStream"
    )
    jwks_url: str = Field(
        default="http://127.0.0.1:8003/.well-known/jwks.json",
        description="identity's public signing keys, fetched in the background",
    )
    host: str = Field(default="127.0.0.1", description="the address that REST listens on")
    log_level: str = Field(default="info", description="debug, info, warning or error")
    log_format: str = Field(default="json", description="json, or text for a terminal")
    db_pool_size: int = Field(
        default=10, ge=1, le=200, description="connections a service and replica"
    )

    secret_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="encrypts private keys, passwords and other secrets at rest; without it what "
        "needs one is refused. Random; the same for every replica and service, for good",
    )

    trusted_proxies: Annotated[str, AfterValidator(_networks)] = Field(
        default="",
        description="CIDRs, apart by commas, of the ingress whose X-Forwarded-Proto and "
        "X-Forwarded-For (and before OCPP, X-SSL-Client-Cert, url-encoded PEM) are believed; it "
        "must overwrite what clients send",
    )

    allow_private_endpoints: bool = Field(
        default=False,
        description="webhooks, partners' endpoints and OIDC providers may be called at loopback "
        "and private addresses, and by http; for local stacks and tests only",
    )

    csms_gateway_port: int = Field(default=8001, description="REST")
    registry_port: int = Field(default=8002, description="REST")
    identity_port: int = Field(default=8003, description="REST")
    billing_port: int = Field(default=8004, description="REST")
    reporting_port: int = Field(default=8005, description="REST")

    def sealer(self, service: str) -> Sealer | None:
        """None: no secret_key is set."""
        return Sealer(self.secret_key.get_secret_value(), service) if self.secret_key else None

    def port(self, service: str) -> int:
        """The REST port of a service, named as its folder: csms-gateway."""
        return int(getattr(self, service.replace("-", "_") + "_port"))


Kind = TypeVar("Kind", bound=Settings)


def of_command(kind: type[Kind]) -> Kind:
    """Settings of what somebody types; if they are wrong, a sentence about it and exit status 2."""
    try:
        return kind()  # type: ignore[call-arg]
    except ValidationError as error:
        wrong = "; ".join(_wrong(str(one["loc"][0]), one["msg"]) for one in error.errors())
        print(wrong, file=sys.stderr)  # noqa: T201 - a command's answer
        sys.exit(2)


def _wrong(name: str, message: str) -> str:
    variable = f"CSMS_{name.upper()}"
    return f"{variable} is not set" if message == "Field required" else f"{variable}: {message}"
