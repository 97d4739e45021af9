"""NotifyEvent (OCPP 2.0.1, N07 and N08): what monitors noticed, and the values they saw."""

from typing import Any

from csms_gateway import masking, notifications, variables
from csms_gateway.charger import Charger
from csms_gateway.device_model import Told, named


async def answer(charger: Charger, payload: dict[str, Any]) -> dict[str, Any]:
    told = [Told(named(one), one["actualValue"]) for one in payload["eventData"]]
    await variables.store(charger, told)
    await notifications.keep(charger, "NotifyEvent", masking.payload("NotifyEvent", payload))
    return {}
