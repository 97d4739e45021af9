"""The main job, through every service as processes of their own: from a card to its record."""

from decimal import Decimal
from typing import Any

import httpx
from stack import eventually
from suite import Suite

from fleet import Charger


def charger(suite: Suite, index: int, **options: Any) -> Charger:
    station = suite.demo["stations"][index]
    return Charger(
        suite.urls["ocpp"],
        station["id"],
        station["password"],
        connectors=station["connectors"],
        power_w=station["power_w"],
        **options,
    )


async def test_a_session_from_card_to_priced_record(suite: Suite) -> None:
    before = await suite.records(station_id="DEMO-1")
    async with charger(suite, 0) as one:
        await one.wait_ready()
        card = suite.demo["cards"][0]
        result = await one.charge(1, card, energy_wh=12_500, duration_s=2400, backdate=True)
        await one.drain()
    assert result.status == "Accepted"

    async def closed() -> Any:
        records = await suite.records(station_id="DEMO-1")
        return [record for record in records if record not in before]

    (record,) = await eventually(closed)
    assert record["energy_wh"] == result.energy_wh == 12_500
    assert record["review"] == "none", record
    assert record["card_id"] and record["user_id"]
    seconds = (result.ended_at - result.started_at).total_seconds()
    energy = Decimal("0.49") * Decimal(12_500) / 1000
    minutes = Decimal("0.01") * round(Decimal(seconds)) / 60
    gross = (energy + minutes + Decimal("0.35")).quantize(Decimal("0.01"))
    assert record["total_gross"] == {"amount": str(gross), "currency": "EUR"}
    assert Decimal(record["total_net"]["amount"]) + Decimal(record["vat"]["amount"]) == gross

    energy_wh = 12_500 + sum(one["energy_wh"] for one in before)

    async def reported() -> Any:
        rows = (await suite.get("reporting", "breakdowns", by="month,station"))["items"]
        # A month may have ended between the sessions.
        found = [row for row in rows if row["station_id"] == "DEMO-1"]
        sums = [sum(row[name] for row in found) for name in ("sessions", "energy_wh")]
        return sums == [1 + len(before), energy_wh]

    await eventually(reported)

    async def status() -> Any:
        found = await suite.get("registry", "stations/DEMO-1/status")
        connectors = [c for evse in found["evses"] for c in evse["connectors"]]
        return connectors[0]["status"] == "available" and not found["online"]

    await eventually(status)


async def test_a_remote_start_charges_and_a_remote_stop_ends_it(suite: Suite) -> None:
    token = await suite.token()
    headers = {"Authorization": f"Bearer {token}"}
    base = f"{suite.urls['csms-gateway']}/v1/stations/DEMO-2/commands"
    async with charger(suite, 1) as two, httpx.AsyncClient(headers=headers, timeout=20) as api:
        await two.wait_ready()
        await two.plug_in(1)
        start = {"type": "remote_start", "id_token": suite.demo["cards"][1], "evse_id": 1}
        sent = await api.post(base, json=start, headers={"Idempotency-Key": "start"})
        assert sent.status_code == 202

        async def charging() -> Any:
            return (await api.get(f"{base}/{sent.json()['id']}")).json()["session_id"]

        session_id = await eventually(charging)

        async def live() -> Any:
            running = await suite.get("billing", "sessions", state="running")
            return session_id in [session["id"] for session in running["items"]]

        await eventually(live)
        stop = {"type": "remote_stop", "session_id": session_id}
        await api.post(base, json=stop, headers={"Idempotency-Key": "stop"})
        record = await suite.record_of(session_id)
        assert record["energy_wh"] >= 0


async def test_a_blocked_card_is_refused_but_its_start_is_known(suite: Suite) -> None:
    # A card of its own: the gateway remembers for a moment that it is blocked.
    uid = "04B10C4ED0"
    url = f"{suite.urls['identity']}/v1/cards"
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:
        made = await api.post(url, json={"uid": uid, "active": False})
        assert made.status_code == 201, made.text
    async with charger(suite, 2) as three:
        await three.wait_ready()
        result = await three.charge(1, uid, energy_wh=1000, backdate=True)
    assert result.status == "Blocked"
