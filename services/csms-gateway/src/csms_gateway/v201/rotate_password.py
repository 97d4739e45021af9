"""The station's password by SetVariables (OCPP 2.0.1, A01)."""

from csms_gateway import password_rotation
from csms_gateway.charger import Call, Charger
from csms_gateway.commands.kinds import RotatePassword


def call(password: str) -> Call:
    item = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
        "attributeValue": password,
    }
    return Call("SetVariables", {"setVariableData": [item]})


async def calls(_: Charger, __: RotatePassword) -> list[Call]:
    return [call(password_rotation.new_password())]
