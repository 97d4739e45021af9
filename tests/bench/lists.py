"""python -m bench.lists: a partner's list of 500,000 cards, sent in parts by the real routes.

All new, then sent again with one in a hundred changed and as many left out; beside a bare COPY of
the same rows into a table with the same columns and indexes in the same database.
"""

import asyncio
import json
import os
import time
from uuid import UUID, uuid4

import asyncpg
import httpx
from suite import Suite, running_suite

CARDS = 500_000
A_PART = 25_000
SCOPES = ["partner-cards:read", "partner-cards:write"]
NDJSON = {"Content-Type": "application/x-ndjson"}


def body(first: int, label: str) -> bytes:
    """Of every hundredth card the label; of the one before it nothing if there is one."""
    lines = []
    for number in range(first, first + A_PART):
        if label and number % 100 == 99:
            continue
        card = {"uid": f"05{number:012X}", "valid_until": "2030-12-31T00:00:00Z"}
        if label and number % 100 == 0:
            card["label"] = label
        lines.append(json.dumps(card))
    return ("\n".join(lines) + "\n").encode()


async def pushed(api: httpx.AsyncClient, label: str) -> tuple[float, float, dict[str, int]]:
    """Seconds to send it, to apply it, and what came of it."""
    bodies = [body(first, label) for first in range(0, CARDS, A_PART)]
    began = time.perf_counter()
    headers = {"Idempotency-Key": f"list-{label or 'new'}"}
    answer = await api.post("/v1/partner/lists", json={"mode": "full"}, headers=headers)
    assert answer.status_code == 201, answer.text
    path = f"/v1/partner/lists/{answer.json()['id']}"
    for number, part in enumerate(bodies, 1):
        sent = await api.put(f"{path}/parts/{number}", content=part, headers=NDJSON)
        assert sent.status_code == 201, sent.text
    sent_s = time.perf_counter() - began
    began = time.perf_counter()
    applied = await api.post(f"{path}/apply", json={"parts": len(bodies)})
    assert applied.status_code == 200, applied.text
    return sent_s, time.perf_counter() - began, applied.json()


async def bare_copy(suite: Suite, operator: UUID, partner: UUID) -> float:
    db = await asyncpg.connect(suite.postgres.url())
    await db.execute("create table bare_card (like identity.card including all)")
    rows = [
        (uuid4(), 1, operator, partner, f"05{n:012X}", "rfid", "", True, False, False)
        for n in range(CARDS)
    ]
    began = time.perf_counter()
    await db.copy_records_to_table(
        "bare_card", records=rows,
        columns=(
            "id", "version", "operator_id", "partner_id", "uid", "kind", "label", "active",
            "master_pass", "company_master",
        ),
    )  # fmt: skip
    took = time.perf_counter() - began
    await db.execute("drop table bare_card")
    await db.close()
    return took


async def main() -> None:
    async with running_suite() as suite:
        url = suite.urls["identity"]
        staff = {"Authorization": f"Bearer {await suite.token()}"}
        async with httpx.AsyncClient(base_url=url, headers=staff, timeout=600) as api:
            made = await api.post("/v1/partners", json={"name": "Bench"})
            partner = made.json()
            key = {"name": "Bench", "partner_id": partner["id"], "scopes": SCOPES}
            secret = (await api.post("/v1/api-keys", json=key)).json()["key"]
            token = (await api.post("/v1/token/api-key", json={"api_key": secret})).json()
            api.headers["Authorization"] = f"Bearer {token['access_token']}"
            print(f"{os.cpu_count()} cores; a list of {CARDS} cards in parts of {A_PART}")
            copied = await bare_copy(suite, UUID(partner["operator_id"]), UUID(partner["id"]))
            print(f"bare COPY of the same rows: {copied:.1f} s", flush=True)
            for label in ("", "changed"):
                sent_s, applied_s, result = await pushed(api, label)
                print(
                    f"{label or 'all new'}: sent in {sent_s:.1f} s, applied in {applied_s:.1f} s "
                    f"({(sent_s + applied_s) / copied:.1f} times the bare COPY): {result}",
                    flush=True,
                )


if __name__ == "__main__":
    asyncio.run(main())
