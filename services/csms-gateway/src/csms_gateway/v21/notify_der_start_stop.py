"""NotifyDERStartStop (OCPP 2.1, R04): kept as told."""

from csms_gateway import notifications

answer = notifications.kept("NotifyDERStartStop")
