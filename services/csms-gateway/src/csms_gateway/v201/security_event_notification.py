"""SecurityEventNotification (OCPP 2.0.1, A04)."""

from csms_gateway.notifications import kept

answer = kept("SecurityEventNotification")
