"""Fixtures for the tests of every package (they stand in tests/stack.py)."""

import aftermath
from hypothesis import settings

pytest_plugins = ["stack", "gateway_wire", "suite", "spread"]

# A loaded machine is no failure of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_configure() -> None:
    aftermath.begin()


def pytest_unconfigure() -> None:
    aftermath.end()
