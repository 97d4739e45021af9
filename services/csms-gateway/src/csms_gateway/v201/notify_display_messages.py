"""NotifyDisplayMessages (OCPP 2.0.1, O03 and O04): the parts of an answer share its requestId."""

from csms_gateway.notifications import kept

answer = kept("NotifyDisplayMessages")
