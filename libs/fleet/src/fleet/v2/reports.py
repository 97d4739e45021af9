"""Variables read, set, watched and reported (OCPP 2.0.1, B05 to B08 and N02 to N08)."""

from fleet.dialect import Payload, moment
from fleet.parts import Command, Parts
from fleet.v2.messages import event_of
from fleet.v2.variables import COUNTED, Variable, find, matches, variables, write

ENTRIES_A_PART = 10  # so that even a small charger's report comes in several parts
SUMMARY = {"AvailabilityState", "Available", "Problem"}
MOST_MONITORS = 100
THRESHOLDS = {"UpperThreshold", "LowerThreshold"}
PERIODS = {"Periodic", "PeriodicClockAligned"}
BY_CRITERION = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": {"Delta"},
    "PeriodicMonitoring": PERIODS,
}


def send(parts: Parts, action: str, messages: list[Payload]) -> None:
    """Send one after the other, once the command is answered."""

    async def go() -> None:
        for message in messages:
            await parts.maintenance.tell(action, message)

    if messages:
        parts.tasks.start(go(), action)


def in_parts(
    parts: Parts, action: str, request_id: int, member: str, entries: list[Payload]
) -> str:
    """Report entries under a member's name; return the status for the command."""
    pieces = _pieces(entries)
    messages = [
        {
            "requestId": request_id,
            "generatedAt": moment(parts.clock()),
            "seqNo": number,
            "tbc": number + 1 < len(pieces),
            member: piece,
        }
        for number, piece in enumerate(pieces)
    ]
    send(parts, action, messages)
    return "Accepted" if messages else "EmptyResultSet"


def _pieces(entries: list[Payload]) -> list[list[Payload]]:
    return [
        entries[start : start + ENTRIES_A_PART] for start in range(0, len(entries), ENTRIES_A_PART)
    ]


def get_variables(parts: Parts, payload: Payload) -> Payload:
    return {"getVariableResult": [_read(parts, wanted) for wanted in payload["getVariableData"]]}


def _about(wanted: Payload) -> Payload:
    """What a result is of; an attribute that was left out is said (B05.FR.12, B06.FR.11)."""
    return {
        "component": wanted["component"],
        "variable": wanted["variable"],
        "attributeType": wanted.get("attributeType", "Actual"),
    }


def _read(parts: Parts, wanted: Payload) -> Payload:
    found = find(parts, wanted["component"], wanted["variable"])
    result = _about(wanted)
    if not isinstance(found, Variable):
        return result | {"attributeStatus": found}
    if wanted.get("attributeType", "Actual") != "Actual":
        return result | {"attributeStatus": "NotSupportedAttributeType"}
    if found.mutability == "WriteOnly":
        return result | {"attributeStatus": "Rejected"}
    return result | {"attributeStatus": "Accepted", "attributeValue": found.read(parts)}


def set_variables(parts: Parts, payload: Payload) -> Payload:
    return {"setVariableResult": [_set(parts, wanted) for wanted in payload["setVariableData"]]}


def _set(parts: Parts, wanted: Payload) -> Payload:
    found = find(parts, wanted["component"], wanted["variable"])
    result = _about(wanted)
    if not isinstance(found, Variable):
        return result | {"attributeStatus": found}
    if wanted.get("attributeType", "Actual") != "Actual":
        return result | {"attributeStatus": "NotSupportedAttributeType"}
    before = None if found.mutability == "WriteOnly" else found.read(parts)
    said = write(parts, found, wanted["attributeValue"])
    if said == "NotSupported":
        said = "Rejected"
    if said == "Accepted" and before is not None:
        _watch(parts, found, before)
    return result | {"attributeStatus": said}


def get_base_report(parts: Parts, payload: Payload) -> Payload:
    """B07. A configuration report has what can be set."""
    chosen = list(variables(parts))
    if payload["reportBase"] == "ConfigurationInventory":
        chosen = [found for found in chosen if found.mutability != "ReadOnly"]
    elif payload["reportBase"] == "SummaryInventory":
        chosen = [found for found in chosen if found.name in SUMMARY]
    return {"status": _report(parts, payload["requestId"], chosen)}


def get_report(parts: Parts, payload: Payload) -> Payload:
    """B08. Everything here is active, available, enabled where it can be, and has no problem."""
    wanted = payload.get("componentVariable")
    criteria = set(payload.get("componentCriteria", ["Active"]))
    chosen = [
        found
        for found in variables(parts)
        if wanted is None
        or any(matches(found, one["component"], one.get("variable")) for one in wanted)
    ]
    return {
        "status": _report(parts, payload["requestId"], [] if criteria == {"Problem"} else chosen)
    }


def _report(parts: Parts, request_id: int, chosen: list[Variable]) -> str:
    entries = [found.report(parts) for found in chosen]
    return in_parts(parts, "NotifyReport", request_id, "reportData", entries)


