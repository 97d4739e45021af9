"""Pure: what every call of ours in OCPP 1.6 goes through before it is one.

A typed command says more than 1.6 can carry: longer addresses and tokens, several connectors an
EVSE. What does not fit is Unsupported, with the reason, before anything is sent.
"""

from typing import Any

from csms_gateway import schemas
from csms_gateway.charger import Call, Unsupported


def call(action: str, payload: dict[str, Any]) -> Call:
    """Raises Unsupported."""
    try:
        schemas.check_outgoing("v16", action, payload)
    except schemas.Violation as violation:
        raise Unsupported(f"OCPP 1.6 cannot carry this: {violation}") from None
    return Call(action, payload)


def connector(evse_id: int, connector_id: int | None) -> int:
    """OCPP 1.6 numbers connectors through the station, and each is an EVSE of ours with one
    connector. Raises Unsupported.
    """
    if connector_id not in (None, 1):
        raise Unsupported(
            f"in OCPP 1.6 an EVSE has one connector, number 1; there is no {connector_id}"
        )
    return evse_id


def without_none(**members: Any) -> dict[str, Any]:
    """A payload of the members that are there."""
    return {name: value for name, value in members.items() if value is not None}
