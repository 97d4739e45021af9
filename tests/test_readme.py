"""The README's first screen is a session that works."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.run import SERVICES
from local_stack.servers import free_port

ROOT = Path(__file__).parent.parent
DEFAULT_PORTS = {
    "csms-gateway": 8001, "registry": 8002, "identity": 8003, "billing": 8004, "reporting": 8005,
    "ocpp": 9000,
}  # fmt: skip
UP_S = 240  # a tenth of it, if nothing else is to be done


def session() -> list[tuple[str, list[str]]]:
    """Each command of the first console block, with the lines that it is said to print."""
    block = re.search(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block
    found: list[tuple[str, list[str]]] = []
    for line in block[1].splitlines():
        if line.startswith("$ "):
            found.append((line[2:].partition("  # ")[0].strip(), []))
        else:
            found[-1][1].append(line)
    return found


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The stack on free ports with data of its own, so that a running one is left alone."""
    home = tmp_path / "data"
    ports = {name: free_port() for name in DEFAULT_PORTS}
    yield {
        **{name: value for name, value in os.environ.items() if not name.startswith("CSMS_")},
        "CSMS_DATA_DIR": str(home),
        "CSMS_JWKS_URL": f"http://127.0.0.1:{ports['identity']}/.well-known/jwks.json",
        **{f"CSMS_{n.replace('-', '_').upper()}_PORT": str(port) for n, port in ports.items()},
    }
    shutil.rmtree(home, ignore_errors=True)


async def run_and_read(
    command: str, environment: dict[str, str]
) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
    process = await asyncio.create_subprocess_shell(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    return process, process.stdout


@pytest.mark.timeout(900)
async def test_the_first_screen_of_the_readme_does_what_it_shows(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)  # PostgreSQL's own user passes through
    commands = session()
    assert commands[0][0] == "make run"
    stack, lines = await run_and_read("make run", environment)
    try:
        async with asyncio.timeout(UP_S):
            printed = ""
            while "make charger" not in printed:
                line = await lines.readline()
                assert line, printed
                printed += line.decode()
        for name in SERVICES:
            assert name in printed
        await follow(commands[1:], environment)
    finally:
        os.killpg(stack.pid, signal.SIGINT)
        await asyncio.wait_for(stack.wait(), 120)


async def follow(commands: list[tuple[str, list[str]]], environment: dict[str, str]) -> None:
    for command, shown in commands:
        for name, port in DEFAULT_PORTS.items():
            variable = f"CSMS_{name.replace('-', '_').upper()}_PORT"
            command = command.replace(f":{port}/", f":{environment[variable]}/")  # noqa: PLW2901
        if export := re.fullmatch(r"export (\w+)=\$\((.*)\)", command):
            process, output = await run_and_read(export[2], environment)
            environment[export[1]] = (await output.read()).decode().strip()
        else:
            process, output = await run_and_read(command, environment)
            text = (await output.read()).decode()
            for line in shown:
                assert line in text, f"{command} printed:\n{text}"
            assert '"status": 4' not in text, text
        assert await process.wait() == 0, command
