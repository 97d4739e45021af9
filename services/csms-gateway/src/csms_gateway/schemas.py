"""Pure: the official JSON schemas: tolerant towards what comes in, strict with what goes out.

The schemas are those of the `ocpp` package, equal to the Open Charge Alliance's. Compiled by
jsonschema-rs: 2.4 µs a MeterValues where the library's own validator takes 340 (2026-11).
"""

import json
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from csms_gateway.frames import DEPTH_MAX
from csms_gateway.masking import MASK, may_be_quoted

# What chargers in the field get wrong without doing harm: extra members, units and contexts the
# schema does not list, readings and descriptions longer than allowed (OCMF is), empty lists.
FREE_TEXT: Final = {
    "value", "info", "vendorErrorCode", "vendorId", "errorCode", "iccid", "imsi", "meterType",
    "meterSerialNumber", "chargePointSerialNumber", "chargeBoxSerialNumber", "firmwareVersion",
    "chargePointModel", "chargePointVendor", "reason", "data", "messageId",
    # OCPP 2.x
    "signedMeterData", "publicKey", "signingMethod", "encodingMethod", "model", "vendorName",
    "serialNumber", "techCode", "techInfo", "actualValue", "additionalInfo", "reasonCode",
}  # fmt: skip
READING: Final = {"unit", "measurand", "context", "format", "phase", "location"}
LISTS: Final = {"sampledValue", "transactionData", "meterValue"}

# Told and kept, nothing hangs on the word: 1.6 chargers send those of the security extension here.
PROGRESS: Final = {
    "DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification",
    "PublishFirmwareStatusNotification", "SignedFirmwareStatusNotification",
}  # fmt: skip

# Reports and events are kept as they come. A valuesList is longer than 1000 characters at many a
# station, a last part has an empty list, and refused, a part comes again and again or never.
KEPT: Final = {
    "NotifyCustomerInformation", "NotifyDisplayMessages", "NotifyEvent", "NotifyMonitoringReport",
    "NotifyReport", "SecurityEventNotification",
}  # fmt: skip
FORM: Final = {"Enum", "MaxLength", "MinItems", "MaxItems"}

# A session is never lost for its form, by action: 12500.0 Wh are Wh, a long tag is an unknown one,
# and a station of 2.0.1 may use words of 2.1 or its own.
_OF_1_6: Final = {("Type", "meterStart"), ("Type", "meterStop"), ("MaxLength", "idTag")}
# A reading is text in 1.6 and a number in 2.x; chargers mix them up.
_VALUE: Final = ("Type", "value")
HARMLESS: Final = {
    "MeterValues": {_VALUE},
    "StartTransaction": _OF_1_6,
    "StopTransaction": _OF_1_6 | {_VALUE},
    "TransactionEvent": {
        _VALUE,
        ("Enum", "triggerReason"), ("Enum", "chargingState"), ("Enum", "stoppedReason"),
        ("Enum", "operationMode"), ("Enum", "preconditioningStatus"), ("Enum", "type"),
        ("MaxLength", "idToken"), ("MaxLength", "type"),
    },
    # 2.1 takes any source.
    "ClearedChargingLimit": {("Enum", "chargingLimitSource")},
    "NotifyChargingLimit": {("Enum", "chargingLimitSource"), ("MinItems", "chargingSchedule")},
    "ReportChargingProfiles": {
        ("Enum", "chargingLimitSource"), ("MinItems", "chargingProfile"),
    },
}  # fmt: skip

NULL: Final = "Null"  # what such a deviation is counted as

# OCPP-J 1.6, 4.2.3, with its spelling of Occurence.
CODE_BY_KIND: Final = {
    "Type": "TypeConstraintViolation",
    "Required": "OccurenceConstraintViolation",
    "MinItems": "OccurenceConstraintViolation",
    "MaxItems": "OccurenceConstraintViolation",
}


