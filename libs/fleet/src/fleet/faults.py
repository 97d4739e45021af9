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
    """Meter values are written "12500,0" instead of "12500". Only where they are text: OCPP 1.6."""

    kilowatt_hours: bool = False
    """The register is reported in kWh, with three decimals."""

    zero_transaction_id: bool = False
    """MeterValues and StopTransaction, or every TransactionEvent, carry transaction id 0."""

    omit_transaction_id: bool = False
    """MeterValues carry no transaction id. In OCPP 2.x no such message would be valid."""

    lose_start: bool = False
    """The start of a session is never sent. In OCPP 1.6 its stop then says transaction -1."""

    lose_updates: bool = False
    """Nothing is sent between start and stop. In OCPP 2.x sequence numbers are missing."""

    reorder: bool = False
    """Of every two messages between start and stop the later goes first; a last one after the stop.
    """

    slow_reader_s: float = 0
    """How long the charger waits before it reads each frame, whatever arrives meanwhile."""

    firmware_fails: str = ""
    """The status with which a firmware update ends early, such as "InstallationFailed"."""

    garbage: bool = False
    """A frame that is not JSON goes before the first try of every transaction message."""
