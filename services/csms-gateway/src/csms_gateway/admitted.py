"""Pure: what is known of a station once it has been let in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from csms_gateway.standing import Registration


@dataclass(frozen=True, slots=True)
class Admitted:
    """A station that may connect; max power in W by EVSE, where known."""

    station_id: str
    operator_id: UUID
    power_by_evse: Mapping[int, int]
    # Of the station and its password, as they were when it connected.
    versions: tuple[int, int]
    # What its newest BootNotification was answered.
    boot_answer: Registration = "accepted"
    security_profile: int = 1
    # What it proved itself with, described; see client_certificates.
    certificate: dict[str, Any] | None = None
