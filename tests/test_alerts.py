"""A charger goes, people are told by mail and webhook; it comes back, and they are told again."""

import email
import email.policy
from typing import Any

import httpx
from partner_endpoint import http, partner_endpoint
from stack import eventually
from suite import Suite, running_suite
from test_end_to_end import charger

from common import signing

TO = "control-room@nord.example"
WITHIN_S = 30.0  # the machine may be busy; unhurried it is two seconds


def letters(suite: Suite) -> list[Any]:
    read = [
        email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        for file in sorted(suite.letters(), key=lambda file: file.stat().st_mtime_ns)
    ]
    return [one for one in read if one["To"] == TO]


async def test_a_charger_that_drops_is_told_and_its_return_as_well() -> None:
    async with partner_endpoint() as endpoint:

        async def listening(_: dict[str, Any]) -> bytes:
            return http(b"", "204 No Content")

        endpoint.answer = listening
        async with running_suite(CSMS_ALLOW_PRIVATE_ENDPOINTS="true") as suite:
            headers = {"Authorization": f"Bearer {await suite.token()}"}
            registry = f"{suite.urls['registry']}/v1"
            async with httpx.AsyncClient(headers=headers, timeout=20) as staff:
                made = await staff.post(f"{registry}/alert-rules", json={
                    "name": "Level 2", "kind": "offline", "after_s": 1, "clear_after_s": 0,
                    "place": {"kind": "station", "id": suite.demo["stations"][0]["id"]},
                    "severity": "critical", "emails": [TO], "webhook_url": endpoint.url,
                })  # fmt: skip
                assert made.status_code == 201, made.text
                station = made.json()["place"]["id"]

                async def in_state(state: str) -> Any:
                    items = (await staff.get(f"{registry}/alerts")).json()["items"]
                    return items if items and items[0]["state"] == state else None

                async with charger(suite, 0) as one:
                    await one.wait_ready()
                [alert] = await eventually(lambda: in_state("open"), WITHIN_S)
                assert (alert["station_id"], alert["kind"]) == (station, "offline")

                async def told() -> Any:
                    return len(letters(suite)) == len(endpoint.asked) == 1

                await eventually(told, WITHIN_S)
                path = f"{registry}/alerts/{alert['id']}/acknowledge"
                done = await staff.post(path, json={"note": "on my way"})
                assert done.json()["state"] == "acknowledged"
                async with charger(suite, 0) as one:
                    await one.wait_ready()
                    [alert] = await eventually(lambda: in_state("resolved"), WITHIN_S)

                    async def told_again() -> Any:
                        return len(letters(suite)) == len(endpoint.asked) == 2

                    await eventually(told_again, WITHIN_S)
                    gone, back = letters(suite)  # before it goes once more, and is told of
                secret = made.json()["webhook_secret"].encode()
            assert gone["Subject"] == f"Kritisch: {station} offline"
            assert back["Subject"] == f"Kritisch: {station} offline behoben"
            for headers_, body in endpoint.raw:
                assert signing.is_signed(secret, body, headers_)
            first, second = endpoint.asked
            assert [one["id"] for one in first["raised"]] == [alert["id"]]
            assert [one["id"] for one in second["resolved"]] == [alert["id"]]
