"""Pure: what a meter said, in the words of events.MeterSample, whatever the version of OCPP."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

REGISTER: Final = "Energy.Active.Import.Register"  # also the default: OCPP 1.6, 7.43
# In lower case: some chargers write KWh or WH.
TO_BASE: Final = {
    "wh": ("Wh", 1), "kwh": ("Wh", 1000), "varh": ("varh", 1), "kvarh": ("varh", 1000),
    "kw": ("W", 1000),
}  # fmt: skip
NAME_MAX: Final = 64  # twice the longest name in the schema; the names are keys in the database
VALUE_MAX: Final = 64  # characters of a number; longer ones are signed data or garbage
TEXT_MAX: Final = 255  # five times what most schemas allow
REGISTER_MAX: Final = 2**53  # Wh; what a float64 still counts exactly, more than any meter shows


def short(text: str | None) -> str | None:
    """Free text as it goes into events; the message log has all of it."""
    return text and text[:TEXT_MAX]


def sample(
    sampled: dict[str, Any], value: str, unit: str, at: datetime, multiplier: int = 0
) -> dict[str, Any] | None:
    """A SampledValue as events.MeterSample in JSON-ready members; None: it is no number.

    The value in Wh for energy; multiplier is the exponent of 10 that OCPP 2.x has.
    """
    measurand = sampled.get("measurand", REGISTER)[:NAME_MAX]
    energy = measurand.startswith("Energy.")
    read = number(value)
    if read is None or not -VALUE_MAX < multiplier < VALUE_MAX:
        return None
    unit = unit[:NAME_MAX] or ("Wh" if energy else "")
    if multiplier:
        read = format(Decimal(read).scaleb(multiplier), "f")
    if energy and unit != "Wh" and (base := TO_BASE.get(unit.lower())):
        unit, factor = base
        read = format(Decimal(read) * factor, "f")
    return {
        "sampled_at": at,
        "measurand": measurand,
        "value": read,
        "unit": unit,
        "phase": sampled.get("phase", "")[:NAME_MAX],
        "location": sampled.get("location", "")[:NAME_MAX],
        "context": sampled.get("context", "")[:NAME_MAX],
    }


def number(text: str) -> str | None:
    """A decimal number as the charger meant it: 12,5 is 12.5. None: it is none."""
    if len(text) > VALUE_MAX:
        return None
    if text.isdecimal() and text.isascii():
        return text
    try:
        value = Decimal(text.strip().replace(",", ".", 1))
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > VALUE_MAX:
        return None
    return format(value, "f")
