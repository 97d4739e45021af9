"""Pure: the device model of OCPP 2.x (Part 1, chapter 4), which 1.6's configuration keys join.

A key of 1.6 is a variable without a component: 1.6 knows none, and to name one would be a guess.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from csms_gateway.commands.kinds import VariableName

# What nobody may read back: BasicAuthPassword (2.x), AuthorizationKey (1.6), apnPassword, …
SECRET: Final = ("password", "passphrase", "authorizationkey", "secret", "vpnkey")
ACTUAL: Final = "Actual"
ATTRIBUTES: Final = {ACTUAL, "Target", "MinSet", "MaxSet"}
WRITE_ONLY: Final = "WriteOnly"
MUTABILITIES: Final = {"ReadOnly", WRITE_ONLY, "ReadWrite"}


class Name(NamedTuple):
    """Which variable; "" and 0 where there is none."""

    component: str
    component_instance: str
    evse_id: int
    connector_id: int
    variable: str
    variable_instance: str
    attribute: str


class Told(NamedTuple):
    """What a station told of a variable; None: it did not say."""

    name: Name
    value: str | None
    mutability: str | None = None
    characteristics: dict[str, Any] | None = None


def secret(variable: str) -> bool:
    name = variable.lower()
    return any(part in name for part in SECRET)


def mutability(told: Any) -> str | None:
    """In OCPP's spelling, whatever the station's; None: it means nothing."""
    letters = "".join(filter(str.isalpha, told)).lower() if isinstance(told, str) else ""
    return next((one for one in MUTABILITIES if one.lower() == letters), None)


def folded(name: Name) -> tuple[str | int, ...]:
    """To compare by: names are the same in any case (2.0.1 Part 2, appendix 3)."""
    return tuple(part.lower() if isinstance(part, str) else part for part in name)


def key(name: str) -> Name:
    """A configuration key of OCPP 1.6."""
    return Name("", "", 0, 0, name, "", ACTUAL)


def named(item: dict[str, Any], attribute: str | None = None) -> Name:
    """Of anything with ComponentType and VariableType."""
    component, variable = item["component"], item["variable"]
    evse = component.get("evse") or {}
    return Name(
        component["name"],
        component.get("instance", ""),
        evse.get("id", 0),
        evse.get("connectorId", 0),
        variable["name"],
        variable.get("instance", ""),
        attribute or ACTUAL,
    )


def ocpp(name: VariableName) -> dict[str, Any]:
    """ComponentType, VariableType and attributeType of a command's variable."""
    component: dict[str, Any] = {"name": name.component}
    if name.component_instance is not None:
        component["instance"] = name.component_instance
    if name.evse_id is not None:
        component["evse"] = {"id": name.evse_id}
        if name.connector_id is not None:
            component["evse"]["connectorId"] = name.connector_id
    variable = {"name": name.variable}
    if name.variable_instance is not None:
        variable["instance"] = name.variable_instance
    found: dict[str, Any] = {"component": component, "variable": variable}
    if name.attribute != ACTUAL:  # left out it is Actual; some stations know nothing else
        found["attributeType"] = name.attribute
    return found


def reported(report_data: Iterable[dict[str, Any]]) -> Iterator[Told]:
    """Of NotifyReport (2.0.1, ReportDataType)."""
    for item in report_data:
        characteristics = item.get("variableCharacteristics")
        for attribute in item["variableAttribute"]:
            yield Told(
                named(item, attribute.get("type")),
                attribute.get("value"),
                mutability(attribute.get("mutability", "ReadWrite")),
                characteristics,
            )


Item = TypeVar("Item")


def batches(
    items: Iterable[Item],
    items_max: int,
    bytes_max: int | None,
    unique: Callable[[Item], Hashable] | None = None,
) -> Iterator[list[Item]]:
    """In their order, at most so many items and so many bytes of JSON a batch, and of those that
    are the same by `unique` one a batch. A single item over bytes_max goes alone.
    """
    batch: list[Item] = []
    seen: set[Hashable] = set()
    size = 0
    for item in items:
        length = len(orjson.dumps(item)) + 1  # and the comma
        twice = unique is not None and unique(item) in seen
        if batch and (
            twice
            or len(batch) >= items_max
            or (bytes_max is not None and size + length > bytes_max)
        ):
            yield batch
            batch, size = [], 0
            seen.clear()
        batch.append(item)
        size += length
        if unique is not None:
            seen.add(unique(item))
    if batch:
        yield batch
