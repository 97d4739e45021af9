"""Every service takes tokens of a new signing key, without a restart."""

import asyncio
from typing import Any

import asyncpg
import httpx
from joserfc import jws
from suite import ADMIN, PASSWORD, Suite

from common.auth import KEYS_AGAIN_S
from local_stack import demo_data

READS = {
    "registry": "stations",
    "billing": "tariffs",
    "reporting": "breakdowns?by=month",
    "identity": "users",
    "csms-gateway": "stations/DEMO-1/commands",
}


async def make_keys_older(suite: Suite, minutes: int) -> None:
    connection = await asyncpg.connect(suite.postgres.url())
    await connection.execute(
        "update identity.signing_key set made_at = made_at - make_interval(mins => $1)", minutes
    )
    await connection.close()


async def token(suite: Suite, email: str, password: str) -> str:
    return await asyncio.to_thread(demo_data.token, suite.urls["identity"], email, password)


def kid(token: str) -> Any:
    return jws.extract_compact(token.encode()).headers()["kid"]


async def test_a_new_key_signs_and_every_running_service_takes_it(suite: Suite) -> None:
    old = await token(suite, suite.demo["login"]["email"], suite.demo["login"]["password"])
    await make_keys_older(suite, 10)
    boss = {"Authorization": f"Bearer {await token(suite, ADMIN, PASSWORD)}"}
    async with httpx.AsyncClient(timeout=20) as api:
        url = f"{suite.urls['identity']}/v1/signing-keys/rotate"
        made = await api.post(url, headers=boss)
        assert made.status_code == 201, made.text
        # As if two minutes had gone, in which no service has looked.
        await make_keys_older(suite, 2)
        new = await token(suite, suite.demo["login"]["email"], suite.demo["login"]["password"])
        assert kid(new) == made.json()["items"][-1]["kid"] != kid(old)
        for service, path in READS.items():
            for one in (new, old):
                headers = {"Authorization": f"Bearer {one}"}
                url = f"{suite.urls[service]}/v1/{path}"
                answer = await api.get(url, headers=headers)
                if answer.status_code == 401:  # identity was too busy to be asked in time
                    await asyncio.sleep(KEYS_AGAIN_S)
                    answer = await api.get(url, headers=headers)
                assert answer.status_code == 200, (service, answer.text)
