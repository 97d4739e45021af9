"""StartTransaction (OCPP 1.6, 4.8)."""

from decimal import Decimal
from typing import Any

from csms_gateway import charging_states, reservations, transactions
from csms_gateway.charger import Charger
from csms_gateway.readings import REGISTER_MAX, number
from csms_gateway.schemas import Violation
from csms_gateway.v16.id_tag import id_tag_info
from csms_gateway.v16.status_notification import connector

# Twice and more what is allowed, for a session of an odd charger is a session too. Both are keys
# in the database, so they cannot be of any length.
ID_TOKEN_MAX = 64
TIMESTAMP_MAX = 64


def register(payload: dict[str, Any], name: str) -> int:
    """A meter register in Wh. Raises Violation."""
    # Some chargers send 12500.0; and an int of 1e1000000 would keep every charger waiting a minute.
    read = number(str(payload[name]))
    if read is None:
        raise Violation("TypeConstraintViolation", f"{name} is no number of Wh")
    value = int(Decimal(read))
    if not -REGISTER_MAX < value < REGISTER_MAX:
        raise Violation("PropertyConstraintViolation", f"{name} {value} cannot be")
    return value


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    evse_id = connector(payload, least=1)
    started = await transactions.start(
        charger,
        transactions.StartReport(
            evse_id=evse_id,
            connector_id=1,
            id_token=payload["idTag"][:ID_TOKEN_MAX],
            meter_start_wh=register(payload, "meterStart"),
            at=payload["timestamp"][:TIMESTAMP_MAX],
            payload=payload,
        ),
    )
    await charging_states.before_start(charger, evse_id, started.session_id, started.started_at)
    if started.reserved or "reservationId" in payload:
        await reservations.used(
            charger,
            reservations.Use(
                started.session_id, payload.get("reservationId"), evse_id, payload["idTag"],
                payload["timestamp"],
            ),
        )  # fmt: skip
    return {
        "transactionId": started.transaction_id,
        "idTagInfo": id_tag_info(started.token_status, started.expires_at, started.parent_id_token),
    }
