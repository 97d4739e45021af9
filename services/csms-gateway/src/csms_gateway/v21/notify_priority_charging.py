"""NotifyPriorityCharging (OCPP 2.1, K22): kept as told."""

from csms_gateway import notifications

answer = notifications.kept("NotifyPriorityCharging")
