"""NotifyEvent (OCPP 2.0.1, N07 and N08): what monitors noticed, and the values they saw.

It may also be the only word that a connector has another status (2.0.1, G01.FR.03 to FR.07).
"""

from typing import Any

from csms_gateway import masking, notifications, statuses, variables
from csms_gateway.charger import Charger
from csms_gateway.device_model import Told, named
from csms_gateway.v201.status_notification import NEUTRAL


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    told = [Told(named(one), one["actualValue"]) for one in payload["eventData"]]
    await variables.store(charger, told)
    await notifications.keep(charger, "NotifyEvent", masking.payload("NotifyEvent", payload))
    for event in payload["eventData"]:
        await _status(charger, event)
    return {}


async def _status(charger: Charger, event: dict[str, Any]) -> None:
    name = named(event)
    # Without its numbers it is of no connector that we could name.
    whose = name.component.lower() == "connector" and name.evse_id and name.connector_id
    if whose and name.variable.lower() == "availabilitystate":
        status = NEUTRAL.get(event["actualValue"])
        if status is not None:
            await statuses.report(
                charger,
                statuses.number(name.evse_id, "evse/id"),
                statuses.number(name.connector_id, "evse/connectorId"),
                status,
                event["timestamp"],
            )
