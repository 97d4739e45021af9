"""A charger has started: told to the others, and whether it may work (2.0.1, B01 to B03)."""

from dataclasses import dataclass
from typing import Final, Literal

from common.clock import now
from common.events import BootReport, BootsReported
from common.ids import uuid7
from csms_gateway import costmsg
from csms_gateway.charger import Charger
from csms_gateway.commands import ours
from csms_gateway.readings import TEXT_MAX, short
from csms_gateway.standing import Registration

ANSWERS: Final[dict[Registration, Literal["Accepted", "Pending", "Rejected"]]] = {
    "accepted": "Accepted",
    "pending": "Pending",
    "rejected": "Rejected",
}
# unread: asked for its device model, it could not tell it, as many cannot right after a boot; one
# that never can is left alone.
STATION = """
select registration, boot_answer, inventory_of, coalesce((
    select state in ('failed', 'timed_out', 'rejected')
        and coalesce(result->>'status', result->>'code', '')
            not in ('NotSupported', 'NotImplemented', 'EmptyResultSet')
    from command
    where station_id = $1 and type = 'get_base_report' and requested_by = 'csms-gateway'
    order by id desc limit 1
), false) as unread
from station where station_id = $1
"""
# Only when it changes: in a storm thousands boot, and nearly all are accepted as before.
ANSWERED = "update station set boot_answer = $2 where station_id = $1"
# B07.FR.14: the device model is read when a station is new or its firmware has changed. A command
# as any other, which the sweep sends: after the boot is answered, and never twice for one firmware,
# unless it failed.
READ_DEVICE_MODEL = """
with fresh as (
    update station set inventory_of = $2
    where station_id = $1 and (inventory_of is distinct from $2 or $5)
    returning station_id, operator_id
)
insert into command (
    id, operator_id, station_id, idempotency_key, type, parameters, requested_by, requested_at,
    deadline_at
) select $3, operator_id, station_id, $4, 'get_base_report', '{"report_base": "FullInventory"}',
    'csms-gateway', now(), now() + interval '1 hour'
from fresh
"""
KEYS_READ = """
update station set inventory_of = $2 where station_id = $1 and inventory_of is distinct from $2
"""


@dataclass(frozen=True, slots=True)
class Booted:
    status: Literal["Accepted", "Pending", "Rejected"]
    interval_s: int  # between heartbeats, or until the charger asks again


async def booted(
    charger: Charger, vendor: str, model: str, serial_number: str | None, firmware: str | None
) -> Booted:
    """Return when the start is durable."""
    gateway = charger.gateway
    await gateway.publisher.report(
        BootsReported,
        BootReport(
            operator_id=charger.operator_id,
            station_id=charger.station_id,
            generation=charger.generation,
            vendor=vendor[:TEXT_MAX],
            model=model[:TEXT_MAX],
            serial_number=short(serial_number),
            firmware_version=short(firmware),
            at=now(),
        ),
    )
    station = await gateway.pool.fetchrow(STATION, charger.station_id)
    assert station is not None  # or it could not have connected
    registration: Registration = station["registration"]
    if registration != station["boot_answer"]:
        await gateway.pool.execute(ANSWERED, charger.station_id, registration)
    charger.standing.registration = registration
    if registration != "accepted":
        return Booted(ANSWERS[registration], gateway.settings.ocpp_boot_retry_interval_s)
    version = short(firmware) or ""
    unread = station["unread"] or version != station["inventory_of"]
    if gateway.settings.read_device_model and unread:
        if charger.version.schemas == "v16":
            await _read_keys(charger, version)
        else:
            await _read_device_model(charger, version, again=station["unread"])
    return Booted("Accepted", gateway.settings.ocpp_heartbeat_interval_s)


async def _read_keys(charger: Charger, firmware: str) -> None:
    """Of OCPP 1.6: whether it shows prices and costs, and in which languages."""
    fresh = await charger.gateway.pool.execute(KEYS_READ, charger.station_id, firmware)
    if fresh == "UPDATE 1":
        keys = [{"variable": key} for key in costmsg.KEYS]
        deadline_s = charger.gateway.settings.command_deadline_s
        await ours.queue(charger, "get_variables", {"variables": keys}, deadline_s)


async def _read_device_model(charger: Charger, firmware: str, *, again: bool) -> None:
    number = uuid7()
    await charger.gateway.pool.execute(
        READ_DEVICE_MODEL, charger.station_id, firmware, number, f"device model {number}", again
    )
