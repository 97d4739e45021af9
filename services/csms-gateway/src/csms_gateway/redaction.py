"""Pure: what goes into no log and stays in no command: passwords, and personal data (GDPR, 5)."""

from typing import Any, Final

import orjson

from csms_gateway.device_model import WRITE_ONLY, secret

HIDDEN: Final = "***"
# Calls that may carry what is hidden; no other is looked into, for that takes time.
CALLS: Final = {
    "ChangeConfiguration", "NotifyCustomerInformation", "NotifyEvent", "NotifyReport",
    "SetNetworkProfile", "SetVariables",
}  # fmt: skip
# Members that are secret by their name: APNType, VPNType, NetworkConnectionProfileType (2.1).
MEMBERS: Final = {"apnPassword", "basicAuthPassword", "password", "simPin"}
VPN: Final = "vpn"
DEPTH_MAX: Final = 32  # of no payload in OCPP; whoever nests deeper wants to break us


def redacted(value: Any, depth: int = 0) -> Any:
    """The same with the values of secret variables, keys and members hidden. Takes any JSON."""
    if depth > DEPTH_MAX:
        return HIDDEN
    if isinstance(value, list):
        return [redacted(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: _member(name, item, depth) for name, item in value.items()}
    # A variable of OCPP 2.x, of a command of ours, or a key of 1.6.
    name = value.get("variable", value.get("key"))
    if isinstance(name, dict):
        name = name.get("name")
    hides = isinstance(name, str) and secret(name)
    for member in ("value", "attributeValue", "actualValue"):
        if hides and member in found:
            found[member] = HIDDEN
    attributes = found.get("variableAttribute")
    for attribute in attributes if isinstance(attributes, list) else ():
        if not isinstance(attribute, dict) or "value" not in attribute:
            continue
        if hides or attribute.get("mutability") == WRITE_ONLY:
            attribute["value"] = HIDDEN
    return found


def _member(name: str, value: Any, depth: int) -> Any:
    if name in MEMBERS and not isinstance(value, dict | list):
        return HIDDEN
    if name == VPN and isinstance(value, dict) and "key" in value:
        value = value | {"key": HIDDEN}
    return redacted(value, depth + 1)


def payload(action: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    """Of a call of this action, or of an answer (None)."""
    if action is not None and action not in CALLS:
        return payload
    found: dict[str, Any] = redacted(payload)
    if action == "NotifyCustomerInformation" and "data" in found:
        found["data"] = HIDDEN
    return found


def frame(kind: str, action: str | None, text: str) -> str:
    """A frame for the log: as it was, unless something in it is to be hidden."""
    if kind != "result" and action not in CALLS:
        return text
    parts = orjson.loads(text)
    hidden = payload(action if kind != "result" else None, parts[-1])
    return text if hidden == parts[-1] else orjson.dumps([*parts[:-1], hidden]).decode()
