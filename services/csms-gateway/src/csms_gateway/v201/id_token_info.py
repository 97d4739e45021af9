"""Pure: IdTokenInfoType (OCPP 2.0.1, 2.29) from what identity decided."""

from typing import Any

from common.authorize import AuthorizeAnswer
from csms_gateway.clocks import wire_time

GROUP_TYPE = "Central"  # groups are ours, not something a reader has read


def id_token_info(answer: AuthorizeAnswer) -> dict[str, Any]:
    info: dict[str, Any] = {"status": answer.status}
    if answer.expires_at:
        info["cacheExpiryDateTime"] = wire_time(answer.expires_at)
    if answer.parent_id_token:
        info["groupIdToken"] = {"idToken": answer.parent_id_token[:36], "type": GROUP_TYPE}
    return info
