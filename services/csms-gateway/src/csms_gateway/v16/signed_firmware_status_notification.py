"""SignedFirmwareStatusNotification (1.6 security white paper, 5.19)."""

from csms_gateway.notifications import kept

answer = kept("SignedFirmwareStatusNotification")
