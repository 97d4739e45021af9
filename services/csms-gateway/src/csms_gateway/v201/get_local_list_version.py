"""GetLocalListVersion (OCPP 2.0.1, D02)."""

from typing import Any

from csms_gateway import local_list_sending
from csms_gateway.charger import Charger
from csms_gateway.commands.kinds import GetLocalListVersion
from csms_gateway.v201.send_local_list import SPELLING


def payload(_: GetLocalListVersion) -> dict[str, Any]:
    return {}


async def answered(charger: Charger, _: dict[str, Any], answer: dict[str, Any]) -> None:
    await local_list_sending.version_told(charger, answer["versionNumber"], SPELLING)
