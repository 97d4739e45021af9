"""FirmwareStatusNotification (OCPP 1.6, 4.5)."""

from csms_gateway.notifications import kept

answer = kept("FirmwareStatusNotification")
