"""Pure: did the charger take a command? Read from its answer, whatever the version and action."""

from typing import Any, Final, NamedTuple

TAKEN: Final = {
    "Accepted", "AcceptedCanceled", "Scheduled", "RebootRequired", "Unlocked", "Unpublished",
}  # fmt: skip


def taken(answer: dict[str, Any]) -> bool:
    """An answer without any status is one that only informs, so the command was taken.

    Of an answer with a result an item (GetVariables, SetVariableMonitoring, …) each counts; where
    there is none at all, nothing was taken.
    """
    status = answer.get("status")
    if status is not None:
        return isinstance(status, str) and status in TAKEN
    for name, results in answer.items():
        if name.endswith("Result") and isinstance(results, list):
            return bool(results) and all(_status(one) in TAKEN for one in results)
    return True


def _status(result: Any) -> str:
    """Empty if there is none."""
    if not isinstance(result, dict):
        return ""
    status = result.get("status", result.get("attributeStatus"))
    return status if isinstance(status, str) else ""


class Start(NamedTuple):
    """What the session that a call asks for will be known by: token and EVSE, or its number."""

    id_token: str | None
    evse_id: int | None
    remote_start_id: int | None


def start_of(action: str, payload: dict[str, Any]) -> Start | None:
    """None: the call asks for no session."""
    match action:
        case "RemoteStartTransaction":
            return Start(str(payload["idTag"]).upper(), payload.get("connectorId"), None)
        case "RequestStartTransaction":
            return Start(None, payload.get("evseId"), payload["remoteStartId"])
    return None
