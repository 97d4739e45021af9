"""DiagnosticsStatusNotification (OCPP 1.6, 4.4)."""

from csms_gateway.notifications import kept

answer = kept("DiagnosticsStatusNotification")
