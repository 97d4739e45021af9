"""NotifyDERAlarm (OCPP 2.1, R05): kept as told."""

from csms_gateway import notifications

answer = notifications.kept("NotifyDERAlarm")
