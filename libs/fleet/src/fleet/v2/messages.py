"""The OCPP 2.0.1 and 2.1 messages that a charger sends (OCPP 2.0.1 edition 3, part 2).

A simulated EVSE has one connector, and the charger's connector n is its EVSE n.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from fleet import configuration as keys
from fleet import schemas
from fleet.authority import IdToken, Verdict
from fleet.charging import Sample
from fleet.configuration import Configuration
from fleet.connectors import Session
from fleet.dialect import REGISTER, Electrics, Identity, Message, Payload, moment, readings
from fleet.faults import Faults

WORDS = {"Available": "Available", "Reserved": "Reserved", "Unavailable": "Unavailable",
         "Faulted": "Faulted"}  # fmt: skip
STATES = {"Charging": "Charging", "SuspendedEV": "SuspendedEV", "SuspendedEVSE": "SuspendedEVSE"}
# By the reason of OCPP 1.6: the trigger, and the stopped reason where it has another name.
TRIGGERS = {
    "Local": "StopAuthorized",
    "Remote": "RemoteStop",
    "EVDisconnected": "EVCommunicationLost",
    "DeAuthorized": "Deauthorized",
    "HardReset": "ResetCommand",
    "SoftReset": "ResetCommand",
    "UnlockCommand": "UnlockCommand",
}
REASONS = {"HardReset": "ImmediateReset", "SoftReset": "ImmediateReset", "UnlockCommand": "Other"}


def evse(connector_id: int) -> Payload:
    return {"id": connector_id, "connectorId": 1}


def id_token(token: IdToken) -> Payload:
    return {"idToken": token.text, "type": token.kind}


def read_token(payload: Payload) -> IdToken:
    return IdToken(payload["idToken"], payload["type"])


def read_verdict(info: Payload) -> Verdict:
    return Verdict(info["status"], info.get("groupIdToken", {}).get("idToken"))


@dataclass
class V2:
    """`online` tells whether the server can hear the charger at this moment."""

    electrics: Electrics
    faults: Faults
    configuration: Configuration
    online: Callable[[], bool]
    version: str
    subprotocol: str = field(init=False)

    def __post_init__(self) -> None:
        self.subprotocol = f"ocpp{self.version}"

    def violation(self, message: str, payload: Any) -> str | None:
        return schemas.violation(self.version, message, payload)

    def knows(self, action: str) -> bool:
        return schemas.knows(self.version, action)

    def boot(self, identity: Identity, reason: str) -> Payload:
        return {
            "reason": reason,
            "chargingStation": {
                "vendorName": identity.vendor[:50],
                "model": identity.model[:20],
                "serialNumber": identity.serial[:25],
                "firmwareVersion": identity.firmware[:50],
            },
        }

    def status_word(self, connector_id: int, status: str) -> str | None:
        if connector_id == 0 and status == "Available":
            return None  # what a station is while nothing else was heard
        return WORDS.get(status, "Occupied")

    def status(self, connector_id: int, word: str, at: datetime) -> Message:
        """A station has no StatusNotification of its own, so it is an event (G03, N07)."""
        if connector_id == 0:
            component = {"name": "ChargingStation"}
            payload = event_of(component, {"name": "AvailabilityState"}, word, at)
            return Message("NotifyEvent", lambda: payload)
        payload = {
            "timestamp": moment(at),
            "connectorStatus": word,
            "evseId": connector_id,
            "connectorId": 1,
        }
        return Message("StatusNotification", lambda: payload)

    def authorize(self, token: IdToken) -> Payload:
        return {"idToken": id_token(token)}

    def verdict(self, answer: Payload) -> Verdict | None:
        info = answer.get("idTokenInfo")
        return info and read_verdict(info)

    def new_transaction_id(self) -> str:
        return str(uuid4())

    def started(self, session: Session) -> Message:
        trigger = "Authorized" if session.plan.remote_start_id is None else "RemoteStart"
        sample = Sample(session.started_at, session.meter_start_wh, 0, None, "Transaction.Begin")
        event = self._event("Started", trigger, session, sample)
        event["evse"] = evse(session.connector_id)
        event["idToken"] = id_token(session.token)
        if session.plan.reservation_id is not None:
            event["reservationId"] = session.plan.reservation_id
        return self._message(event)

    def sampled(self, connector_id: int, session: Session | None, sample: Sample) -> Message:
        if session is None:
            value = self.meter_value(sample)
            payload = {"evseId": connector_id, "meterValue": [value]}
            return Message("MeterValues", lambda: payload)
        trigger = "Trigger" if sample.context == "Trigger" else "MeterValuePeriodic"
        return self._message(self._event("Updated", trigger, session, sample))

    def changed(self, session: Session, trigger: str) -> Message:
        return self._message(self._event("Updated", trigger, session, None, session.charging.at))

    def ended(self, session: Session, token: IdToken | None, samples: list[Sample]) -> Message:
        reason = session.reason or "Other"
        *_, sample = samples or [session.last_sample()]
        trigger = TRIGGERS.get(reason, "AbnormalCondition")
        event = self._event("Ended", trigger, session, sample)
        event["transactionInfo"]["stoppedReason"] = REASONS.get(reason, reason)
        if reason == "EVDisconnected":
            event["transactionInfo"]["chargingState"] = "Idle"  # the car is gone
        if token is not None:
            event["idToken"] = id_token(token)
        return self._message(event)

    def meter_value(self, sample: Sample) -> Payload:
        wanted = self.configuration.listed(keys.SAMPLED_DATA)
        if sample.context.startswith("Transaction."):
            wanted = [REGISTER]
        kilowatt_hours = self.faults.kilowatt_hours
        return {
            "timestamp": moment(sample.at),
            "sampledValue": [
                {
                    "value": float(value),
                    "context": sample.context,
                    "measurand": measurand,
                    "location": location,
                    "unitOfMeasure": {"unit": unit},
                }
                for measurand, value, unit, location in readings(
                    sample, self.electrics, wanted, kilowatt_hours=kilowatt_hours
                )
            ],
        }

    def _event(
        self,
        kind: str,
        trigger: str,
        session: Session,
        sample: Sample | None,
        at: datetime | None = None,
    ) -> Payload:
        """Take the session's next number: what is made here has to be sent, or leaves a gap."""
        at = at or (sample.at if sample else session.charging.at)
        transaction_id = session.transaction_id
        info: Payload = {
            "transactionId": "0" if self.faults.zero_transaction_id else transaction_id,
            "chargingState": STATES.get(session.state, "EVConnected"),
        }
        if session.plan.remote_start_id is not None:
            info["remoteStartId"] = session.plan.remote_start_id
        event: Payload = {
            "eventType": kind,
            "timestamp": moment(at),
            "triggerReason": trigger,
            "seqNo": session.seq_no,
            "transactionInfo": info,
        }
        session.seq_no += 1
        # A session made up in the past is one that nobody could be told of while it was running.
        if session.backdated or not self.online():
            event["offline"] = True
        if sample:
            event["meterValue"] = [self.meter_value(sample)]
        return event

    def _message(self, event: Payload) -> Message:
        return Message("TransactionEvent", lambda: event)


def event_of(component: Payload, variable: Payload, value: str, at: datetime) -> Payload:
    """Make a NotifyEvent of one change that the charger tells by itself."""
    return {
        "generatedAt": moment(at),
        "seqNo": 0,
        "eventData": [
            {
                "eventId": int(at.timestamp() * 1000) % 2**31,
                "timestamp": moment(at),
                "trigger": "Delta",
                "actualValue": value,
                "eventNotificationType": "HardWiredNotification",
                "component": component,
                "variable": variable,
            }
        ],
    }
