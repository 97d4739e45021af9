"""StartTransaction (OCPP 1.6, 4.8)."""

from typing import Any

from csms_gateway import transactions
from csms_gateway.charger import Charger
from csms_gateway.schemas import Violation
from csms_gateway.v16.id_tag import id_tag_info
from csms_gateway.v16.status_notification import connector

REGISTER_MAX = 2**53  # Wh; what a float64 still counts exactly, and more than any meter shows


def register(payload: dict[str, Any], name: str) -> int:
    """A meter register in Wh. Raises Violation."""
    value = int(payload[name])
    if not -REGISTER_MAX < value < REGISTER_MAX:
        raise Violation("PropertyConstraintViolation", f"{name} {value} cannot be")
    return value


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    number = connector(payload, least=1)
    started = await transactions.start(
        charger,
        transactions.StartReport(
            evse_id=number,
            connector_id=1,
            id_token=payload["idTag"],
            meter_start_wh=register(payload, "meterStart"),
            at=payload["timestamp"],
            payload=payload,
        ),
    )
    return {
        "transactionId": started.transaction_id,
        "idTagInfo": id_tag_info(started.token_status, started.expires_at),
    }
