"""ClearCache (OCPP 2.0.1, C11)."""

from typing import Any

from csms_gateway.commands.kinds import ClearCache


def payload(_: ClearCache) -> dict[str, Any]:
    return {}
