"""Pure: IdTagInfo (OCPP 1.6, 7.27)."""

from datetime import datetime
from typing import Any

ID_TAG_MAX = 20


def id_tag_info(
    status: str, expires_at: datetime | None = None, parent: str | None = None
) -> dict[str, Any]:
    info: dict[str, Any] = {"status": status}
    if expires_at:
        info["expiryDate"] = expires_at.isoformat().replace("+00:00", "Z")
    if parent:
        info["parentIdTag"] = parent[:ID_TAG_MAX]
    return info
