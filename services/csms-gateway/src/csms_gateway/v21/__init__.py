"""OCPP 2.1: 2.0.1 on its own schemas, and what it adds."""

from dataclasses import replace

from csms_gateway import v201
from csms_gateway.charger import Handler, Translation
from csms_gateway.v21 import get_certificate_chain_status
from csms_gateway.v201 import mirrored

ACTIONS: dict[str, Handler] = v201.ACTIONS | {
    "GetCertificateChainStatus": get_certificate_chain_status.answer,
}

COMMANDS: dict[str, Translation] = v201.COMMANDS | mirrored.commands("v21")

VERSION = replace(v201.VERSION, name="ocpp2.1", schemas="v21", actions=ACTIONS, commands=COMMANDS)
