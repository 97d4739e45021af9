"""GetDiagnostics (OCPP 1.6, 5.9) and GetLog (1.6 security white paper, 5.9).

Diagnostics are asked for with GetDiagnostics, which is in 1.6 itself; GetLog only for the security
log, which it alone can have. Whether a charger knows the extension is nothing one can see from
here for certain, and a rule that depends on what it happened to send would answer differently from
day to day. GetLog for diagnostics goes as a call exactly as given.
"""

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import GetLog
from csms_gateway.v16 import outgoing


async def calls(charger: Charger, command: GetLog) -> list[Call]:
    oldest = command.oldest_at and wire_time(command.oldest_at)
    latest = command.latest_at and wire_time(command.latest_at)
    again = outgoing.without_none(retries=command.retries, retryInterval=command.retry_interval_s)
    match command.log:
        case "diagnostics":
            place = outgoing.without_none(
                location=command.location, startTime=oldest, stopTime=latest
            )
            return [outgoing.call("GetDiagnostics", place | again)]
        case "security":
            log = outgoing.without_none(
                remoteLocation=command.location, oldestTimestamp=oldest, latestTimestamp=latest
            )
            number = await request_ids.following(charger)
            payload = {"logType": "SecurityLog", "requestId": number, "log": log} | again
            return [outgoing.call("GetLog", payload)]
    raise Unsupported(f"OCPP 1.6 has no log {command.log}")
