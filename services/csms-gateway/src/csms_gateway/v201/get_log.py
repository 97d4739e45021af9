"""GetLog (OCPP 2.0.1, N01)."""

from typing import Any, Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import GetLog
from csms_gateway.v201.update_firmware import retries

LOGS: Final = {
    "diagnostics": "DiagnosticsLog",
    "security": "SecurityLog",
    "data_collector": "DataCollectorLog",
}


async def calls(charger: Charger, command: GetLog) -> list[Call]:
    if command.log == "data_collector" and charger.version.schemas == "v201":
        raise Unsupported("the data collector's log is of OCPP 2.1")
    log: dict[str, Any] = {"remoteLocation": command.location}
    if command.oldest_at is not None:
        log["oldestTimestamp"] = wire_time(command.oldest_at)
    if command.latest_at is not None:
        log["latestTimestamp"] = wire_time(command.latest_at)
    found = {
        "logType": LOGS[command.log],
        "requestId": await request_ids.following(charger),
        "log": log,
    }
    return [Call("GetLog", found | retries(command.retries, command.retry_interval_s))]
