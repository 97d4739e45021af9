"""OCPP 2.1: 2.0.1 on its own schemas, and what it adds."""

from dataclasses import replace
from typing import Any

from csms_gateway import v201
from csms_gateway.charger import Answered, Charger, Handler, Translation
from csms_gateway.v21 import (
    battery_swap,
    dynamic_schedules,
    event_streams,
    get_certificate_chain_status,
    notify_der_alarm,
    notify_der_start_stop,
    notify_priority_charging,
    notify_settlement,
    report_der_control,
    set_default_tariff,
    transaction_event,
    vat_number_validation,
)
from csms_gateway.v201 import mirrored

ACTIONS: dict[str, Handler] = v201.ACTIONS | {
    "BatterySwap": battery_swap.answer,
    "ClosePeriodicEventStream": event_streams.closed,
    "GetCertificateChainStatus": get_certificate_chain_status.answer,
    "NotifyDERAlarm": notify_der_alarm.answer,
    "NotifyDERStartStop": notify_der_start_stop.answer,
    "NotifyPeriodicEventStream": event_streams.fed,
    "NotifyPriorityCharging": notify_priority_charging.answer,
    "NotifySettlement": notify_settlement.answer,
    "OpenPeriodicEventStream": event_streams.opened,
    "PullDynamicScheduleUpdate": dynamic_schedules.pulled,
    "ReportDERControl": report_der_control.answer,
    "TransactionEvent": transaction_event.answer,
    "VatNumberValidation": vat_number_validation.answer,
}

COMMANDS: dict[str, Translation] = (
    v201.COMMANDS | mirrored.commands("v21") | {"set_default_tariff": set_default_tariff.calls}
)


def _also(action: str, more: Answered) -> Answered:
    """What 2.0.1 does after an answer, and then this."""
    first = v201.VERSION.answered.get(action)
    if first is None:
        return more

    async def both(charger: Charger, payload: dict[str, Any], answer: dict[str, Any]) -> None:
        await first(charger, payload, answer)
        await more(charger, payload, answer)

    return both


ANSWERED: dict[str, Answered] = {
    **v201.VERSION.answered,
    "ClearChargingProfile": _also("ClearChargingProfile", dynamic_schedules.cleared),
    "SetChargingProfile": _also("SetChargingProfile", dynamic_schedules.installed),
    "UpdateDynamicSchedule": dynamic_schedules.updated,
}

VERSION = replace(
    v201.VERSION,
    name="ocpp2.1",
    schemas="v21",
    actions=ACTIONS,
    commands=COMMANDS,
    answered=ANSWERED,
)
