"""Pure: our commands in the words of OCPP 1.6."""

from typing import Any


def translate(kind: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Action and payload of a command."""
    match kind:
        case "remote_start":
            payload: dict[str, Any] = {"idTag": parameters["id_token"]}
            if "evse_id" in parameters:
                payload["connectorId"] = parameters["evse_id"]
            return "RemoteStartTransaction", payload
        case "remote_stop":
            return "RemoteStopTransaction", {"transactionId": parameters["transaction_id"]}
    raise ValueError(f"OCPP 1.6 has no command {kind}")
