"""UpdateFirmware (OCPP 2.0.1, L01 with a signing certificate, L02 without)."""

from typing import Any

from common.clock import now
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import UpdateFirmware


async def calls(charger: Charger, command: UpdateFirmware) -> list[Call]:
    if (command.signing_certificate is None) != (command.signature is None):
        raise Unsupported("a signed update needs both the certificate and the signature")
    firmware: dict[str, Any] = {
        "location": command.location,
        "retrieveDateTime": wire_time(command.retrieve_at or now()),
    }
    if command.install_at is not None:
        firmware["installDateTime"] = wire_time(command.install_at)
    if command.signing_certificate is not None:
        firmware["signingCertificate"] = command.signing_certificate
        firmware["signature"] = command.signature
    found = {"requestId": await request_ids.following(charger), "firmware": firmware}
    return [Call("UpdateFirmware", found | retries(command.retries, command.retry_interval_s))]


def retries(count: int | None, interval_s: int | None) -> dict[str, Any]:
    """Of a transfer that the charger is to try again; left out, it decides itself."""
    given = {"retries": count, "retryInterval": interval_s}
    return {name: value for name, value in given.items() if value is not None}
