"""Pure: id tags and IdTagInfo (OCPP 1.6, 7.27 and 7.28)."""

from datetime import datetime
from typing import Any

from csms_gateway.charger import Unsupported
from csms_gateway.clocks import wire_time

ID_TAG_MAX = 20


def id_tag(id_token: str) -> str:
    """A token as 1.6 can carry it. Raises Unsupported."""
    if len(id_token) > ID_TAG_MAX:
        raise Unsupported(f"OCPP 1.6 takes tokens of at most {ID_TAG_MAX} characters")
    return id_token


def id_tag_info(
    status: str, expires_at: datetime | None = None, parent: str | None = None
) -> dict[str, Any]:
    # The only one of 2.x's words that identity uses and 1.6 lacks.
    info: dict[str, Any] = {"status": "Blocked" if status == "NoCredit" else status}
    if expires_at:
        info["expiryDate"] = wire_time(expires_at)
    # A longer one is left out, not cut: two groups could then look like one, and a card of either
    # would end the other's sessions.
    if parent and len(parent) <= ID_TAG_MAX:
        info["parentIdTag"] = parent
    return info
