"""UpdateFirmware (OCPP 1.6, 5.19), SignedUpdateFirmware (1.6 security white paper, 5.21)."""

from typing import Any

from common.clock import now
from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.commands import request_ids
from csms_gateway.commands.kinds import UpdateFirmware
from csms_gateway.v16 import outgoing


async def calls(charger: Charger, command: UpdateFirmware) -> list[Call]:
    signed = command.signing_certificate is not None
    if signed != (command.signature is not None):
        raise Unsupported("a signed update needs both signing_certificate and signature")
    if signed:
        return [outgoing.call("SignedUpdateFirmware", await _signed(charger, command))]
    if command.install_at is not None:
        raise Unsupported("OCPP 1.6 takes install_at with a signed update only")
    payload = outgoing.without_none(
        location=command.location,
        retrieveDate=wire_time(command.retrieve_at or now()),
        retries=command.retries,
        retryInterval=command.retry_interval_s,
    )
    return [outgoing.call("UpdateFirmware", payload)]


async def _signed(charger: Charger, command: UpdateFirmware) -> dict[str, Any]:
    firmware = outgoing.without_none(
        location=command.location,
        retrieveDateTime=wire_time(command.retrieve_at or now()),
        installDateTime=command.install_at and wire_time(command.install_at),
        signingCertificate=command.signing_certificate,
        signature=command.signature,
    )
    return outgoing.without_none(
        requestId=await request_ids.following(charger),
        firmware=firmware,
        retries=command.retries,
        retryInterval=command.retry_interval_s,
    )
