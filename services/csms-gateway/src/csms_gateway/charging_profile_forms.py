"""Pure: a charging profile as OCPP 1.6 and 2.x write it, and what it limits."""

from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

from csms_gateway.charger import Unsupported
from csms_gateway.clocks import wire_time
from csms_gateway.commands.charging_profile import (
    ChargingProfile,
    ChargingSchedule,
    ProfileBody,
    SchedulePeriod,
)
from csms_gateway.commands.operation_modes import PHASES, Bidirectional

PURPOSES_16: Final = {
    "station_max": "ChargePointMaxProfile",
    "tx_default": "TxDefaultProfile",
    "tx": "TxProfile",
}
PURPOSES_2: Final = {
    "station_max": "ChargingStationMaxProfile",
    "station_external": "ChargingStationExternalConstraints",
    "tx_default": "TxDefaultProfile",
    "tx": "TxProfile",
}
NEUTRAL: Final = {name: purpose for purpose, name in (PURPOSES_2 | PURPOSES_16).items()} | {
    name: purpose for purpose, name in PURPOSES_2.items()
}
NO_DIGITS: Final = 2.0**53  # a float as large has none after the point
KINDS: Final = {
    "absolute": "Absolute", "recurring": "Recurring", "relative": "Relative", "dynamic": "Dynamic",
}  # fmt: skip
# ChargingSchedulePeriodType (OCPP 2.1) where it is more than our word in its own writing.
NAMES_2_1: Final = {
    "preconditioning": "preconditioningRequest", "v2x_baseline": "v2xBaseline",
    "freq_watt_curve": "v2xFreqWattCurve", "signal_watt_curve": "v2xSignalWattCurve",
}  # fmt: skip


def tenth(limit: float) -> float:
    """Down to one digit after the point, which is all that OCPP allows (1.6, 7.13; 2.0.1, 2.14).

    Down, for it is a limit.
    """
    if abs(limit) >= NO_DIGITS:
        return limit
    return float(Decimal(str(limit)).quantize(Decimal("0.1"), ROUND_FLOOR))


def toward_zero(power: float) -> float:
    """The same of what may be negative: neither charged nor given back more than was said."""
    return tenth(power) if power >= 0 else -tenth(-power)


def check_sayable(profile: ProfileBody, schemas: str) -> None:
    """schemas: the folder of the station's version. Raises Unsupported."""
    if schemas != "v21" and (words := profile.only_of_2_1()):
        raise Unsupported(f"{words}: only OCPP 2.1 has it")


def check_sendable(profile: ProfileBody, evse_id: int) -> None:
    """What either version forbids. Raises Unsupported."""
    if profile.purpose == "station_external":
        raise Unsupported("external limits are not ours to set")  # 2.0.1, K01.FR.22
    if profile.purpose == "tx" and evse_id == 0:
        raise Unsupported("a tx profile is for one EVSE")  # K01.FR.16
    if profile.purpose == "station_max" and evse_id != 0:
        raise Unsupported("a station_max profile is for the whole station")


def for_a_start(profile: ChargingProfile) -> ChargingProfile:
    """A remote start's profile is for the session it asks for, whose id nobody knows yet (1.6,
    5.11; 2.0.1, K05.FR.02 and F01.FR.11). Raises Unsupported.
    """
    if profile.purpose not in ("tx", "tx_default"):
        raise Unsupported("a remote start takes a tx profile only")
    if profile.session_id is not None:
        raise Unsupported("the session that a remote start asks for has no id yet")
    return profile.model_copy(update={"purpose": "tx"})


