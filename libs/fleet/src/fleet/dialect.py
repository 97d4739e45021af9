"""What a version of OCPP is to a charger: the messages it sends, and how it reads the answers.

A dialect holds no state of the charger. All else of the charger is the same in every version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from fleet.authority import IdToken, Verdict
from fleet.charging import Sample

if TYPE_CHECKING:
    from fleet.connectors import Session

Payload = dict[str, Any]
TransactionId = int | str  # the server's in OCPP 1.6, the charger's own in OCPP 2.x
Call = Callable[[str, Payload], Any]

REGISTER = "Energy.Active.Import.Register"
MEASURANDS = (REGISTER, "Power.Active.Import", "Current.Import", "Voltage", "SoC")


@dataclass
class Identity:
    """What a charger says of itself in its BootNotification. An update changes the firmware."""

    vendor: str
    model: str
    serial: str
    firmware: str


@dataclass(frozen=True)
class Electrics:
    """What stands between the grid and the car.

    An AC charger knows nothing of the battery: no SoC.
    """

    power_w: int = 11_000
    dc: bool = False

    @property
    def voltage_v(self) -> int:
        return 400 if self.dc else 230

    @property
    def phases(self) -> int:
        return 1 if self.dc else 3

    def current_a(self, power_w: int) -> Decimal:
        """Amperes with one decimal; of an AC charger in each of its three phases."""
        return (Decimal(power_w) / (self.voltage_v * self.phases)).quantize(Decimal("0.1"))


@dataclass(frozen=True)
class Message:
    """`payload` is rendered for each try, because OCPP 1.6's transaction id may come late."""

    action: str
    payload: Callable[[], Payload]


class Dialect(Protocol):
    """Methods that return a message or None: not every version has something to say of it."""

    subprotocol: str
    version: str
    """"1.6", "2.0.1" or "2.1"."""

    def violation(self, message: str, payload: Any) -> str | None:
        """Say what is wrong with a message, by schema; "Reset" or "ResetResponse"."""

    def knows(self, action: str) -> bool:
        """Whether the version has this action."""

    def boot(self, identity: Identity, reason: str) -> Payload:
        """A BootNotification; `reason` is of OCPP 2.x."""

    def status_word(self, connector_id: int, status: str) -> str | None:
        """Translate a status of OCPP 1.6; None if the version has no word for the station's."""

    def status(self, connector_id: int, word: str, at: datetime) -> Message:
        """Report a status, in the version's word; 0 is the station itself."""

    def authorize(self, token: IdToken) -> Payload: ...

    def verdict(self, answer: Payload) -> Verdict | None:
        """Read it out of an answer to Authorize or to a transaction message."""

    def new_transaction_id(self) -> TransactionId | None: ...

    def started(self, session: "Session") -> Message: ...

    def sampled(self, connector_id: int, session: "Session | None", sample: Sample) -> Message: ...

    def changed(self, session: "Session", trigger: str) -> Message | None:
        """Tell a new charging state, or whatever the trigger reason of OCPP 2.x says."""

    def ended(
        self, session: "Session", token: IdToken | None, samples: list[Sample]
    ) -> Message: ...


def moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def readings(
    sample: Sample, electrics: Electrics, wanted: list[str], *, kilowatt_hours: bool
) -> list[tuple[str, Decimal, str, str]]:
    """Measurand, value, unit and location of each wanted measurand the charger knows, or of all."""
    register = (REGISTER, Decimal(sample.register_wh), "Wh", "Outlet")
    if kilowatt_hours:
        register = (REGISTER, Decimal(sample.register_wh) / 1000, "kWh", "Outlet")
    known = [
        register,
        ("Power.Active.Import", Decimal(sample.power_w), "W", "Outlet"),
        ("Current.Import", electrics.current_a(sample.power_w), "A", "Outlet"),
        ("Voltage", Decimal(electrics.voltage_v), "V", "Outlet"),
    ]
    if electrics.dc and sample.soc_percent is not None:
        known.append(("SoC", Decimal(sample.soc_percent), "Percent", "EV"))
    return [reading for reading in known if reading[0] in wanted] or known
