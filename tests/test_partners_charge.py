"""A partner's card over all services: where it may charge, what it costs, what is told of it."""

from typing import Any

import httpx
import pytest
from stack import eventually
from suite import Suite
from test_end_to_end import charger


@pytest.mark.parametrize("ocpp", ["1.6", "2.0.1"])
async def test_a_partners_card_charges_where_and_for_what_was_agreed(
    suite: Suite, ocpp: str
) -> None:
    uid = f"CAMBIO{ocpp.replace('.', '')}"
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:

        async def made(service: str, path: str, **body: Any) -> dict[str, Any]:
            answer = await api.post(f"{suite.urls[service]}/v1/{path}", json=body)
            assert answer.status_code == 201, answer.text
            return dict(answer.json())

        partner = (await made("identity", "partners", name=uid))["id"]
        scopes = ["partner-cards:read", "partner-cards:write"]
        key = await made("identity", "api-keys", name=uid, partner_id=partner, scopes=scopes)
        signed_in = await api.post(
            f"{suite.urls['identity']}/v1/token/api-key", json={"api_key": key["key"]}
        )
        theirs = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        pushed = await api.put(
            f"{suite.urls['identity']}/v1/partner/cards/{uid}", json={}, headers=theirs
        )
        assert pushed.status_code == 201, pushed.text
        tariff = await made(
            "billing", "tariffs", name="agreed", currency="EUR", vat_percent="19",
            energy_price="0.20", agreed_only=True, valid_from="2026-01-01T00:00:00Z",
        )  # fmt: skip
        place = {"kind": "station", "id": suite.demo["stations"][1]["id"]}
        body = {"partner_id": partner, "name": uid, "places": [place], "tariff_id": tariff["id"]}

        async def agreed() -> Any:
            # Billing may not have heard of the partner yet.
            answer = await api.post(f"{suite.urls['billing']}/v1/agreements", json=body)
            return answer.json() if answer.status_code == 201 else None

        agreement = await eventually(agreed)
        here = {"station_id": place["id"], "id_token": uid}
        there = {"station_id": suite.demo["stations"][0]["id"], "id_token": uid}

        async def tried(where: dict[str, str]) -> dict[str, Any]:
            answer = await api.post(f"{suite.urls['identity']}/v1/authorizations", json=where)
            return dict(answer.json())

        async def confined() -> Any:
            return (await tried(there))["status"] == "Blocked"

        await eventually(confined)
        why = (await tried(there))["why"]
        assert why == f"The rule “{uid}” allows other places or times."
        assert (await tried(here))["status"] == "Accepted"
    async with charger(suite, 1, ocpp=ocpp) as one:
        await one.wait_ready()
        result = await one.charge(1, uid, energy_wh=10_000, duration_s=3600, backdate=True)
        await one.drain()
    assert result.status == "Accepted"

    async def priced() -> Any:
        return await suite.records(partner_id=partner)

    (record,) = await eventually(priced)
    assert record["agreement_id"] == agreement["id"]
    assert record["total_gross"]["amount"] == "2.00"
    assert record["holder"]["partner_id"] == partner
