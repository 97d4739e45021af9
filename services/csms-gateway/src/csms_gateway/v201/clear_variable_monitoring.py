"""ClearVariableMonitoring (OCPP 2.0.1, N06): mirrored, in as many messages as the station needs."""

from typing import Final

from csms_gateway.v201.set_variable_monitoring import in_batches

calls: Final = in_batches("clear_variable_monitoring", "id")  # N06.FR.04
