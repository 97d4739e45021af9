"""The versions of OCPP that are spoken here, by subprotocol."""

from typing import Final

from csms_gateway import v16, v21, v201
from csms_gateway.charger import Version

VERSIONS: Final[dict[str, Version]] = {
    version.name: version for version in (v16.VERSION, v201.VERSION, v21.VERSION)
}
