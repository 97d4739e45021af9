from collections.abc import AsyncIterator
from typing import Any

import pytest

from fleet import Charger

from .fake_csms import FakeCsms
from .second import CALLS, VERSIONS, charger_of


@pytest.fixture
async def csms() -> AsyncIterator[FakeCsms]:
    server = FakeCsms()
    await server.open()
    yield server
    await server.close()
    assert server.complaints == []


@pytest.fixture
def charger(csms: FakeCsms) -> Charger:
    """A charger that lives fast: twenty simulated minutes a second, a retry after 20 ms."""
    return Charger(
        csms.url, "DEMO-1", time_scale=1200, delay_s=0.02, reconnect_min_s=0.05, meter_wh=1_234_567
    )


@pytest.fixture(params=VERSIONS)
async def two(csms: FakeCsms, request: Any) -> AsyncIterator[tuple[Charger, Any]]:
    """A charger of OCPP 2.x that is ready, and the commands of its version."""
    async with charger_of(csms, request.param) as charger:
        await charger.wait_ready()
        await charger.drain()
        yield charger, CALLS[request.param]