class Violation(Exception):
    """A payload that cannot be worked with; code is the OCPP error code."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@cache
def _validator(version: str, name: str, *, formats: bool, mask: str | None = None) -> Any:
    folder = resources.files("ocpp") / version / "schemas"
    file = folder / f"{name}.json"
    if not file.is_file():
        file = folder / f"{name}Request.json"  # as OCPP 2.x names them
    text = file.read_text("utf-8-sig")
    return jsonschema_rs.validator_for(json.loads(text), validate_formats=formats, mask=mask)


def _words(
    version: str, name: str, payload: dict[str, Any], place: int, error: Any, *, formats: bool
) -> str:
    """What to say of the payload's error at this place, which quotes it but for what may be secret.

    For the one that a payload is refused for: to look through the whole payload for each of
    thousands of harmless ones would hold up every charger for a minute.
    """
    message: str = error.message
    if may_be_quoted(name.removesuffix("Response"), payload, message):
        return message
    masked = _validator(version, name, formats=formats, mask=MASK).iter_errors(payload)
    return str(next(islice(masked, place, None)).message)


@cache
def _actions(version: str) -> frozenset[str]:
    folder = resources.files("ocpp") / version / "schemas"
    names = (file.name.removesuffix(".json") for file in folder.iterdir())
    return frozenset(
        name.removesuffix("Request") for name in names if not name.endswith("Response")
    )


def known(version: str, action: str) -> bool:
    """Whether the version has such an action at all."""
    return action in _actions(version)


@cache
def responds(version: str, action: str) -> bool:
    """Whether the version has an answer to it; OCPP 2.1 sends some without wanting one."""
    return (resources.files("ocpp") / version / "schemas" / f"{action}Response.json").is_file()


def check_incoming(version: str, name: str, payload: dict[str, Any]) -> list[str]:
    """Check what a charger sent; return its harmless deviations. Raises Violation.

    If it is not valid as it is, members that are null are taken out of it.
    """
    # No formats: a timestamp nobody can read is a clock's fault, not a reason to refuse.
    validator = _validator(version, name, formats=False)
    if validator.is_valid(payload):
        return []
    deviations = _nulls_left_out(payload)
    for place, error in enumerate(validator.iter_errors(payload)):
        kind = type(error.kind).__name__
        if not _harmless(name, kind, error.instance_path):
            words = _words(version, name, payload, place, error, formats=False)
            where = "/".join(map(str, error.instance_path))
            raise Violation(_code(version, kind), f"{where or 'payload'}: {words}")
        # Without positions: this becomes a label of a counter.
        names = [step for step in error.instance_path if isinstance(step, str)]
        deviations.append(" ".join([kind, *names[-1:]]))
    return deviations


def check_answer(version: str, action: str, payload: dict[str, Any]) -> list[str]:
    """Check what a charger answered to a call of ours; return how it deviates.

    Raises Violation if members are not of their type, for nobody could work with it. Whatever else
    is wrong says more than no answer would: an unknown status, a member left out.
    """
    validator = _validator(version, f"{action}Response", formats=False)
    if validator.is_valid(payload):
        return []
    deviations = _nulls_left_out(payload)
    for place, error in enumerate(validator.iter_errors(payload)):
        kind = type(error.kind).__name__
        if kind == "Type":
            words = _words(version, f"{action}Response", payload, place, error, formats=False)
            where = "/".join(map(str, error.instance_path))
            raise Violation(CODE_BY_KIND[kind], f"{where or 'payload'}: {words}")
        deviations.append(kind)
    return deviations


def _nulls_left_out(value: Any, depth: int = 0) -> list[str]:
    """Take out what is null, which "usually represents something undefined" (OCPP-J 1.6, 4.2.1) and
    is how many libraries write a member that is not there. What to count it as.
    """
    if depth > DEPTH_MAX or not isinstance(value, dict | list):
        return []
    found: list[str] = []
    if isinstance(value, dict):
        for name in [name for name, inner in value.items() if inner is None]:
            del value[name]
            found = [NULL]
    for inner in value.values() if isinstance(value, dict) else value:
        found = _nulls_left_out(inner, depth + 1) or found
    return found


def require_complete(version: str, action: str, answer: dict[str, Any]) -> None:
    """Raises Violation if a charger's answer lacks a member that what follows from it relies on."""
    validator = _validator(version, f"{action}Response", formats=False)
    if validator.is_valid(answer):
        return
    for error in validator.iter_errors(answer):
        kind = type(error.kind).__name__
        if kind == "Required":
            raise Violation(_code(version, kind), f"the charger's answer: {error.message}")


def _code(version: str, kind: str) -> str:
    code = CODE_BY_KIND.get(kind, "PropertyConstraintViolation")
    # 2.0.1 Part 4 spells it right.
    return code if version == "v16" else code.replace("Occurence", "Occurrence")


def _harmless(action: str, kind: str, path: list[Any]) -> bool:
    last = path[-1] if path else ""
    if (action in KEPT and kind in FORM) or (kind, last) in HARMLESS.get(action, ()):
        return True
    match kind:
        case "AdditionalProperties":
            return True
        case "MaxLength":
            return last in FREE_TEXT
        case "Enum":
            told = last == "status" and action in PROGRESS
            return told or last in READING or last in ("reason", "errorCode")
        case "MinItems":
            return last in LISTS
    return False


def check_outgoing(version: str, name: str, payload: dict[str, Any]) -> None:
    """Raises Violation: what we send is always valid."""
    validator = _validator(version, name, formats=True)
    if not validator.is_valid(payload):
        first = next(validator.iter_errors(payload))
        words = _words(version, name, payload, 0, first, formats=True)
        raise Violation("InternalError", f"{name}: {words}")
