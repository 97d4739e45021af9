"""SetVariables (OCPP 2.0.1, B05)."""

from typing import Any, Final

from csms_gateway.charger import Call, Charger, Unsupported
from csms_gateway.commands.kinds import SetVariables, VariableValue
from csms_gateway.device_model import batches, named, ocpp
from csms_gateway.v201.get_variables import check, limits

NETWORK: Final = "networkconfiguration"  # the component; its instances are the slots
IN_USE: Final = """
select value from variable
where station_id = $1 and lower(component) = 'ocppcommctrlr'
and lower(variable) = 'networkconfigurationpriority' and attribute = 'Actual'
order by seen_at desc limit 1
"""


def _name(item: dict[str, Any]) -> object:
    return named(item, item.get("attributeType"))


async def calls(charger: Charger, command: SetVariables) -> list[Call]:
    check([*command.variables])
    await _check_network(charger, command.variables)
    items_max, bytes_max = await limits(charger, "SetVariables")
    items = [{"attributeValue": one.value, **ocpp(one)} for one in command.variables]
    # B05.FR.13: the same variable is never twice in a message.
    return [
        Call("SetVariables", {"setVariableData": batch})
        for batch in batches(items, items_max, bytes_max, _name)
    ]


async def _check_network(charger: Charger, wanted: list[VariableValue]) -> None:
    """A slot that is in use stays as it is, or a mistake could leave the station without a back
    end for good (2.1, B09.FR.21). Raises Unsupported.
    """
    slots = {
        one.component_instance for one in wanted if (one.component or "").lower() == NETWORK
    } - {None}
    if not slots:
        return
    told = await charger.gateway.pool.fetchval(IN_USE, charger.station_id)
    in_use = {one.strip() for one in (told or "").split(",")}
    if taken := sorted(str(one) for one in slots & in_use):
        raise Unsupported(
            f"network slot {', '.join(taken)} is in use: set another one, then "
            "NetworkConfigurationPriority"
        )
