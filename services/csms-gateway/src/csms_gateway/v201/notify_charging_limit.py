"""NotifyChargingLimit (OCPP 2.0.1, K11 and K12): somebody else limits a station. Kept for staff."""

from typing import Final

from csms_gateway.charger import Handler
from csms_gateway.notifications import kept

answer: Final[Handler] = kept("NotifyChargingLimit")
