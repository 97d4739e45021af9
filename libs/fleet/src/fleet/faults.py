"""The ways of real chargers that a back end has to survive, switched on one by one."""

from dataclasses import dataclass, field
from typing import Any


def _fault(default: Any, about: str) -> Any:
    """`about` is also what the program's help says of the option."""
    return field(default=default, metadata={"about": about})


@dataclass
class Faults:
    """What a charger does wrong. It may be changed between sessions."""

    duplicate: bool = _fault(
        False, "send every message a second time, under a new message id, and ignore that answer"
    )
    drop_answers: int = _fault(
        0, "lose so many answers to each transaction message before one is heard"
    )
    clock_offset_s: float = _fault(
        0, "seconds added to the charger's clock, or 1970 for a clock that begins there"
    )
    decimal_comma: bool = _fault(
        False, 'write meter values as "12500,0", where they are text: in OCPP 1.6'
    )
    kilowatt_hours: bool = _fault(False, "report the register in kWh, with three decimals")
    zero_transaction_id: bool = _fault(
        False, "give transaction id 0 with meter values and stops, whatever was answered"
    )
    omit_transaction_id: bool = _fault(
        False, "give no transaction id with meter values of OCPP 1.6"
    )
    lose_start: bool = _fault(
        False, "never send the start of a session; a stop of OCPP 1.6 then says transaction -1"
    )
    lose_updates: bool = _fault(
        False, "send nothing between start and stop; in OCPP 2.x sequence numbers are missing"
    )
    reorder: bool = _fault(
        False, "of every two messages of a session send the later first, the last after the stop"
    )
    slow_reader_s: float = _fault(
        0, "wait so many seconds before each frame is read, whatever arrives meanwhile"
    )
    firmware_fails: str = _fault(
        "", 'end firmware updates early with this status, such as "InstallationFailed"'
    )
    garbage: bool = _fault(
        False, "send a frame that is not JSON before the first try of a transaction message"
    )
