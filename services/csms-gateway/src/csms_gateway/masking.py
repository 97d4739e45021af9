"""Pure: what no log, notification or command shows: passwords, keys, PINs, and personal data.

Only the actions that can carry one are looked into, so MeterValues and Heartbeats cost nothing. An
answer carries the action of its call; one without is looked into as well, for it may be a late
GetConfiguration.conf. A DataTransfer's own passwords are known by their names alone, also in JSON
that it carries as text; private keys in it are known as such.

What is evidence stays whole (R3): transactions, their events and what fits none of them show the
token that began them, a typed PIN too, to those who may read sessions.
"""

import contextlib
import re
from typing import Any, Final

import orjson

from csms_gateway.device_model import WRITE_ONLY, mutability
from csms_gateway.frames import DEPTH_MAX

MASK: Final = "***"

# Names and values: who asks for, sets or tells configuration.
NAMED: Final = {
    "ChangeConfiguration", "GetConfiguration", "SetVariables", "GetVariables", "SetNetworkProfile",
    "NotifyReport", "NotifyEvent", "NotifyMonitoringReport",
}  # fmt: skip
# Places to send files to or fetch them from, with a user's password in the address.
ADDRESSED: Final = {
    "GetDiagnostics", "UpdateFirmware", "SignedUpdateFirmware", "GetLog", "PublishFirmware",
}  # fmt: skip
# Certificates; by mistake with their private key.
KEYED: Final = {"InstallCertificate", "CertificateSigned", "SignCertificate", "DataTransfer"}
# Tokens of OCPP 2.x: a KeyCode is a PIN that a person typed.
TOKENED: Final = {
    "Authorize", "TransactionEvent", "RequestStartTransaction", "SendLocalList", "ReserveNow",
    "CustomerInformation",
}  # fmt: skip
# Told of a person on their request (GDPR, 15): kept apart and soon deleted.
PERSONAL: Final = "NotifyCustomerInformation"
KEY_CODE: Final = "KeyCode"

SECRET: Final = re.compile(
    r"password|passwd|passphrase|secret|authori[sz]ationkey|privatekey|credential|apikey"
    r"|vpnkey|psk$|pin$|pincode",
    re.IGNORECASE,
)
# Of 1.6's configuration, of 2.x's variables, and of a report's.
VALUES: Final = {"value", "attributeValue", "actualValue"}
VPN_KEY: Final = "key"  # of SetNetworkProfile's vpn: the shared secret
PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL
)
USER_OF_ADDRESS: Final = re.compile(r"(://[^/:@\s]*:)[^@/\s]+(?=@)")


def masked(action: str | None, frame: str) -> str:
    """The frame without its secrets; the very same string if it has none."""
    if action == PERSONAL:
        parts = orjson.loads(frame)
        return orjson.dumps([*parts[:-1], payload(action, parts[-1])]).decode()
    if action is None or action in NAMED or action in ADDRESSED or action in KEYED:
        return _without_secrets(frame)
    if action in TOKENED and KEY_CODE in frame:
        return _without_secrets(frame)
    return frame


def may_be_quoted(action: str, payload: dict[str, Any], words: str) -> bool:
    """Whether an error of this action's payload may show the words, which quote from it."""
    if action == PERSONAL or action in NAMED or action in ADDRESSED or action in KEYED:
        return False
    if action in TOKENED and KEY_CODE in str(payload):
        return False
    return not SECRET.search(words)


def kept(action: str, value: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a call whose payload says something that nothing hangs on."""
    if action in NAMED or action in ADDRESSED or action in KEYED:
        found: dict[str, Any] = _hidden(value)
        return found
    return value


def hidden(value: Any) -> Any:
    """The same for JSON that is no frame: what a command asked for, and its answer."""
    return _hidden(value)


def payload(action: str, value: dict[str, Any]) -> dict[str, Any]:
    """What a call of this action carries, without its secrets."""
    found: dict[str, Any] = _hidden(value)
    # An error that answers a call made by hand ends with whatever the charger put there.
    if action == PERSONAL and isinstance(found, dict) and "data" in found:
        found["data"] = MASK
    return found


def _without_secrets(frame: str) -> str:
    try:
        parts = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return _text(frame) if not SECRET.search(frame) else f"{MASK} {len(frame)} characters"
    without = _hidden(parts)
    return frame if without == parts else orjson.dumps(without).decode()


def _text(value: str, depth: int = 0) -> str:
    if "PRIVATE KEY" in value:
        value = PRIVATE_KEY.sub(MASK, value)
    if value.lstrip()[:1] in ("{", "[") and SECRET.search(value):
        # 1.6 has no other place than JSON as text for what a vendor's message carries.
        with contextlib.suppress(orjson.JSONDecodeError):
            parts = orjson.loads(value)
            without = _hidden(parts, depth + 1)
            return value if without == parts else orjson.dumps(without).decode()
    return USER_OF_ADDRESS.sub(rf"\1{MASK}", value) if "@" in value else value


def _hidden(value: Any, depth: int = 0, *, named: bool = False) -> Any:
    """named: what it belongs to has a secret's name, so its values are secret."""
    if depth > DEPTH_MAX:
        return MASK
    match value:
        case str():
            return _text(value, depth)
        case list():
            return [_hidden(item, depth + 1, named=named) for item in value]
        case dict():
            named = named or bool(SECRET.search(_name(value)))
            named = named or mutability(value.get("mutability")) == WRITE_ONLY
            key_code = value.get("type") == KEY_CODE
            return {
                member: MASK
                if _is_secret(member, inner, named=named, key_code=key_code)
                else _hidden(_vpn(member, inner), depth + 1, named=named)
                for member, inner in value.items()
            }
    return value


def _name(value: dict[str, Any]) -> str:
    """What a pair of name and value is called, in 1.6's words or in 2.x's."""
    variable = value.get("variable")
    name = variable.get("name") if isinstance(variable, dict) else value.get("key")
    return name if isinstance(name, str) else ""


def _is_secret(member: str, inner: Any, *, named: bool, key_code: bool) -> bool:
    if isinstance(inner, bool) or inner in (None, "", [], {}):
        return False
    if member in VALUES:
        return named
    if isinstance(inner, dict):
        return False  # of a password's policy, say; what is secret in it has a name again
    if member == "idToken":
        return key_code
    return bool(SECRET.search(member))


def _vpn(member: str, inner: Any) -> Any:
    if member == "vpn" and isinstance(inner, dict) and inner.get(VPN_KEY):
        return inner | {VPN_KEY: MASK}
    return inner
