"""ReservationStatusUpdate (OCPP 2.0.1, H01.FR.16 and H04): a reservation nobody used is over."""

from typing import Any

from csms_gateway import notifications, reservations
from csms_gateway.charger import Charger


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    """Answered whatever it is about: the station has ended it already."""
    await notifications.keep(charger, "ReservationStatusUpdate", payload)
    told = payload["reservationUpdateStatus"]
    # Removed, or 2.1's NoTransaction: the driver came, but no session began.
    state = "expired" if told == "Expired" else "removed"
    await reservations.ended(charger, payload["reservationId"], state, told)
    return {}
