"""Whatever a request says within or just beyond what OpenAPI allows, no service fails to answer.

Schemathesis makes the requests: the bounds of every parameter and member (its coverage phase), and
what hypothesis thinks of within and beyond them; with FUZZ_EXAMPLES more of that, one beyond every
bound as well, and chains of requests. Streams never end; each has tests of its own.
"""

import asyncio
import email
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
from stack import eventually
from suite import ADMIN, PASSWORD, Suite, running_suite

from common.run import SERVICES
from local_stack import demo_data, docs

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))  # an operation, beside its bounds
PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,coverage,fuzzing"
# Of all that is one beyond a bound pydantic refuses nearly all; it is thrice as much to send.
BOUNDS = (
    ""
    if EXAMPLES
    else """
[phases.coverage]
unexpected-methods = []
generation.mode = "positive"
"""
)
HOOKS = str(Path(__file__).with_name("fuzz_hooks.py"))
STATION = {"id": "FUZZ-1", "name": "It is there"}
PARTNER_SCOPES = ["partner-cards:read", "partner-cards:write"]
TIMEOUT_S = 90  # no command is waited for as long; a request that takes longer fails too
DRIVER = "driver@fuzz.localhost"
BOSS = {
    "email": "boss@fuzz.localhost",
    "password": "a-password-of-nobody",
    "role": "operator-admin",
}


@pytest.fixture(scope="module")
async def fuzzed() -> AsyncIterator[Suite]:
    """A suite of its own: what is sent as a platform admin changes anything."""
    async with running_suite() as suite:
        yield suite


async def callers(suite: Suite) -> tuple[str, str, str]:
    """Tokens of an operator's admin and of a platform admin, and the operator they act for."""
    identity = suite.urls["identity"]
    platform = await asyncio.to_thread(demo_data.token, identity, ADMIN, PASSWORD)
    async with httpx.AsyncClient(base_url=f"{identity}/v1", timeout=20) as api:
        api.headers["Authorization"] = f"Bearer {platform}"
        operator = (await api.post("/operators", json={"name": "Fuzz"})).json()["id"]
        made = await api.post("/logins", json=BOSS, headers={"Operator-Id": operator})
        assert made.status_code in (201, 409), made.text
    boss = await asyncio.to_thread(demo_data.token, identity, BOSS["email"], BOSS["password"])
    return boss, platform, operator


async def partners_token(url: str, boss: str) -> str:
    headers = {"Authorization": f"Bearer {boss}"}
    async with httpx.AsyncClient(base_url=f"{url}/v1", headers=headers, timeout=20) as api:
        partner = await api.post("/partners", json={"name": "Fuzzed"})
        assert partner.status_code == 201, partner.text
        key = {"name": "Fuzzed", "partner_id": partner.json()["id"], "scopes": PARTNER_SCOPES}
        made = await api.post("/api-keys", json=key)
        assert made.status_code == 201, made.text
        signed_in = await api.post("/token/api-key", json={"api_key": made.json()["key"]})
    return str(signed_in.json()["access_token"])


async def drivers_token(suite: Suite, boss: str, operator: str) -> str:
    """Of one who registered, with the link of a mail that the suite caught."""
    driver = {
        "operator_id": operator, "email": DRIVER, "password": BOSS["password"],
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=f"{suite.urls['identity']}/v1", timeout=20) as api:
        headers = {"Authorization": f"Bearer {boss}", "If-Match": "*"}
        policies = {"policies": {"driver_registration": "open"}}
        opened = await api.patch("/settings", json=policies, headers=headers)
        assert opened.status_code == 200, opened.text
        asked = await api.post("/registrations", json=driver | {"name": "Fuzzed"})
        assert asked.status_code == 202, asked.text

        async def link() -> str:
            mails = [email.message_from_bytes(one.read_bytes()) for one in suite.letters()]
            texts = [str(one.get_payload(decode=True)) for one in mails if one["To"] == DRIVER]
            return texts[0].partition("#token=")[2].partition("\\")[0] if texts else ""

        done = await api.post(
            "/registrations/confirm",
            json={"token": await eventually(link), "password": driver["password"]},
        )
        assert done.status_code == 201, done.text
        signed_in = await api.post("/token", json=driver)
    return str(signed_in.json()["access_token"])


async def station(suite: Suite, token: str) -> str:
    """One that registry and gateway know, so that requests get beyond 'there is none'."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:
        made = await api.post(f"{suite.urls['registry']}/v1/stations", json=STATION)
        assert made.status_code in (201, 409), made.text
        url = f"{suite.urls['csms-gateway']}/v1/stations/{STATION['id']}/registration"

        async def known() -> bool:
            return (await api.get(url)).status_code == 200

        await eventually(known)
    return str(STATION["id"])


@pytest.mark.timeout(3600)  # FUZZ_EXAMPLES says how long it takes
@pytest.mark.parametrize("service", SERVICES)
async def test_no_request_makes_a_service_fail(fuzzed: Suite, service: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(docs.openapi(service))
    (tmp_path / "schemathesis.toml").write_text(BOUNDS)
    boss, platform, operator = await callers(fuzzed)
    url = fuzzed.urls[service]
    # Each route once, by whom it lets in: nearly all of them by an operator's admin.
    apart: dict[str, str] = {}
    if service == "identity":
        apart = {
            "^/v1/(operators|signing-keys)": platform,
            "^/v1/partner/": await partners_token(url, boss),
            "^/v1/me(/|$)": await drivers_token(fuzzed, boss, operator),
        }
    if service in ("csms-gateway", "registry"):
        apart = {"{station_id}": boss}
    await fuzz(tmp_path, url, boss, operator, left_out=[*apart])
    if service in ("csms-gateway", "registry"):
        known = f'[parameters]\n"path.station_id" = "{await station(fuzzed, boss)}"\n'
        (tmp_path / "schemathesis.toml").write_text(BOUNDS + known)
    for path, token in apart.items():
        await fuzz(tmp_path, url, token, operator, "--include-path-regex", path)


async def fuzz(
    folder: Path, url: str, token: str, operator: str, *more: str, left_out: Sequence[str] = ()
) -> None:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url,
        "--header", f"Authorization: Bearer {token}", "--header", f"Operator-Id: {operator}",
        "--checks", "not_a_server_error", "--phases", PHASES, "--max-examples", str(EXAMPLES or 5),
        "--exclude-path-regex", "|".join(("stream$", *left_out)),
        "--request-timeout", str(TIMEOUT_S),
        "--generation-deterministic", "--continue-on-failure", "--no-color", *more,
    ]  # fmt: skip
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=os.environ | {"SCHEMATHESIS_HOOKS": HOOKS},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
