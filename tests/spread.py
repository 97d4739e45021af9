"""`pytest -n`: whole files go to workers, the longest first; those that need a suite go together.

Each worker has servers of its own, and a fixture of the session is made once in each. So files that
share an expensive one stay together, and what takes longest must not begin last.
"""

from collections import Counter
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# These share one whole suite, which takes its time to start and its memory to stand.
WITH_THE_SUITE = (
    "tests/test_third_party_2x.py",
    "tests/test_third_party.py",
    "tests/test_walls.py",
    "tests/test_audit_secrets.py",
    "tests/test_cost_shown.py",
    "tests/test_end_to_end.py",
    "tests/test_onboarding.py",
)
# Half a minute and more each (measured 2026-11); the rest goes by the number of its tests. Two
# suites that start at once would take the processors from each other, so the first two are not.
LONGEST = ("tests/test_chaos.py", "tests/test_many_gateways.py", WITH_THE_SUITE[0])
# Few tests that take minutes: as long as so many others, so neither the first, beside another
# suite that starts, nor the last, beside nothing.
AS_LONG_AS = {"tests/test_openapi_fuzz.py": 60}


def unit(nodeid: str) -> str:
    """What a worker takes as a whole: a file, or files, named after the first of them."""
    file = nodeid.partition("::")[0]
    return WITH_THE_SUITE[0] if file in WITH_THE_SUITE else file


class Spread(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread:
    config.option.loadscopereorder = False  # the order is that of the workers' collection
    return Spread(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    tests = Counter(unit(item.nodeid) for item in items)

    def turn(item: pytest.Item) -> tuple[int, int, str]:
        one = unit(item.nodeid)
        rank = LONGEST.index(one) if one in LONGEST else len(LONGEST)
        return rank, -AS_LONG_AS.get(one, tests[one]), one

    items.sort(key=turn)
