"""ReportDERControl (OCPP 2.1, R04): what get_der_control asked for, by its request id."""

from csms_gateway import notifications

answer = notifications.kept("ReportDERControl")
