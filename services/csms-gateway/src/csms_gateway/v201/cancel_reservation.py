"""CancelReservation (OCPP 2.0.1, H02)."""

from typing import Any

from csms_gateway.commands.kinds import CancelReservation


def payload(command: CancelReservation) -> dict[str, Any]:
    return {"reservationId": command.reservation_id}
