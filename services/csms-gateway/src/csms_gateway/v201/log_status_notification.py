"""LogStatusNotification (OCPP 2.0.1, N01)."""

from csms_gateway.notifications import kept

answer = kept("LogStatusNotification")
