"""At the end of a month the ledger is the records, to the cent."""

import os
import time

import pytest

from billing.rerating import Asked, Progress, rerate
from common.database import Connections

from .conftest import Billing
from .month import PEOPLE, Month
from .strategy_place import placed

SESSIONS = int(os.environ.get("MONTH_SESSIONS", "150"))  # make bench-month has 10,000


@pytest.mark.timeout(3600 if SESSIONS > 1000 else 300)
async def test_at_the_end_of_a_month_the_ledger_is_the_records(billing: Billing) -> None:
    async with placed(billing) as place:
        month = Month(place, seed=1)
        await month.opened()
        began, cpu = time.perf_counter(), time.process_time()
        await month.run(SESSIONS)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(f"{SESSIONS} sessions in {took:.1f} s, {cpu / SESSIONS * 1000:.1f} ms CPU each")  # noqa: T201
        await month.topped_up()
        await month.decided()
        found = await month.outcome()
        owed, billed = sum(found.owed.values()), sum(found.billed.values())
        print(f"{found.records} records, {owed} owed and {billed} booked")  # noqa: T201
        assert found.sessions == SESSIONS
        assert found.records > SESSIONS * 0.8
        assert len(found.owed) > PEOPLE
        assert found.owed == found.billed, "each account has paid its own sessions"
        assert owed > 0
        assert found.net == found.revenue > 0
        assert found.differences == []
        connections: Connections = billing.app.state.connections
        told: list[Progress] = []
        asked = Asked(operator_id=billing.operator_id)
        different = [one async for one in rerate(connections, asked, told.append)]
        assert different == [], "priced anew, each record costs what it did"
        assert told[-1].done == told[-1].total > SESSIONS * 0.8
