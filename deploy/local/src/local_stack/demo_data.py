"""The demo operator: made once, through the same API that everybody uses."""

import secrets
from typing import Any

import httpx

from common.run import SERVICES
from csms_gateway.settings import Settings as GatewaySettings

OPERATOR = "Demo Energy"
STAFF = "demo@openlade.localhost"
CARDS = ("04A2B3C4D5E680", "04F1E2D3C4B5A6")
STATIONS = (("DEMO-1", 1, 22_000), ("DEMO-2", 2, 22_000), ("DEMO-3", 2, 50_000))


class Failed(Exception):
    """The API refused to make the demo."""


def urls(settings: GatewaySettings) -> dict[str, str]:
    found = {name: f"http://{settings.host}:{settings.port(name)}" for name in SERVICES}
    return found | {"ocpp": f"ws://{settings.ocpp_host}:{settings.ocpp_port}/ocpp"}


def _send(client: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post(url, json=body)
    if response.is_error:
        raise Failed(f"POST {url}: {response.status_code} {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


def token(identity_url: str, email: str, password: str) -> str:
    """Raises Failed."""
    body = {"email": email, "password": password}
    with httpx.Client(timeout=20) as client:
        return str(_send(client, f"{identity_url}/v1/token", body)["access_token"])


def ensure(
    demo: dict[str, Any], admin: str, password: str, where: dict[str, str]
) -> dict[str, Any]:
    """Make what is not there yet; return what the demo's commands need. Raises Failed.

    where: the addresses from urls().
    """
    if "operator_id" in demo:
        return demo | {"urls": where}
    bearer = token(where["identity"], admin, password)
    with httpx.Client(timeout=20, headers={"Authorization": f"Bearer {bearer}"}) as client:
        operator = _send(
            client,
            f"{where['identity']}/v1/operators",
            {"name": OPERATOR, "time_zone": "Europe/Berlin", "currency": "EUR"},
        )
        client.headers["Operator-Id"] = operator["id"]
        login = {"email": STAFF, "password": secrets.token_urlsafe(12)}
        _send(client, f"{where['identity']}/v1/logins", login | {"role": "operator-admin"})
        user = _send(client, f"{where['identity']}/v1/users", {"name": "Ada Driver"})
        for number, uid in enumerate(CARDS, 1):
            card = {"uid": uid, "kind": "rfid", "user_id": user["id"], "label": f"card {number}"}
            _send(client, f"{where['identity']}/v1/cards", card)
        prices = {
            "name": "Standard",
            "currency": "EUR",
            "energy_price": "0.49",
            "time_price": "0.01",
            "start_fee": "0.35",
            "vat_percent": "19",
            # Sessions that end today may have started, offline, long before the demo was made.
            "valid_from": "2020-01-01T00:00:00Z",
        }
        _send(client, f"{where['billing']}/v1/tariffs", prices)
        stations = _stations(client, where["registry"])
    return {
        "operator_id": operator["id"],
        "admin_password": password,
        "login": login,
        "cards": list(CARDS),
        "stations": stations,
        "urls": where,
    }


def _stations(client: httpx.Client, registry: str) -> list[dict[str, Any]]:
    place = {"name": "P20", "address": {"street": "Beispielweg 20", "postal_code": "10115",
             "city": "Berlin", "country": "DE"}, "latitude": "52.5321", "longitude": "13.3849",
             "time_zone": "Europe/Berlin"}  # fmt: skip
    location = _send(client, f"{registry}/v1/locations", place)
    made = []
    for station_id, evses, power_w in STATIONS:
        direct = power_w > 22_000
        connector = {
            "connector_id": 1,
            "standard": "IEC_62196_T2_COMBO" if direct else "IEC_62196_T2",
            "format": "CABLE" if direct else "SOCKET",
            "power_type": "DC" if direct else "AC_3_PHASE",
        }
        body = {
            "id": station_id,
            "name": f"Demo station {station_id[-1]}",
            "location_id": location["id"],
            "evses": [
                {"evse_id": number, "max_power_w": power_w, "connectors": [connector]}
                for number in range(1, evses + 1)
            ],
        }
        answer = _send(client, f"{registry}/v1/stations", body)
        made.append(
            {
                "id": station_id,
                "password": answer["password"],
                "connectors": evses,
                "power_w": power_w,
            }
        )
    return made
