"""Pure: where passwords are in calls, answers and commands, so that no record shows one."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from csms_gateway.masking import MASK

# Write-only in every version: 1.6 security whitepaper, 7.2; 2.0.1, SecurityCtrlr.
PASSWORDS: Final = {"authorizationkey", "basicauthpassword"}

Place = tuple[dict[str, Any], str]


def _is_password(name: Any) -> bool:
    return isinstance(name, str) and name.casefold() in PASSWORDS


def _items(payload: dict[str, Any], member: str) -> Iterator[dict[str, Any]]:
    found = payload.get(member)
    if isinstance(found, list):
        yield from (one for one in found if isinstance(one, dict))


def _member(payload: dict[str, Any], name: str) -> dict[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _station_passwords(what: str, payload: dict[str, Any]) -> Iterator[Place]:
    """The station's own password in a call (what: its action) or a command (what: its type)."""
    match what:
        case "ChangeConfiguration" if _is_password(payload.get("key")):
            yield payload, "value"
        case "SetVariables":
            for item in _items(payload, "setVariableData"):
                if _is_password(_member(item, "variable").get("name")):
                    yield item, "attributeValue"
        case "set_variables":
            for item in _items(payload, "variables"):
                if _is_password(item.get("variable")):
                    yield item, "value"


def _others(what: str, payload: dict[str, Any]) -> Iterator[Place]:
    """Passwords of networks."""
    if what in {"SetNetworkProfile", "set_network_profile"}:
        data = _member(payload, "connectionData") or _member(payload, "connection_data")
        yield data, "basicAuthPassword"
        yield _member(data, "apn"), "apnPassword"
        yield _member(data, "vpn"), "password"
        yield _member(data, "vpn"), "key"


def _places(what: str, payload: dict[str, Any]) -> list[Place]:
    if what == "ocpp":
        return _places(str(payload.get("action")), _member(payload, "payload"))
    places = [*_station_passwords(what, payload), *_others(what, payload)]
    return [(holder, name) for holder, name in places if isinstance(holder.get(name), str)]


def take_out(what: str, payload: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The payload with masks for passwords, and the passwords in their order.

    what: an action of OCPP, or the type of a command.
    """
    if not _places(what, payload):
        return payload, []
    masked = deepcopy(payload)
    secrets = []
    for holder, name in _places(what, masked):
        secrets.append(holder[name])
        holder[name] = MASK
    return masked, secrets


def put_back(what: str, masked: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    """take_out, undone."""
    payload = deepcopy(masked)
    for (holder, name), secret in zip(_places(what, payload), secrets, strict=True):
        holder[name] = secret
    return payload


def station_passwords(action: str, payload: dict[str, Any]) -> list[str]:
    """New passwords of the station itself that a call carries."""
    return [str(holder[name]) for holder, name in _station_passwords(action, payload)]


def taken(action: str, answer: dict[str, Any]) -> bool:
    """Whether the station has taken the password in that call, by its answer."""
    good = {"Accepted", "RebootRequired"}
    if action == "ChangeConfiguration":
        return answer.get("status") in good
    return any(
        item.get("attributeStatus") in good and _is_password(_member(item, "variable").get("name"))
        for item in _items(answer, "setVariableResult")
    )
