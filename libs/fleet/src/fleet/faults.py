"""The ways of real chargers that a back end has to survive, switched on one by one."""

from dataclasses import dataclass


@dataclass
class Faults:
    """What a charger does wrong. It may be changed between sessions."""

    duplicate: bool = False
    """Sends every message a second time, under a new message id, and ignores that answer."""

    drop_answers: int = 0
    """How many answers to each transaction message get lost before one is heard."""

    clock_offset_s: float = 0
    """Added to the charger's clock. -1_700_000_000 is about 1970."""

    decimal_comma: bool = False
    """Meter values are written "12500,0" instead of "12500"."""

    kilowatt_hours: bool = False
    """The register is reported in kWh, with three decimals."""

    zero_transaction_id: bool = False
    """MeterValues and StopTransaction carry transaction id 0 whatever was answered."""

    omit_transaction_id: bool = False
    """MeterValues carry no transaction id."""

    garbage: bool = False
    """A frame that is not JSON goes before the first try of every transaction message."""