def set_variable_monitoring(parts: Parts, payload: Payload) -> Payload:
    results = [_monitor(parts, wanted) for wanted in payload["setMonitoringData"]]
    return {"setMonitoringResult": results}


def _monitor(parts: Parts, wanted: Payload) -> Payload:
    monitors: dict[int, Payload] = parts.kept.setdefault("monitors", {})
    result = {name: wanted[name] for name in ("component", "variable", "type", "severity")}
    found = find(parts, wanted["component"], wanted["variable"])
    if not isinstance(found, Variable):
        return result | {"status": found}
    if wanted["type"] in THRESHOLDS and found.kind not in COUNTED:
        return result | {"status": "UnsupportedMonitorType"}
    number = wanted.get("id")
    if number is not None and number not in monitors:
        return result | {"status": "Rejected"}
    same = [
        known_id
        for known_id, known in monitors.items()
        if known_id != number and all(known[name] == wanted[name] for name in result)
    ]
    if same:
        return result | {"status": "Duplicate"}
    if len(monitors) >= MOST_MONITORS:
        return result | {"status": "Rejected"}
    number = number or max(monitors, default=0) + 1
    monitors[number] = wanted | {"id": number}
    return result | {"status": "Accepted", "id": number}


def _watch(parts: Parts, found: Variable, before: str) -> None:
    """Tell of a setting that changed, if somebody watches it (N07)."""
    after = found.read(parts)
    for number, monitor in parts.kept.get("monitors", {}).items():
        here = matches(found, monitor["component"], monitor["variable"])
        if not here or after == before or not _trips(monitor, before, after):
            continue
        message = event_of(*found.about, after, parts.clock())
        message["eventData"][0] |= {
            "variableMonitoringId": number,
            "eventNotificationType": "CustomMonitor",
            "trigger": "Delta" if monitor["type"] == "Delta" else "Alerting",
        }
        parts.send_later("NotifyEvent", message)


def _trips(monitor: Payload, before: str, after: str) -> bool:
    limit, kind = monitor["value"], monitor["type"]
    try:
        was, now = float(before), float(after)
    except ValueError:
        return bool(kind == "Delta")  # of text every change counts
    if kind == "Delta":
        return bool(abs(now - was) >= limit)
    if kind == "UpperThreshold":
        return bool(was <= limit < now)
    return bool(kind == "LowerThreshold" and was >= limit > now)


def clear_variable_monitoring(parts: Parts, payload: Payload) -> Payload:
    monitors = parts.kept.get("monitors", {})
    results = [
        {"id": number, "status": "NotFound" if monitors.pop(number, None) is None else "Accepted"}
        for number in payload["id"]
    ]
    return {"clearMonitoringResult": results}


def get_monitoring_report(parts: Parts, payload: Payload) -> Payload:
    criteria = payload.get("monitoringCriteria", list(BY_CRITERION))
    kinds = set().union(*(BY_CRITERION[criterion] for criterion in criteria))
    wanted = payload.get("componentVariable")
    entries = []
    for monitor in parts.kept.get("monitors", {}).values():
        found = find(parts, monitor["component"], monitor["variable"])
        if monitor["type"] not in kinds or not isinstance(found, Variable):
            continue
        if wanted and not any(matches(found, w["component"], w.get("variable")) for w in wanted):
            continue
        about = {name: monitor[name] for name in ("id", "type", "severity", "value")}
        if parts.dialect.version == "2.1":
            about["eventNotificationType"] = "CustomMonitor"
        about["transaction"] = monitor.get("transaction", False)
        component, variable = found.about
        entries.append(
            {"component": component, "variable": variable, "variableMonitoring": [about]}
        )
    request_id = payload["requestId"]
    return {"status": in_parts(parts, "NotifyMonitoringReport", request_id, "monitor", entries)}


def set_monitoring_base(parts: Parts, payload: Payload) -> Payload:
    """N05: there are no monitors of the factory's, so every base takes the others away."""
    if payload["monitoringBase"] != "All":
        parts.kept.pop("monitors", None)
    return {"status": "Accepted"}


def set_monitoring_level(parts: Parts, payload: Payload) -> Payload:
    if not 0 <= payload["severity"] <= 9:
        return {"status": "Rejected"}
    parts.kept["monitoring level"] = payload["severity"]
    return {"status": "Accepted"}


COMMANDS: dict[str, Command] = {
    "GetVariables": get_variables,
    "SetVariables": set_variables,
    "GetBaseReport": get_base_report,
    "GetReport": get_report,
    "SetVariableMonitoring": set_variable_monitoring,
    "ClearVariableMonitoring": clear_variable_monitoring,
    "GetMonitoringReport": get_monitoring_report,
    "SetMonitoringBase": set_monitoring_base,
    "SetMonitoringLevel": set_monitoring_level,
}
