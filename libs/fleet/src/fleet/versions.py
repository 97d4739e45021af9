"""The versions of OCPP that a charger can speak: their dialects and their commands."""

from collections.abc import Callable

from fleet.configuration import Configuration
from fleet.dialect import Dialect, Electrics
from fleet.faults import Faults
from fleet.parts import Command
from fleet.v2 import V2
from fleet.v2 import commands as v2_commands
from fleet.v16 import V16
from fleet.v16 import commands as v16_commands

COMMANDS: dict[str, dict[str, Command]] = {
    "1.6": v16_commands.COMMANDS,
    "2.0.1": v2_commands.COMMANDS,
    "2.1": v2_commands.COMMANDS_OF_21,
}


def dialect(
    version: str,
    electrics: Electrics,
    faults: Faults,
    configuration: Configuration,
    online: Callable[[], bool],
) -> Dialect:
    if version == "1.6":
        return V16(electrics, faults, configuration)
    return V2(electrics, faults, configuration, online, version)
