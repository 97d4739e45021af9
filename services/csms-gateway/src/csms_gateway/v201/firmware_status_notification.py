"""FirmwareStatusNotification (OCPP 2.0.1, L01 and L02)."""

from csms_gateway.notifications import kept

answer = kept("FirmwareStatusNotification")