def profile_16(
    profile: ProfileBody, number: int, at: datetime, transaction_id: int | None = None
) -> dict[str, Any]:
    """CsChargingProfiles (OCPP 1.6, 7.8). Raises Unsupported."""
    if profile.purpose not in PURPOSES_16:
        raise Unsupported(f"OCPP 1.6 has no purpose {profile.purpose}")
    if len(profile.schedules) > 1:
        raise Unsupported("OCPP 1.6 takes one schedule a profile")
    if any(period.phase_to_use for period in profile.schedules[0].periods):
        raise Unsupported("OCPP 1.6 cannot choose the phase")
    found = {"chargingProfileId": number}
    if transaction_id is not None:
        found["transactionId"] = transaction_id
    return (
        found
        | _common(profile, PURPOSES_16)
        | {"chargingSchedule": _schedule(profile, profile.schedules[0], at)}
    )


def profile_2(
    profile: ProfileBody, number: int, at: datetime, transaction_id: str | None = None
) -> dict[str, Any]:
    """ChargingProfileType (OCPP 2.0.1, 2.9).

    Schedules are numbered from 1: ISO 15118 knows each by this number, its SAScheduleTupleID, which
    is a byte.
    """
    found: dict[str, Any] = {"id": number} | _common(profile, PURPOSES_2)
    if transaction_id is not None:
        found["transactionId"] = transaction_id
    found["chargingSchedule"] = [
        {"id": n} | _schedule(profile, schedule, at)
        for n, schedule in enumerate(profile.schedules, 1)
    ]
    return found


def _common(profile: ProfileBody, purposes: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": purposes[profile.purpose],
        "chargingProfileKind": KINDS[profile.kind],
    }
    if profile.recurrency:
        found["recurrencyKind"] = profile.recurrency.capitalize()
    if profile.update_interval_s is not None:
        found["dynUpdateInterval"] = profile.update_interval_s
    if profile.valid_from:
        found["validFrom"] = wire_time(profile.valid_from)
    if profile.valid_to:
        found["validTo"] = wire_time(profile.valid_to)
    return found


def _schedule(profile: ProfileBody, schedule: ChargingSchedule, at: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {"chargingRateUnit": schedule.unit}
    if profile.kind not in ("relative", "dynamic"):
        found["startSchedule"] = wire_time(schedule.start_at or at)
    if schedule.duration_s is not None:
        found["duration"] = schedule.duration_s
    if schedule.min_charging_rate is not None:
        found["minChargingRate"] = tenth(schedule.min_charging_rate)
    found["chargingSchedulePeriod"] = [_period(one) for one in schedule.periods]
    return found


def _period(period: SchedulePeriod) -> dict[str, Any]:
    found: dict[str, Any] = {"startPeriod": period.start_s}
    if period.limit is not None:
        found["limit"] = tenth(period.limit)
    if period.phases is not None:
        found["numberPhases"] = period.phases
    if period.phase_to_use is not None:
        found["phaseToUse"] = period.phase_to_use
    said = period.model_dump(include=set(Bidirectional.model_fields), exclude_none=True)
    return found | {_name(name): _value(value) for name, value in said.items()}


def _name(word: str) -> str:
    """discharge_limit_l2 is dischargeLimit_L2."""
    if word in NAMES_2_1:
        return NAMES_2_1[word]
    word, phase = (word[:-3], word[-3:].upper()) if word[-3:] in PHASES else (word, "")
    return _camel(word) + phase


def _camel(word: str) -> str:
    first, *rest = word.split("_")
    return first + "".join(one.capitalize() for one in rest)


def _value(value: Any) -> Any:
    match value:
        case str():  # an operation mode
            return "".join(one.capitalize() for one in value.split("_"))
        case float():
            return toward_zero(value)
        case list():
            return [
                {name.rpartition("_")[0] or name: inner for name, inner in one.items()}
                for one in value
            ]  # power_w, frequency_hz and signal
    return value


def as_2(profile: dict[str, Any]) -> dict[str, Any]:
    """A profile from before its station spoke 2.x, with the names that differ put right."""
    schedule = profile["chargingSchedule"]
    if isinstance(schedule, list):
        return profile
    purpose = NEUTRAL.get(profile["chargingProfilePurpose"], "")
    return profile | {
        "chargingProfilePurpose": PURPOSES_2.get(purpose, profile["chargingProfilePurpose"]),
        "chargingSchedule": [schedule],
    }
