"""BatterySwap (OCPP 2.1, S01 to S04): batteries put in and taken out, kept as told."""

from csms_gateway import notifications

answer = notifications.kept("BatterySwap")
