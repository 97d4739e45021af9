"""The device model of a charger of OCPP 2.x: which variables it has, and what they say.

Where OCPP 1.6 has the same setting, the configuration holds it under that name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fleet import configuration as keys
from fleet.dialect import MEASURANDS, REGISTER, Payload, moment
from fleet.parts import Parts

PASSWORD_LENGTH = (16, 40)
COUNTED = {"integer", "decimal"}


@dataclass(frozen=True)
class Variable:
    """Its value is that of the setting `key`, or else `value`: text, or a function."""

    component: str
    name: str
    value: str | Callable[[Parts], str] = ""
    key: str | None = None
    instance: str | None = None
    kind: str = "string"
    unit: str | None = None
    values: str | None = None
    evse_id: int | None = None
    mutability: str = "ReadOnly"

    def read(self, parts: Parts) -> str:
        if self.key:
            return parts.configuration.value(self.key) or ""
        return self.value if isinstance(self.value, str) else self.value(parts)

    @property
    def about(self) -> tuple[Payload, Payload]:
        """Component and variable, as they stand in messages."""
        component: Payload = {"name": self.component}
        if self.evse_id is not None:
            component["evse"] = {"id": self.evse_id}
            if self.component == "Connector":
                component["evse"]["connectorId"] = 1
        variable = {"name": self.name} | ({"instance": self.instance} if self.instance else {})
        return component, variable

    def report(self, parts: Parts) -> Payload:
        """One entry of a NotifyReport."""
        component, variable = self.about
        attribute: Payload = {"type": "Actual", "mutability": self.mutability, "persistent": True}
        if self.mutability != "WriteOnly":
            attribute["value"] = self.read(parts)
        character: Payload = {"dataType": self.kind, "supportsMonitoring": self.kind in COUNTED}
        if self.unit:
            character["unit"] = self.unit
        if self.values:
            character["valuesList"] = self.values
        return {
            "component": component,
            "variable": variable,
            "variableAttribute": [attribute],
            "variableCharacteristics": character,
        }


def _setting(component: str, name: str, key: str, kind: str = "integer", **more: Any) -> Variable:
    return Variable(component, name, key=key, kind=kind, mutability="ReadWrite", **more)


def _fixed(component: str, name: str, value: str, kind: str = "integer", **more: Any) -> Variable:
    return Variable(component, name, value, kind=kind, **more)


def _available(parts: Parts) -> str:
    return "Available" if parts.operative() else "Unavailable"


STATION: tuple[Variable, ...] = (
    _setting("OCPPCommCtrlr", "HeartbeatInterval", keys.HEARTBEAT, unit="s"),
    Variable("OCPPCommCtrlr", "NetworkConfigurationPriority", kind="SequenceList",
             value=lambda parts: parts.kept.get("network priority", "0"),
             mutability="ReadWrite"),
    Variable("OCPPCommCtrlr", "ActiveNetworkProfile",
             lambda parts: str(parts.address.slot)),
    _fixed("OCPPCommCtrlr", "MessageTimeout", "30", instance="Default", unit="s"),
    _fixed("OCPPCommCtrlr", "FileTransferProtocols", "HTTP,HTTPS", "MemberList"),
    _fixed("OCPPCommCtrlr", "NetworkProfileConnectionAttempts", "3"),
    _fixed("OCPPCommCtrlr", "OfflineThreshold", "60", unit="s"),
    _fixed("OCPPCommCtrlr", "ResetRetries", "1"),
    Variable("OCPPCommCtrlr", "MessageAttempts", instance="TransactionEvent", kind="integer",
             key="TransactionMessageAttempts"),
    _fixed("OCPPCommCtrlr", "MessageAttemptInterval", "1", instance="TransactionEvent", unit="s"),
    _fixed("OCPPCommCtrlr", "WebSocketPingInterval", "30", unit="s"),
    _fixed("OCPPCommCtrlr", "UnlockOnEVSideDisconnect", "true", "boolean"),
    Variable("ClockCtrlr", "DateTime", lambda parts: moment(parts.clock()), kind="dateTime"),
    _fixed("ClockCtrlr", "TimeSource", "Heartbeat", "SequenceList"),
    _fixed("DeviceDataCtrlr", "ItemsPerMessage", "100", instance="GetReport"),
    _fixed("DeviceDataCtrlr", "ItemsPerMessage", "100", instance="GetVariables"),
    _fixed("DeviceDataCtrlr", "ItemsPerMessage", "100", instance="SetVariables"),
    _fixed("DeviceDataCtrlr", "BytesPerMessage", "65536", instance="GetReport"),
    _fixed("DeviceDataCtrlr", "BytesPerMessage", "65536", instance="GetVariables"),
    _fixed("DeviceDataCtrlr", "BytesPerMessage", "65536", instance="SetVariables"),
    _setting("AuthCtrlr", "AuthorizeRemoteStart", keys.AUTHORIZE_REMOTE, "boolean"),
    _setting("AuthCtrlr", "LocalAuthorizeOffline", keys.LOCAL_OFFLINE, "boolean"),
    _setting("AuthCtrlr", "LocalPreAuthorize", keys.LOCAL_FIRST, "boolean"),
    _setting("AuthCtrlr", "OfflineTxForUnknownIdEnabled", keys.UNKNOWN_OFFLINE, "boolean"),
    _setting("AuthCacheCtrlr", "Enabled", keys.CACHE, "boolean"),
    _setting("LocalAuthListCtrlr", "Enabled", keys.LOCAL_LIST, "boolean"),
    Variable("LocalAuthListCtrlr", "Entries", lambda parts: str(len(parts.authority.listed)),
             kind="integer"),
    _fixed("LocalAuthListCtrlr", "ItemsPerMessage", "1000"),
    _fixed("LocalAuthListCtrlr", "BytesPerMessage", "262144"),
    _setting("TxCtrlr", "EVConnectionTimeOut", keys.CONNECTION_TIMEOUT, unit="s"),
    _setting("TxCtrlr", "StopTxOnInvalidId", keys.STOP_ON_INVALID, "boolean"),
    _fixed("TxCtrlr", "StopTxOnEVSideDisconnect", "true", "boolean"),
    _fixed("TxCtrlr", "TxStartPoint", "PowerPathClosed", "MemberList"),
    _fixed("TxCtrlr", "TxStopPoint", "PowerPathClosed", "MemberList"),
    _setting("SampledDataCtrlr", "TxUpdatedInterval", keys.SAMPLE_INTERVAL, unit="s"),
    _setting("SampledDataCtrlr", "TxUpdatedMeasurands", keys.SAMPLED_DATA, "MemberList",
             values=",".join(MEASURANDS)),
    _fixed("SampledDataCtrlr", "TxStartedMeasurands", REGISTER, "MemberList"),
    _fixed("SampledDataCtrlr", "TxEndedMeasurands", REGISTER, "MemberList"),
    _fixed("SampledDataCtrlr", "TxEndedInterval", "0", unit="s"),
    _fixed("AlignedDataCtrlr", "Interval", "0", unit="s"),
    Variable("SecurityCtrlr", "SecurityProfile", key=keys.SECURITY_PROFILE, kind="integer"),
    Variable("SecurityCtrlr", "BasicAuthPassword", mutability="WriteOnly"),
    _setting("SecurityCtrlr", "OrganizationName", "CpoName", "string"),
    Variable("SecurityCtrlr", "CertificateEntries", kind="integer",
             value=lambda parts: str(len(parts.certificates.installed))),
    Variable("SmartChargingCtrlr", "Entries", lambda parts: str(len(parts.limits.profiles)),
             kind="integer", instance="ChargingProfiles"),
    _fixed("SmartChargingCtrlr", "Enabled", "true", "boolean"),
    _fixed("SmartChargingCtrlr", "ProfileStackLevel", "99"),
    _fixed("SmartChargingCtrlr", "RateUnit", "A,W", "MemberList"),
    _fixed("SmartChargingCtrlr", "PeriodsPerSchedule", "1024"),
    _fixed("SmartChargingCtrlr", "LimitChangeSignificance", "1", "decimal"),
    _fixed("ReservationCtrlr", "Enabled", "true", "boolean"),
    _fixed("DisplayMessageCtrlr", "SupportedFormats", "ASCII,UTF8", "MemberList"),
    _fixed("DisplayMessageCtrlr", "SupportedPriorities", "AlwaysFront,InFront,NormalCycle",
           "MemberList"),
    Variable("DisplayMessageCtrlr", "DisplayMessages", kind="integer",
             value=lambda parts: str(len(parts.kept.get("messages", {})))),
    Variable("ChargingStation", "AvailabilityState", _available, kind="OptionList"),
    Variable("ChargingStation", "Model", lambda parts: parts.identity.model),
    Variable("ChargingStation", "VendorName", lambda parts: parts.identity.vendor),
    Variable("ChargingStation", "FirmwareVersion", lambda parts: parts.identity.firmware),
    Variable("ChargingStation", "SerialNumber", lambda parts: parts.identity.serial),
)  # fmt: skip


def variables(parts: Parts) -> Iterator[Variable]:
    """All variables of a charger, those of its EVSEs and connectors last."""
    yield from STATION
    electrics = parts.sessions.electrics
    for number in parts.connectors:
        yield Variable("EVSE", "AvailabilityState", _state_of(number), evse_id=number,
                       kind="OptionList")  # fmt: skip
        yield _fixed("EVSE", "SupplyPhases", str(electrics.phases), evse_id=number)
        yield _fixed("EVSE", "Power", str(electrics.power_w), "decimal", evse_id=number, unit="W")
        yield Variable("Connector", "AvailabilityState", _state_of(number), evse_id=number,
                       kind="OptionList")  # fmt: skip
        yield _fixed("Connector", "ConnectorType", plug(parts), "string", evse_id=number)


def plug(parts: Parts) -> str:
    """What every connector is, in OCPP's words."""
    return "cCCS2" if parts.sessions.electrics.dc else "cType2"


