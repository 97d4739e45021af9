"""SecurityEventNotification (1.6 security white paper, 5.15)."""

from csms_gateway.notifications import kept

answer = kept("SecurityEventNotification")
