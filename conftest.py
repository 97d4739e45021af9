"""Fixtures for the tests of every package (they stand in tests/stack.py)."""

import os

import aftermath
from hypothesis import settings

pytest_plugins = ["stack", "gateway_wire", "suite", "spread"]

AT_LENGTH = "FUZZ_EXAMPLES" in os.environ
# A loaded machine is no failure of the code. `make test` draws the same each time, so that what is
# red there is so for what was changed; `make fuzz` draws anew.
settings.register_profile("patient", deadline=None, database=None, derandomize=not AT_LENGTH)
settings.load_profile("patient")


def pytest_configure() -> None:
    # Every test signs in from one address; the limits have tests of their own, which set them.
    for name in ("MINUTE", "HOUR"):
        os.environ.setdefault(f"CSMS_PUBLIC_POSTS_PER_{name}", "0")
    aftermath.begin()


def pytest_unconfigure() -> None:
    aftermath.end()