def _state_of(number: int) -> Callable[[Parts], str]:
    def state(parts: Parts) -> str:
        status = parts.connectors[number].status
        return parts.dialect.status_word(number, status) or status

    return state


def find(parts: Parts, component: Payload, variable: Payload) -> Variable | str:
    """Return a variable, or "UnknownComponent" or "UnknownVariable"."""
    here = [found for found in variables(parts) if matches(found, component, None)]
    if not here:
        return "UnknownComponent"
    for found in here:
        if matches(found, component, variable):
            return found
    return "UnknownVariable"


def matches(found: Variable, component: Payload, variable: Payload | None) -> bool:
    """Names are compared as OCPP does: without case (part 2, appendix 3)."""
    if found.component.lower() != component["name"].lower():
        return False
    if component.get("evse", {}).get("id") != found.evse_id:
        return False
    if variable is None:
        return True
    instance = variable.get("instance")
    return found.name.lower() == variable["name"].lower() and instance == found.instance


def write(parts: Parts, found: Variable, value: str) -> str:
    """Set a variable, and return the status of the attribute."""
    if found.mutability == "ReadOnly":
        return "Rejected"
    if found.name == "BasicAuthPassword":
        if not PASSWORD_LENGTH[0] <= len(value) <= PASSWORD_LENGTH[1]:
            return "Rejected"
        parts.address.password = value
        parts.say(0, "has a new password for its next connection")
        return "Accepted"
    if found.name == "NetworkConfigurationPriority":
        slots = value.split(",")
        if not slots or not set(slots) <= {"0", *map(str, parts.kept.get("network", {}))}:
            return "Rejected"
        parts.kept["network priority"] = value
        return "RebootRequired"
    assert found.key is not None
    status = parts.configuration.change(found.key, value)
    if found.key == keys.HEARTBEAT:
        parts.upkeep.beat_differently()
    return status
