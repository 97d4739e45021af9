"""Pure: what somebody says of a session instead of what its charger said."""

from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import Field, model_validator

from billing.meter import ENERGY_WH_MAX, REGISTER_MAX
from billing.rating import LENGTH_MAX
from common.clock import Moment
from common.fields import Body

RegisterWh = Annotated[int | None, Field(ge=-REGISTER_MAX, le=REGISTER_MAX)]


class CorrectedFacts(Body):
    """What is left out stays as it is. Registers without energy_wh say what it was."""

    started_at: Moment | None = None
    ended_at: Moment | None = None
    meter_start_wh: RegisterWh = None
    meter_stop_wh: RegisterWh = None
    energy_wh: Annotated[int | None, Field(ge=0, le=ENERGY_WH_MAX)] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(getattr(self, name) is None for name in FACTS):
            raise ValueError("say what was otherwise")
        return self


FACTS: Final = tuple(CorrectedFacts.model_fields)


class Known(NamedTuple):
    """What is known of a session, or was corrected. Energy and registers in Wh."""

    started_at: datetime
    ended_at: datetime | None
    meter_start_wh: int | None
    meter_stop_wh: int | None
    energy_wh: int | None


class Impossible(Exception):
    """Facts that cannot all be true; the text says which."""


def known(row: Any) -> Known:
    """Of a session or a record."""
    return Known(*(getattr(row, name) for name in FACTS))


def corrected(before: Known, said: CorrectedFacts) -> Known:
    """Raises Impossible."""
    given = {name: value for name, value in said if value is not None}
    now = before._replace(**given)
    if now.ended_at is None or now.ended_at < now.started_at:
        raise Impossible("the end lies before the start")
    if now.ended_at - now.started_at > LENGTH_MAX:
        raise Impossible("it would have lasted for more than a year")
    difference = None
    if now.meter_start_wh is not None and now.meter_stop_wh is not None:
        difference = now.meter_stop_wh - now.meter_start_wh
    told = said.meter_start_wh is not None or said.meter_stop_wh is not None
    if told and said.energy_wh is None:
        if difference is None:
            raise Impossible("one register alone does not say how much it was; send energy_wh")
        now = now._replace(energy_wh=difference)
    elif told and difference is not None and difference != now.energy_wh:
        raise Impossible(f"between the registers lie {difference} Wh, not {now.energy_wh}")
    elif not told and said.energy_wh is not None and difference != now.energy_wh:
        # A register that said something else is none of this energy.
        now = now._replace(meter_start_wh=None, meter_stop_wh=None)
    if now.energy_wh is None:
        raise Impossible("how much it was is not known; send energy_wh, or both registers")
    if not 0 <= now.energy_wh <= ENERGY_WH_MAX:
        raise Impossible(f"{now.energy_wh} Wh: between 0 and {ENERGY_WH_MAX} are possible")
    return now
