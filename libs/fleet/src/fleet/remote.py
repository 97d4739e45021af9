"""What the server tells a charger to do: the answer at once, the work after it.

An answer never waits, so a command in flight holds up nothing. Work that takes time is started as a
task.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fleet.configuration import Configuration
from fleet.link import CallError
from fleet.sessions import Connector, Sessions
from fleet.tasks import Tasks
from fleet.v16 import Payload

Work = Coroutine[Any, Any, None]

TRIGGERS = {"BootNotification", "Heartbeat", "StatusNotification", "MeterValues"}


@dataclass
class Remote:
    """The work: `remote_start` gets connector and id tag, `reset` whether it is hard, `trigger`
    message and connector id.
    """

    sessions: Sessions
    configuration: Configuration
    tasks: Tasks
    remote_start: Callable[[Connector, str], Work]
    reset: Callable[[bool], Work]
    trigger: Callable[[str, int | None], Work]
    set_station_operative: Callable[[bool], None]

    def answer(self, action: str, payload: Payload) -> Payload:
        """Answer a call whose payload its schema allows. Raises CallError."""
        answers: dict[str, Callable[[Payload], Payload]] = {
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "Reset": self._reset,
            "ChangeAvailability": self._change_availability,
            "GetConfiguration": self._get_configuration,
            "ChangeConfiguration": self._change_configuration,
            "TriggerMessage": self._trigger_message,
            "UnlockConnector": self._unlock_connector,
            "ClearCache": lambda _payload: {"status": "Accepted"},
            "DataTransfer": lambda _payload: {"status": "UnknownVendorId"},
        }
        if action not in answers:
            raise CallError("NotImplemented", f"{action} is not implemented")
        if self.tasks.full:
            raise CallError("GenericError", "too many commands at once")
        return answers[action](payload)

    def _remote_start(self, payload: Payload) -> Payload:
        wanted = payload.get("connectorId")
        connectors = self.sessions.connectors.values()
        free = [c for c in connectors if c.free and wanted in {None, c.connector_id}]
        if not free:
            return {"status": "Rejected"}
        connector = min(free, key=lambda c: c.vehicle is None)
        self.tasks.start(self.remote_start(connector, payload["idTag"]), "remote start")
        return {"status": "Accepted"}

    def _remote_stop(self, payload: Payload) -> Payload:
        session = self.sessions.find(payload["transactionId"])
        if session is None:
            return {"status": "Rejected"}

        async def stop() -> None:
            self.sessions.stop(session, "Remote")

        self.tasks.start(stop(), "remote stop")
        return {"status": "Accepted"}

    def _reset(self, payload: Payload) -> Payload:
        self.tasks.start(self.reset(payload["type"] == "Hard"), "reset")
        return {"status": "Accepted"}

    def _change_availability(self, payload: Payload) -> Payload:
        operative = payload["type"] == "Operative"
        connector_id = payload["connectorId"]
        if connector_id != 0 and connector_id not in self.sessions.connectors:
            return {"status": "Rejected"}
        if connector_id == 0:
            self.set_station_operative(operative)
            chosen = list(self.sessions.connectors.values())
        else:
            chosen = [self.sessions.connectors[connector_id]]
        scheduled = False
        for connector in chosen:
            if connector.session:
                connector.operative_later = operative
                scheduled = True
            else:
                self.sessions.set_operative(connector, operative=operative)
        return {"status": "Scheduled" if scheduled and not operative else "Accepted"}

    def _get_configuration(self, payload: Payload) -> Payload:
        return self.configuration.read(payload.get("key", []))

    def _change_configuration(self, payload: Payload) -> Payload:
        return {"status": self.configuration.change(payload["key"], payload["value"])}

    def _trigger_message(self, payload: Payload) -> Payload:
        message, connector_id = payload["requestedMessage"], payload.get("connectorId")
        if message not in TRIGGERS:
            return {"status": "NotImplemented"}
        if connector_id is not None and connector_id not in {0, *self.sessions.connectors}:
            return {"status": "Rejected"}
        self.tasks.start(self.trigger(message, connector_id), f"trigger {message}")
        return {"status": "Accepted"}

    def _unlock_connector(self, payload: Payload) -> Payload:
        connector = self.sessions.connectors.get(payload["connectorId"])
        if connector is None:
            return {"status": "NotSupported"}
        if connector.session:
            self.sessions.stop(connector.session, "UnlockCommand")
        return {"status": "Unlocked"}
