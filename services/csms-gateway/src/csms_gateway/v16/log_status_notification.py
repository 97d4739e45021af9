"""LogStatusNotification (1.6 security white paper, 5.13)."""

from csms_gateway.notifications import kept

answer = kept("LogStatusNotification")
