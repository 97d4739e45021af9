"""Pure: the OCPP 1.6 messages that a charger sends (OCPP 1.6 edition 2, section 6)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from fleet import configuration as keys
from fleet import schemas
from fleet.authority import IdToken, Verdict
from fleet.charging import Sample
from fleet.configuration import Configuration
from fleet.connectors import Session
from fleet.dialect import REGISTER, Electrics, Identity, Message, Payload, moment, readings
from fleet.faults import Faults

NO_TRANSACTION_ID = -1  # what chargers put in StopTransaction when the start was never answered


@dataclass
class V16:
    electrics: Electrics
    faults: Faults
    configuration: Configuration
    subprotocol: str = "ocpp1.6"
    version: str = "1.6"

    def violation(self, message: str, payload: Any) -> str | None:
        return schemas.violation(self.version, message, payload)

    def knows(self, action: str) -> bool:
        return schemas.knows(self.version, action)

    def boot(self, identity: Identity, reason: str) -> Payload:  # noqa: ARG002 - a reason is of 2.x
        return {
            "chargePointVendor": identity.vendor[:20],
            "chargePointModel": identity.model[:20],
            "chargePointSerialNumber": identity.serial[:25],
            "firmwareVersion": identity.firmware[:50],
        }

    def status_word(self, connector_id: int, status: str) -> str | None:  # noqa: ARG002
        return status

    def status(self, connector_id: int, word: str, at: datetime) -> Message:
        payload = {
            "connectorId": connector_id,
            "errorCode": "NoError",
            "status": word,
            "timestamp": moment(at),
        }
        return Message("StatusNotification", lambda: payload)

    def authorize(self, token: IdToken) -> Payload:
        return {"idTag": token.text}

    def verdict(self, answer: Payload) -> Verdict | None:
        info = answer.get("idTagInfo")
        return info and Verdict(info["status"], info.get("parentIdTag"))

    def new_transaction_id(self) -> None:
        return None

    def started(self, session: Session) -> Message:
        start = {
            "connectorId": session.connector_id,
            "idTag": session.token.text,
            "meterStart": session.meter_start_wh,
            "timestamp": moment(session.started_at),
        }
        if session.plan.reservation_id is not None:
            start["reservationId"] = session.plan.reservation_id
        return Message("StartTransaction", lambda: start)

    def sampled(self, connector_id: int, session: Session | None, sample: Sample) -> Message:
        value = self.meter_value(sample, self.configuration.listed(keys.SAMPLED_DATA))

        def payload() -> Payload:
            values: Payload = {"connectorId": connector_id, "meterValue": [value]}
            if self.faults.zero_transaction_id:
                values["transactionId"] = 0
            elif session and session.transaction_id is not None:
                values["transactionId"] = session.transaction_id
            if self.faults.omit_transaction_id:
                values.pop("transactionId", None)
            return values

        return Message("MeterValues", payload)

    def changed(self, session: Session, trigger: str) -> None:  # noqa: ARG002
        """The status says it."""
        return

    def ended(self, session: Session, token: IdToken | None, samples: list[Sample]) -> Message:
        assert session.ended_at is not None
        stop: Payload = {
            "meterStop": session.meter_stop_wh,
            "timestamp": moment(session.ended_at),
            "reason": session.reason,
        }
        if token is not None:
            stop["idTag"] = token.text
        if samples:
            stop["transactionData"] = [self.meter_value(sample, [REGISTER]) for sample in samples]

        def payload() -> Payload:
            transaction_id = session.transaction_id
            if self.faults.zero_transaction_id:
                transaction_id = 0
            elif transaction_id is None:
                transaction_id = NO_TRANSACTION_ID
            return {"transactionId": transaction_id, **stop}

        return Message("StopTransaction", payload)

    def meter_value(self, sample: Sample, measurands: list[str]) -> Payload:
        """One meterValue with a sampledValue for each measurand the charger knows."""
        return {
            "timestamp": moment(sample.at),
            "sampledValue": [
                {
                    "value": self._written(value),
                    "context": sample.context,
                    "format": "Raw",
                    "measurand": measurand,
                    "location": location,
                    "unit": unit,
                }
                for measurand, value, unit, location in readings(
                    sample, self.electrics, measurands, kilowatt_hours=self.faults.kilowatt_hours
                )
            ],
        }

    def _written(self, value: Decimal) -> str:
        if not self.faults.decimal_comma:
            return str(value)
        whole = value == value.to_integral_value()
        return (f"{value:.1f}" if whole else str(value)).replace(".", ",")
