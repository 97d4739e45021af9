"""CancelReservation (OCPP 1.6, 5.2)."""

from typing import Any

from csms_gateway.commands.kinds import CancelReservation


def payload(command: CancelReservation) -> dict[str, Any]:
    return {"reservationId": command.reservation_id}
