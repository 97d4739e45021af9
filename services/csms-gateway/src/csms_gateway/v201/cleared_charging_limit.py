"""ClearedChargingLimit (OCPP 2.0.1, K13): an external limit is over; kept for staff to see."""

from typing import Final

from csms_gateway.charger import Handler
from csms_gateway.notifications import kept

answer: Final[Handler] = kept("ClearedChargingLimit")
