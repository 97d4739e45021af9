"""Chargers of OCPP 2.x against the small server."""

from typing import Any

import ocpp.v21
import ocpp.v201

from fleet import Charger

from .fake_csms import FakeCsms

CALLS = {"2.0.1": ocpp.v201.call, "2.1": ocpp.v21.call}
VERSIONS = ["2.0.1", "2.1"]
TOKEN = {"id_token": "APP1", "type": "Central"}


def charger_of(csms: FakeCsms, version: str, **options: Any) -> Charger:
    fast: dict[str, Any] = {"time_scale": 1200, "delay_s": 0.01, "reconnect_min_s": 0.05}
    return Charger(csms.url, "DEMO-2", ocpp=version, **(fast | options))
