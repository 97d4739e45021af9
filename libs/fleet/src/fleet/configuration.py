"""Pure: the settings of a simulated charger, under their names of OCPP 1.6 (section 9).

OCPP 2.x has other names for them (`v2/variables.py`) and the same values.
"""

from fleet.authority import MOST_LISTED
from fleet.dialect import MEASURANDS, REGISTER, Payload
from fleet.limits import MOST_PROFILES

HEARTBEAT = "HeartbeatInterval"
SAMPLE_INTERVAL = "MeterValueSampleInterval"
SAMPLED_DATA = "MeterValuesSampledData"
AUTHORIZE_REMOTE = "AuthorizeRemoteTxRequests"
CONNECTION_TIMEOUT = "ConnectionTimeOut"
STOP_ON_INVALID = "StopTransactionOnInvalidId"
LOCAL_LIST = "LocalAuthListEnabled"
LOCAL_OFFLINE = "LocalAuthorizeOffline"
LOCAL_FIRST = "LocalPreAuthorize"
CACHE = "AuthorizationCacheEnabled"
UNKNOWN_OFFLINE = "AllowOfflineTxForUnknownId"
PASSWORD = "AuthorizationKey"  # noqa: S105 - the name of the setting
SECURITY_PROFILE = "SecurityProfile"

FIXED = {
    "GetConfigurationMaxKeys": "50",
    "SupportedFeatureProfiles": (
        "Core,RemoteTrigger,LocalAuthListManagement,Reservation,SmartCharging,FirmwareManagement"
    ),
    "TransactionMessageRetryInterval": "1",
    "UnlockConnectorOnEVSideDisconnect": "true",
    "WebSocketPingInterval": "30",
    "ConnectorPhaseRotation": "NotApplicable",
    "StopTransactionOnEVSideDisconnect": "true",
    "StopTxnAlignedData": "",
    "StopTxnSampledData": REGISTER,
    "ClockAlignedDataInterval": "0",
    "MeterValuesAlignedData": "",
    "ResetRetries": "1",
    "LocalAuthListMaxLength": str(MOST_LISTED),
    "SendLocalListMaxLength": str(MOST_LISTED),
    "ReserveConnectorZeroSupported": "false",
    "ChargeProfileMaxStackLevel": "99",
    "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "ChargingScheduleMaxPeriods": "1024",
    "MaxChargingProfilesInstalled": str(MOST_PROFILES),
    "SupportedFileTransferProtocols": "HTTP,HTTPS",
}
OPEN = {
    HEARTBEAT: "300",
    SAMPLED_DATA: ",".join(MEASURANDS),
    AUTHORIZE_REMOTE: "false",
    CONNECTION_TIMEOUT: "60",
    STOP_ON_INVALID: "true",
    LOCAL_LIST: "true",
    LOCAL_OFFLINE: "true",
    LOCAL_FIRST: "false",
    CACHE: "true",
    UNKNOWN_OFFLINE: "false",
    SECURITY_PROFILE: "0",
    "CpoName": "",
}
NUMBERS = {HEARTBEAT, SAMPLE_INTERVAL, CONNECTION_TIMEOUT, SECURITY_PROFILE}
SWITCHES = {
    AUTHORIZE_REMOTE,
    STOP_ON_INVALID,
    LOCAL_LIST,
    LOCAL_OFFLINE,
    LOCAL_FIRST,
    CACHE,
    UNKNOWN_OFFLINE,
}


class Configuration:
    """Key to value, as the strings they are in OCPP. Times are seconds.

    A charger keeps only what differs from the usual, for there may be thousands of them.
    """

    def __init__(
        self,
        *,
        connectors: int,
        sample_interval_s: int,
        allow_offline: bool,
        attempts: int,
        security_profile: int = 0,
    ) -> None:
        self._own_fixed = {
            "NumberOfConnectors": str(connectors),
            "TransactionMessageAttempts": str(attempts),
        }
        self._own = {SAMPLE_INTERVAL: str(sample_interval_s)}
        if allow_offline:
            self._own[UNKNOWN_OFFLINE] = "true"
        if security_profile:
            self._own[SECURITY_PROFILE] = str(security_profile)

    def value(self, key: str) -> str | None:
        for values in (self._own, OPEN, self._own_fixed, FIXED):
            if key in values:
                return values[key]
        return None

    def fixed(self, key: str) -> bool:
        return key in FIXED or key in self._own_fixed

    def number(self, key: str) -> int:
        return int(self.value(key) or 0)

    def switched_on(self, key: str) -> bool:
        return self.value(key) == "true"

    def listed(self, key: str) -> list[str]:
        return (self.value(key) or "").split(",")

    def put(self, key: str, value: str) -> None:
        self._own[key] = value

    def change(self, key: str, value: str) -> str:
        """Answer a ChangeConfiguration with its status."""
        if self.value(key) is None:
            return "NotSupported"
        if key in SWITCHES:
            value = value.lower()
        if self.fixed(key) or not self._fits(key, value):
            return "Rejected"
        self._own[key] = value
        return "Accepted"

    def _fits(self, key: str, value: str) -> bool:
        if key in SWITCHES:
            return value in {"true", "false"}
        if key == SAMPLED_DATA:
            return set(value.split(",")) <= set(MEASURANDS)
        if key not in NUMBERS:
            return True
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            return False
        # A security profile is never lowered (security white paper, A05.FR.01).
        return key != SECURITY_PROFILE or self.number(key) < int(value) <= 3

    def read(self, keys: list[str]) -> Payload:
        """Answer a GetConfiguration; no keys means all."""
        every = FIXED | self._own_fixed | OPEN | self._own
        known = [
            {"key": key, "readonly": self.fixed(key), "value": every[key]}
            for key in (keys or sorted(every))
            if key in every
        ]
        unknown = [key for key in keys if key not in every]
        return {"configurationKey": known} | ({"unknownKey": unknown} if unknown else {})
