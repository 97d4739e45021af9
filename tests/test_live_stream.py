"""From a charger over the gateway and registry to who follows the live statuses."""

import asyncio
import json
import statistics
import time
from typing import Any

import httpx
from stack import WAIT_S, eventually
from suite import Suite
from test_end_to_end import charger

from common.tasks import cancelled

TURNS = 10  # in and out again
ROUNDS = 3  # of so many turns: a machine may be busy for one of them
SOON_S = 1.0


class Followed:
    """The newest that an SSE stream told of a station's first EVSE, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str, dict[str, Any]]] = []

    async def read(self, suite: Suite, begun: asyncio.Event, station_id: str) -> None:
        headers = {"Authorization": f"Bearer {await suite.token()}"}
        url = f"{suite.urls['registry']}/v1/status/stream"
        async with (
            httpx.AsyncClient(headers=headers, timeout=None) as api,
            api.stream("GET", url, params={"station_id": station_id}) as stream,
        ):
            event = ""
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    self.told.append((time.monotonic(), event, json.loads(value)))
                elif line.startswith(":"):
                    begun.set()

    def evses(self) -> list[tuple[float, dict[str, Any]]]:
        return [(at, data["evse"]) for at, event, data in self.told if event == "evse"]


async def test_a_follower_sees_within_a_second_what_a_charger_says(suite: Suite) -> None:
    followed, begun = Followed(), asyncio.Event()
    reading = asyncio.ensure_future(followed.read(suite, begun, "DEMO-3"))
    try:
        await asyncio.wait_for(begun.wait(), WAIT_S)
        async with charger(suite, 2, sample_interval_s=1) as one:
            await one.wait_ready()

            async def online() -> Any:
                return any(data["online"] for _, event, data in followed.told if event == "station")

            await eventually(online)
            rounds: list[list[float]] = []
            while not any(statistics.median(delays) <= SOON_S for delays in rounds):
                assert len(rounds) < ROUNDS, rounds
                rounds.append([await plugged(one, followed, turn) for turn in range(TURNS)])
            await one.charge(1, suite.demo["cards"][0], duration_s=6)

            async def power() -> Any:
                sessions = [evse["session"] or {} for _, evse in followed.evses()]
                return any(one.get("power_w") and one.get("energy_wh") for one in sessions)

            await eventually(power)

        async def offline() -> Any:
            told = [data["online"] for _, event, data in followed.told if event == "station"]
            return told[-1:] == [False]

        await eventually(offline)
    finally:
        await cancelled(reading)


async def plugged(one: Any, followed: Followed, turn: int) -> float:
    """Seconds from the car's plug going in or out until the follower knows."""
    wanted = {"available"} if turn % 2 else {"preparing", "occupied"}
    sent = time.monotonic()
    await (one.unplug(1) if turn % 2 else one.plug_in(1))

    async def seen() -> float | None:
        for at, evse in followed.evses():
            if at > sent and evse["connectors"][0]["status"] in wanted:
                return at - sent
        return None

    delay: float = await eventually(seen)
    return delay
