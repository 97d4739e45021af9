"""Pure: commands that only OCPP 2.x has, made from its official schemas.

Nothing to be neutral about, so they mirror it: the type is the action and the members are the
payload's, in snake_case; what is nested stays as OCPP has it. GetBaseReport is
{"type": "get_base_report", "report_base": "FullInventory"}.
"""

import json
import re
from importlib import resources
from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from csms_gateway.commands.kinds import Kind

# By the version that has it first; each is a call of ours, not of the charger's.
ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "v201": (
        "ClearDisplayMessage", "ClearVariableMonitoring", "CostUpdated", "CustomerInformation",
        "GetBaseReport", "GetChargingProfiles", "GetDisplayMessages", "GetMonitoringReport",
        "GetReport", "GetTransactionStatus", "PublishFirmware", "SetDisplayMessage",
        "SetMonitoringBase", "SetMonitoringLevel", "SetNetworkProfile", "SetVariableMonitoring",
        "UnpublishFirmware",
    ),
    "v21": (
        "AFRRSignal", "AdjustPeriodicEventStream", "ChangeTransactionTariff", "ClearDERControl",
        "ClearTariffs", "GetDERControl", "GetPeriodicEventStream", "GetTariffs",
        "NotifyAllowedEnergyTransfer", "NotifyWebPaymentStarted", "RequestBatterySwap",
        "SetDERControl", "SetDefaultTariff", "UpdateDynamicSchedule", "UsePriorityCharging",
    ),
}  # fmt: skip


# Left out, the gateway fills them in.
FILLED_IN: Final = {("SetDefaultTariff", "tariff")}

PLAIN: Final = {"integer": int, "number": float, "boolean": bool, "object": dict[str, Any]}


def snake(name: str) -> str:
    """RequestId is request_id, AFRRSignal is afrr_signal."""
    parted = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", parted).lower()


def _schema(action: str) -> dict[str, Any]:
    # 2.1 has every call of 2.0.1, with the same members or more.
    file = resources.files("ocpp") / "v21" / "schemas" / f"{action}Request.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8-sig"))
    return found


def _type(member: dict[str, Any], schema: dict[str, Any]) -> Any:
    if "$ref" in member:
        return _type(schema["definitions"][member["$ref"].rpartition("/")[2]], schema)
    if "enum" in member:
        return Literal[tuple(member["enum"])]
    kind = member["type"]
    if kind == "array":
        items = _type(member["items"], schema)
        least, most = member.get("minItems", 0), min(member.get("maxItems", 1000), 1000)
        return Annotated[list[items], Field(min_length=least, max_length=most)]  # type: ignore[valid-type]
    if kind == "string":
        return Annotated[str, Field(max_length=member.get("maxLength", 2500))]
    return PLAIN[kind]


def _model(action: str, since: str) -> type[Kind]:
    schema = _schema(action)
    required = set(schema.get("required", ())) - {"requestId"}
    required -= {name for name in required if (action, name) in FILLED_IN}
    members: dict[str, Any] = {"type": Literal[snake(action)]}
    for name, member in schema["properties"].items():
        if name == "customData":
            continue
        kind = _type(member, schema)
        given = (kind, ...) if name in required else (kind | None, None)
        members[snake(name)] = given
    version = {"v201": "2.0.1", "v21": "2.1"}[since]
    return create_model(action, __base__=Kind, __doc__=f"OCPP {version}, {action}.", **members)


MIRRORED: Final[dict[str, tuple[str, type[Kind]]]] = {
    snake(action): (action, _model(action, since))
    for since, actions in ACTIONS.items()
    for action in actions
}
_CAMEL: Final[dict[str, dict[str, str]]] = {
    kind: {snake(name): name for name in _schema(action)["properties"]}
    for kind, (action, _) in MIRRORED.items()
}


def wants_request_id(kind: str) -> bool:
    return "request_id" in _CAMEL[kind]


def payload(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The call's payload; parameters as stored: without type, without nulls."""
    names = _CAMEL[kind]
    return {names[name]: value for name, value in parameters.items()}
