"""NotifyMonitoringReport (OCPP 2.0.1, N02): the parts of a report share its requestId."""

from csms_gateway.notifications import kept

answer = kept("NotifyMonitoringReport")
