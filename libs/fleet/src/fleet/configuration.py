"""Pure: the configuration keys of OCPP 1.6 (section 9) that a simulated charger has."""

from fleet.v16 import MEASURANDS, Payload

HEARTBEAT = "HeartbeatInterval"
SAMPLE_INTERVAL = "MeterValueSampleInterval"
SAMPLED_DATA = "MeterValuesSampledData"
AUTHORIZE_REMOTE = "AuthorizeRemoteTxRequests"
CONNECTION_TIMEOUT = "ConnectionTimeOut"
STOP_ON_INVALID = "StopTransactionOnInvalidId"
ALLOW_OFFLINE = "LocalAuthorizeOffline"

NUMBERS = {
    HEARTBEAT,
    SAMPLE_INTERVAL,
    CONNECTION_TIMEOUT,
    "ClockAlignedDataInterval",
    "ResetRetries",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "WebSocketPingInterval",
}
SWITCHES = {AUTHORIZE_REMOTE, STOP_ON_INVALID, ALLOW_OFFLINE}


class Configuration:
    """Key to value, as the strings they are in OCPP. Times are seconds."""

    def __init__(
        self, *, connectors: int, sample_interval_s: int, allow_offline: bool, attempts: int
    ) -> None:
        self._fixed = {
            "GetConfigurationMaxKeys": "50",
            "NumberOfConnectors": str(connectors),
            "SupportedFeatureProfiles": "Core,RemoteTrigger",
            "TransactionMessageAttempts": str(attempts),
            "TransactionMessageRetryInterval": "1",
            "UnlockConnectorOnEVSideDisconnect": "true",
            "WebSocketPingInterval": "30",
            "ConnectorPhaseRotation": "NotApplicable",
            "StopTransactionOnEVSideDisconnect": "true",
            "StopTxnAlignedData": "",
            "StopTxnSampledData": "Energy.Active.Import.Register",
            "ClockAlignedDataInterval": "0",
            "MeterValuesAlignedData": "",
            "ResetRetries": "1",
        }
        self._open = {
            HEARTBEAT: "300",
            SAMPLE_INTERVAL: str(sample_interval_s),
            SAMPLED_DATA: ",".join(MEASURANDS),
            AUTHORIZE_REMOTE: "false",
            CONNECTION_TIMEOUT: "60",
            STOP_ON_INVALID: "true",
            ALLOW_OFFLINE: str(allow_offline).lower(),
        }

    def number(self, key: str) -> int:
        return int(self._open[key])

    def switched_on(self, key: str) -> bool:
        return self._open[key] == "true"

    def listed(self, key: str) -> list[str]:
        return self._open[key].split(",")

    def put(self, key: str, value: str) -> None:
        self._open[key] = value

    def change(self, key: str, value: str) -> str:
        """Answer a ChangeConfiguration with its status."""
        if key in self._fixed:
            return "Rejected"
        if key not in self._open:
            return "NotSupported"
        if key in NUMBERS and not (value.isascii() and value.isdigit() and len(value) < 10):
            return "Rejected"
        if key in SWITCHES:
            value = value.lower()
            if value not in {"true", "false"}:
                return "Rejected"
        if key == SAMPLED_DATA and not set(value.split(",")) <= set(MEASURANDS):
            return "Rejected"
        self._open[key] = value
        return "Accepted"

    def read(self, keys: list[str]) -> Payload:
        """Answer a GetConfiguration; no keys means all."""
        values = self._fixed | self._open
        known = [
            {"key": key, "readonly": key in self._fixed, "value": values[key]}
            for key in (keys or sorted(values))
            if key in values
        ]
        unknown = [key for key in keys if key not in values]
        return {"configurationKey": known} | ({"unknownKey": unknown} if unknown else {})
