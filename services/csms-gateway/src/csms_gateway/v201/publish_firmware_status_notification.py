"""PublishFirmwareStatusNotification (OCPP 2.0.1, L03)."""

from csms_gateway.notifications import kept

answer = kept("PublishFirmwareStatusNotification")
