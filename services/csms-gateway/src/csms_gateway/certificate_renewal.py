"""Stations are asked for a new signing request before their certificate ends (A02, A03).

Also those that have not taken the last one: by themselves they do not ask again (A02.FR.20).
"""

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from common import ids
from common.clock import now
from csms_gateway.certificates import OURSELVES
from csms_gateway.gateway import Gateway

if TYPE_CHECKING:
    from csms_gateway.connections import Held

log = logging.getLogger(__name__)

SWEEP_S: Final = 600.0
ASK_WITHIN: Final = timedelta(days=1)
NOT_TAKEN_MAX: Final = 3  # a week; then it is for people to find out why
BATCH: Final = 500

# The newest of each station: due when it ends soon, or when the station has not taken it for an
# hour, be it rejected or never answered, and that has not happened too often lately.
DUE: Final = """
select newest.* from (
    select distinct on (i.station_id) i.station_id, i.operator_id, i.use, i.fingerprint, i.state,
        i.not_after, i.issued_at, c.protocol,
        carrier.state in ('queued', 'sent') as on_its_way
    from issued_certificate i
    join command carrier on carrier.id = i.command_id
    join connection c on c.station_id = i.station_id
    join station s on s.station_id = i.station_id and s.active
    where i.revoked_at is null and i.use = 'station'
    order by i.station_id, i.id desc
) newest
where (state = 'accepted' and not_after < now() + make_interval(days => $1))
    or (state <> 'accepted' and not on_its_way and issued_at < now() - interval '1 hour' and (
        select count(*) from issued_certificate older
        where older.station_id = newest.station_id and older.state <> 'accepted'
            and older.issued_at > now() - interval '7 days'
    ) < $2)
order by not_after limit $3
"""
# A station is asked once a day for each certificate, by whichever replica looks first.
ASK: Final = """
insert into command (
    id, operator_id, station_id, idempotency_key, type, parameters, requested_by, requested_at,
    deadline_at
) values ($1, $2, $3, $4, 'ocpp', $5, $6, $7, $8)
on conflict (operator_id, idempotency_key) do nothing returning id
"""


def trigger(protocol: str) -> dict[str, Any]:
    """The call that asks for a signing request, in the words of a version."""
    if protocol == "ocpp1.6":
        return {
            "action": "ExtendedTriggerMessage",
            "payload": {"requestedMessage": "SignChargePointCertificate"},
        }
    return {
        "action": "TriggerMessage",
        "payload": {"requestedMessage": "SignChargingStationCertificate"},
    }


async def ask_for_renewals(gateway: Gateway, held: "Held") -> int:
    """How many stations were asked now."""
    asked = 0
    rows = await gateway.pool.fetch(
        DUE, gateway.settings.certificate_renew_days, NOT_TAKEN_MAX, BATCH
    )
    for row in rows:
        at = now()
        key = f"renew:{row['fingerprint']}:{at:%Y-%m-%d}"
        made = await gateway.pool.fetchval(
            ASK, ids.uuid7(), row["operator_id"], row["station_id"], key,
            orjson.dumps(trigger(row["protocol"])).decode(), OURSELVES, at, at + ASK_WITHIN,
        )  # fmt: skip
        if made is not None:
            asked += 1
            log.info("%s is asked to renew its certificate", row["station_id"])
            await held.notify(row["station_id"])
    return asked


async def sweep(gateway: Gateway, held: "Held") -> None:
    while True:
        await ask_for_renewals(gateway, held)
        await asyncio.sleep(SWEEP_S)
